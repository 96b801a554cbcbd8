"""A proxy between a client and a server, which cuts connections at a moment that the test names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Proxy"]


class Proxy:
    """
    Attributes:
        url: what a client connects to.
        cut_answer: of each message of the server's; where it returns True, that message and all behind it are lost, and
            the connection with them.
        cut_question: the same of each message of the client's; the server is told that its client is gone.
        refuses: no connection is made.
        connections: how many were made.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._parts = parts
        self.url: str = ""
        self.cut_answer: Callable[[bytes, bytes], bool] = lambda kind, body: False
        self.cut_question: Callable[[bytes, bytes], bool] = lambda kind, body: False
        self.refuses: bool = False
        self.connections: int = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[Proxy]:
        proxy = cls(url)
        listening = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        user = f"{proxy._parts.username}@" if proxy._parts.username else ""
        proxy.url = urlunsplit(proxy._parts._replace(netloc=f"{user}127.0.0.1:{port}"))
        try:
            yield proxy
        finally:
            listening.close()
            proxy.cut_all()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)
            await listening.wait_closed()

    def cut_all(self) -> None:
        """Ends all connections, on both sides."""
        for writer in list(self._writers):
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.refuses:
            writer.close()
            return
        self.connections += 1
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        both = {writer, server_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, lambda kind, body: self.cut_question(kind, body), starts=True),
                self._pump(server_reader, writer, lambda kind, body: self.cut_answer(kind, body), starts=False),
            )
        except (OSError, asyncio.IncompleteReadError, _Cut):
            pass
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        is_cut: Callable[[bytes, bytes], bool],
        *,
        starts: bool,
    ) -> None:
        if starts:  # the startup message has no kind; a request for TLS, or to cancel, neither
            while True:
                length = await reader.readexactly(4)
                body = await reader.readexactly(int.from_bytes(length) - 4)
                writer.write(length + body)
                await writer.drain()
                code = int.from_bytes(body[:4])
                if code not in (80877103, 80877104):
                    break
        elif (first := await reader.readexactly(1)) in b"NSG":  # the answer to a request for TLS
            writer.write(first)
            if first == b"G":
                first = b""
        else:
            await self._message(first, reader, writer, is_cut)
        while True:
            await self._message(await reader.readexactly(1), reader, writer, is_cut)

    async def _message(
        self,
        kind: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        is_cut: Callable[[bytes, bytes], bool],
    ) -> None:
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length) - 4)
        if is_cut(kind, body):
            raise _Cut
        writer.write(kind + length + body)
        await writer.drain()


class _Cut(Exception):
    pass
