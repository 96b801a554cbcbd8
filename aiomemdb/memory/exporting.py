"""What a store answers when all that it has is written down: the seam of exporting, in one committed state.

Rows come whole, in the order of their ids, with references that are ids of the store. When something is known is said
by the clock (``formats/rows.py``): the order of the audit stays in its store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ..errors import AiomemdbError
from ..formats.rows import EvidenceRow, Row
from .questions import Model

__all__ = ["Contents", "Exports", "Part"]

#: What is written down one after the other; "entity" leaves out those that were merged into others, which are "merged".
Part: TypeAlias = Literal["entity", "merged", "episode", "fact", "event"]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store has.

    Attributes:
        namespaces: those that hold something, of those that were asked for.
        normalisers: by what each is for, the names of those that made its keys.
        model: of its vectors.
        counts: how many entities (merged ones too), episodes and facts, by these words.
    """

    namespaces: Sequence[str]
    normalisers: Mapping[str, str]
    model: Model | None
    counts: Mapping[str, int]


def _not_exported() -> AiomemdbError:
    return AiomemdbError(
        "a memory on this engine can't be exported: `aiomemdb move SOURCE new.db` makes it a file, which can"
    )


class Exports(Protocol):
    """Raises, where there is no such thing: AiomemdbError."""

    async def export_contents(self, namespaces: Sequence[str] | None) -> Contents:
        """What there is; None: of all namespaces, by name."""
        raise _not_exported()

    async def export_rows(
        self, part: Part, namespaces: Sequence[str], *, after: int, limit: int, model: Model | None = None
    ) -> list[Row]:
        """The next rows of a part with an id above ``after``, by id, with their vectors of a model; of the audit those
        that are about rows and are not of an import, with their ids as ``line``.
        """
        raise _not_exported()

    async def export_evidence(self, namespaces: Sequence[str], texts: Sequence[int]) -> list[EvidenceRow]:
        """What texts of these namespaces evidence, in the order in which it was said."""
        raise _not_exported()
