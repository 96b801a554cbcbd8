"""What the memory asks of an embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Embedder"]


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors of one length; anything with these three members is one.

    Attributes:
        model: the model's name, stored with the vectors: those of two models are never compared.
        dim: the length of every vector.
    """

    model: str
    dim: int

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One vector of ``dim`` finite numbers for each text, in the order of the texts; no text, no vector.

        Of any L2 norm but 0: the memory scales each to 1 before it stores or compares it, so that a dot product is the
        cosine. The same text has the same vector, whatever stands beside it; an empty one has a vector too.

        Several calls may run at once. It must not block the event loop. Cancelled, it stops as soon as it can;
        a caller may ask again. What it raises reaches the caller of the memory, and nothing was written.
        """
        ...
