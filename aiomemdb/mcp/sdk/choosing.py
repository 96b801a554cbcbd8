"""The only rooms that know the SDK, ``mcp``: its versions 1.x and 2.x differ in nearly all that a server touches.

Both serve by the SDK's low-level server, which sends what it is handed: the servers above it put a prefix before an
error's words, and some versions check an error against the schema of an answer.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from ..service import Service

__all__ = ["SDK", "MissingSDK", "load"]


class MissingSDK(ImportError):
    """The package ``mcp`` is not installed, or in no version that serves."""


class SDK(Protocol):
    """What each of the rooms has."""

    def server(self, service: Service) -> Any:
        """The SDK's server of a service."""
        ...

    def run(self, server: Any, received: Any, sent: Any) -> Any:
        """Serves one connection, until what is received ends."""
        ...

    def parse(self, line: bytes) -> Any:
        """A message as the SDK passes it on. Raises: ValueError: it is none."""
        ...

    def dump(self, message: Any) -> bytes:
        """A message as a line of JSON, without its end."""
        ...

    def request(self, message: Any) -> str | int | None:
        """The id of a message that is a request; None: it is none, or one that is answered at the end alone."""
        ...

    def response(self, message: Any) -> str | int | None:
        """The id of the request that a message answers; None: it is no answer."""
        ...

    def http(self, server: Any) -> HTTPSessions:
        """Serves any number of sessions over HTTP."""
        ...


class HTTPSessions(Protocol):
    """An application of ASGI, while it is entered."""

    def run(self) -> AbstractAsyncContextManager[None]: ...

    async def handle_request(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None: ...


def load() -> SDK:
    """Returns the room for the SDK that is installed. Raises: MissingSDK."""
    try:
        importlib.import_module("mcp")
    except ModuleNotFoundError:
        raise MissingSDK("the server needs the package mcp: pip install 'aiomemdb[cli,mcp]'") from None
    try:
        importlib.import_module("mcp_types")  # 2.x has its types there
        name = "two"
    except ModuleNotFoundError:
        name = "one"
    room: SDK = importlib.import_module(f"{__package__}.{name}")
    return room
