"""What a server of the protocol offers, in words of our own: a room of ``sdk/`` puts it to the SDK that is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from ..observing import Request

__all__ = ["Answer", "Client", "NoSuchResource", "Service"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers.

    Attributes:
        text: for the model.
        structured: the same for a program; None where the tool has no output schema, or failed.
        failed: the text says why.
        meta: notes that are not part of the answer.
    """

    text: str
    structured: Mapping[str, Any] | None = None
    failed: bool = False
    meta: Mapping[str, Any] | None = None


class NoSuchResource(Exception):
    """No resource has this URI."""


class Client(Protocol):
    """The program that called, as long as its call lasts."""

    @property
    def name(self) -> str | None:
        """What it calls itself."""
        ...

    @property
    def connection(self) -> Hashable:
        """The same for all calls of one connection."""
        ...

    async def ask(self, question: str) -> bool | None:
        """Asks the person at the client. None: the client can't ask."""
        ...

    def updated(self, uri: str) -> Awaitable[None]:
        """Notifies the client that a resource changed. It may be called after the call, too.

        Raises: Exception: the connection is gone.
        """
        ...


class Service(Protocol):
    """What is served. Each call may come at once with others."""

    name: str
    version: str
    instructions: str | None

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        """As the protocol lists them."""
        ...

    @property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        """As the protocol lists them."""
        ...

    @property
    def is_observed(self) -> bool:
        """What clients ask is told to an observer."""
        ...

    def observed(self, request: Request) -> AbstractContextManager[Callable[[str], object]]:
        """Entered before a request is served. It returns what is called with the kind of an error that is answered."""
        ...

    async def call(self, tool: str, arguments: Mapping[str, Any], client: Client) -> Answer:
        """Raises nothing but a cancellation: what goes wrong is an answer that says so."""
        ...

    async def read(self, uri: str) -> Mapping[str, Any]:
        """The contents of a resource, as the protocol has them. Raises: NoSuchResource."""
        ...

    async def watching(self) -> None:
        """Returns when each change from now on will be told."""
        ...

    def subscribe(self, uri: str, key: Hashable, tell: Callable[[], Awaitable[None]]) -> None:
        """From now on ``tell`` is called after each change of a resource, until it raises."""
        ...

    def unsubscribe(self, uri: str, key: Hashable) -> None: ...
