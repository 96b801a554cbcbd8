"""What turns texts into vectors: the protocol that the memory asks for.

The memory calls no model and no network by itself: an embedder is handed to it, or there is none.
"""

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

        A vector may have any length but NaN and infinity are errors: the memory scales each to L2 norm 1 before it is
        stored or compared, so that a dot product is the cosine. One of zeros alone says nothing of its text (an empty
        one, say): it stays zero and is near to nothing. The same text gives the same vector, whatever stands beside it.

        Several calls may run at once. It must not block the event loop. Cancelled, it stops as soon as it can and gives
        nothing; a caller may ask again. What it raises reaches whoever asked the memory, and nothing was written.
        """
        ...
