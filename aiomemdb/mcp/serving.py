"""The server: its tools by name, each call on a view of the memory that has the client's name."""

from __future__ import annotations

import importlib.metadata
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ..errors import AiomemdbError
from ..formats.server_memory import OBSERVATION
from ..memory.memory import Memory
from ..memory.names import MAX_NAME
from ..observing import Request, around_requests
from . import nine, seven
from .answers import json_text
from .arguments import BadArguments, checked
from .listing import URI, resource_listing, tool_listing
from .mirror import Mirror
from .service import Answer, Client, NoSuchResource
from .seven_listing import LISTED
from .subscriptions import Subscriptions

__all__ = ["MemoryService", "Options"]

_LOG = logging.getLogger("aiomemdb.mcp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a memory is served.

    Attributes:
        tools: "graph", the nine of the reference server; "memory", seven of our own; "full", all.
        agent: who writes; None: what the client calls itself.
        also_read: further namespaces that are read.
        read_only: no tool that writes.
        deletes: False: no tool that takes something away.
        retracts: ``delete_entities`` keeps what it deletes in the history.
        max_answer: how many tokens an answer has at most, by estimate; the nine answer whole.
        refuses: what each tool that writes answers: why the memory can't be written. None: it can.
    """

    tools: str = "graph"
    agent: str | None = None
    also_read: tuple[str, ...] = ()
    read_only: bool = False
    deletes: bool = True
    retracts: bool = False
    max_answer: int = 25_000
    refuses: str | None = None


@dataclass(frozen=True, slots=True)
class _Tool:
    listed: Mapping[str, Any]
    run: Callable[[Memory, Mapping[str, Any], Client], Awaitable[Answer]]
    writes: bool


class MemoryService:
    """A memory, served. Made on the loop that serves it.

    Args:
        before: awaited before each call.
    """

    name: str = "aiomemdb"

    def __init__(
        self,
        memory: Memory,
        options: Options,
        mirror: Mirror | None = None,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.version: str = importlib.metadata.version("aiomemdb")
        self.instructions: str | None = None
        self._options, self._mirror, self._before = options, mirror, before
        self._memory = memory.scoped(also_read=options.also_read)
        self._tools = _tools(options)
        self._subscriptions = Subscriptions(self._memory)

    @property
    def tools(self) -> Sequence[Mapping[str, Any]]:
        return [tool.listed for tool in self._tools.values()]

    @property
    def resources(self) -> Sequence[Mapping[str, Any]]:
        return resource_listing()

    @property
    def is_observed(self) -> bool:
        return self._memory.db in around_requests

    def observed(self, request: Request) -> AbstractContextManager[Callable[[str], object]]:
        around = around_requests.get(self._memory.db) if around_requests else None
        if around is None:
            return nullcontext(_nothing)
        tool = request.tool if request.tool in self._tools else None
        return around(replace(request, tool=tool, resource=URI if request.resource == URI else None))

    async def call(self, tool: str, arguments: Mapping[str, Any], client: Client) -> Answer:
        found = self._tools.get(tool)
        if found is None:
            return Answer(f"MCP error -32602: Tool {tool} not found", failed=True)
        try:
            asked = checked(tool, found.listed["inputSchema"], arguments)
            if found.writes and self._options.refuses is not None:
                return Answer(self._options.refuses, failed=True)
            if self._before is not None:
                await self._before()
            answer = await found.run(self._view(client), asked, client)
        except (BadArguments, AiomemdbError, sqlite3.Error, ValueError, TypeError) as error:
            return Answer(_words(error), failed=True)
        except Exception as error:
            _LOG.exception("%s failed", tool)
            return Answer(_words(error), failed=True)
        if found.writes and self._mirror is not None:
            await self._mirror.refresh(self._memory)
        return answer

    async def read(self, uri: str) -> Mapping[str, Any]:
        if uri != URI:
            raise NoSuchResource(f"MCP error -32602: Resource {uri} not found")
        shown = nine.graph_of(await self._memory.graph(predicate=OBSERVATION))
        return {"uri": URI, "mimeType": "application/json", "text": json_text(shown)}

    async def watching(self) -> None:
        await self._subscriptions.watching()

    def subscribe(self, uri: str, key: Hashable, tell: Callable[[], Awaitable[None]]) -> None:
        if uri == URI:
            self._subscriptions.add(uri, key, tell)

    def unsubscribe(self, uri: str, key: Hashable) -> None:
        self._subscriptions.remove(uri, key)

    async def close(self) -> None:
        await self._subscriptions.close()

    def _view(self, client: Client) -> Memory:
        agent = self._options.agent or " ".join((client.name or "").replace("\0", "").split())[:MAX_NAME]
        return self._memory.scoped(agent=agent or None, also_read=self._options.also_read)


def _nothing(kind: str) -> None:
    pass


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _tools(options: Options) -> Mapping[str, _Tool]:
    how = nine.How(options.max_answer, options.retracts)
    found: dict[str, _Tool] = {}
    if options.tools in ("graph", "full"):
        for listed in tool_listing():
            name = listed["name"]
            found[name] = _Tool(listed, _nine(nine.TOOLS[name], how), name in nine.WRITING)
    if options.tools in ("memory", "full"):
        for listed in LISTED:
            name = listed["name"]
            found[name] = _Tool(listed, _seven(seven.TOOLS[name], options.max_answer), name in seven.WRITING)
    writing = {name for name, tool in found.items() if tool.writes}
    left_out = writing if options.read_only else set() if options.deletes else nine.DELETING | seven.DELETING
    return {name: tool for name, tool in found.items() if name not in left_out}


def _nine(
    run: Callable[[Memory, Mapping[str, Any], nine.How], Awaitable[Answer]], how: nine.How
) -> Callable[[Memory, Mapping[str, Any], Client], Awaitable[Answer]]:
    return lambda memory, asked, client: run(memory, asked, how)


def _seven(
    run: Callable[[Memory, Mapping[str, Any], Client, int], Awaitable[Answer]], most: int
) -> Callable[[Memory, Mapping[str, Any], Client], Awaitable[Answer]]:
    return lambda memory, asked, client: run(memory, asked, client, most)
