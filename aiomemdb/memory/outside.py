"""What a store may do outside of transactions: tell what was done, answer SQL of agents, and read what a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..agents import AgentAnswer, AgentLimits
from ..database import Params
from ..errors import AiomemdbError
from .pictures import Picture, PictureQuery
from .questions import FeedLine, FeedPlace, Watch

__all__ = ["Outside"]


def _no_feed() -> AiomemdbError:
    return AiomemdbError(
        "changes are followed outside of transactions: call it on the memory that you opened, not on within(tx)"
    )


class Outside(Protocol):
    """Raises, where there is no such thing: AiomemdbError."""

    async def newest_place(self, namespaces: Sequence[str]) -> FeedPlace:
        """Behind all that was done."""
        raise _no_feed()

    async def lines_behind(
        self, namespaces: Sequence[str], place: FeedPlace, kinds: Sequence[str], limit: int
    ) -> tuple[list[FeedLine], FeedPlace]:
        """At most ``limit`` lines of the audit, in the order of their commits within each namespace, with what they are
        about as it is now, and the place behind each; and the place behind all of them. Of a namespace that was
        forgotten since the place, the line that says so.
        """
        raise _no_feed()

    def watch(self) -> Watch:
        """Turns in which the audit may have grown, by any process; it watches from the call on."""
        raise _no_feed()

    async def agent_read(
        self, namespaces: Sequence[str], sql: str, params: Params, limits: AgentLimits | None
    ) -> AgentAnswer:
        """Answer SQL of an agent, which sees these namespaces and nothing else. Raises: what the engine does."""
        raise AiomemdbError(
            "agents ask outside of transactions: call it on the memory that you opened, not on within(tx)"
        )

    async def picture(self, namespaces: Sequence[str], query: PictureQuery) -> Picture:
        """What a page shows of these namespaces, in one state."""
        raise AiomemdbError(
            "a page is made outside of transactions, of a memory in a database: call it on the memory that you opened, "
            "not on within(tx)"
        )
