"""An embeddings endpoint on 127.0.0.1 that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Answer:
    """What the endpoint sends back; ``silent`` is never to answer."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False


@dataclass
class Endpoint:
    """``answer`` is called with each request; by default the vector of a text is [its length, 1]."""

    url: str = ""
    answer: Callable[[Request], Answer] = lambda request: lengths(request)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await self._head(reader):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                request = Request(first.split(" ")[1], headers, body)
                self.requests.append(request)
                self.asked.set()
                answer = self.answer(request)
                if not answer.silent:
                    writer.write(_http(answer))
                    await writer.drain()
        finally:
            self.hung_up.set()
            writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionResetError):  # the client hung up
            return b""


def lengths(request: Request) -> Answer:
    return vectors([[float(len(text)), 1.0] for text in request.body["input"]])


def vectors(values: list[list[float]]) -> Answer:
    """As lists of numbers, the last text's first: order is told by ``index`` alone."""
    items = [{"index": index, "embedding": vector} for index, vector in enumerate(values)]
    return Answer({"object": "list", "data": items[::-1]})


def _http(answer: Answer) -> bytes:
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    lines = [f"HTTP/1.1 {answer.status} X", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def serve_endpoint() -> AsyncIterator[Endpoint]:
    endpoint, serving = Endpoint(), set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await endpoint.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield endpoint
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()
