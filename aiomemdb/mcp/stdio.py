"""One connection over standard input and output.

1. The protocol has both to itself: what the program prints by mistake goes to standard error.
2. Input is read, and output written, by a thread each: a client that stops reading stops only its own answers.
3. Input that ends, or ``stop``, ends the connection. What was asked by then is answered, as far as that takes a second.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any

import anyio

from .sdk.choosing import SDK

__all__ = ["Wire", "claim", "serve_stdio"]

_LOG = logging.getLogger("aiomemdb.mcp")
_READ = 1 << 16
_TO_ANSWER = 1.0
_TO_WRITE = 0.3


def claim() -> tuple[int, int]:
    """Takes standard input and output for the protocol, and returns their descriptors."""
    received, sent = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return received, sent


class Wire:
    """Lines from one descriptor, lines to another."""

    def __init__(self, received: int, sent: int) -> None:
        self._received, self._sent = received, sent
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = threading.Semaphore(64)
        self._to_write: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="aiomemdb:mcp:write", daemon=True)
        self._writer.start()
        threading.Thread(target=self._read, name="aiomemdb:mcp:read", daemon=True).start()

    async def line(self) -> bytes | None:
        """The next line; None: there are no more."""
        line = await self._lines.get()
        self._room.release()
        return line

    def end(self) -> None:
        """No more lines come."""
        self._lines.put_nowait(None)

    async def send(self, line: bytes) -> None:
        """Returns when the line is written. Raises: OSError. Cancellation: it is written all the same."""
        written = self._loop.create_future()
        self._to_write.put((line + b"\n", written))
        await written

    async def close(self) -> None:
        """Writes what is left, as far as the client takes it."""
        self._to_write.put(None)
        await asyncio.to_thread(self._writer.join, _TO_WRITE)

    def _read(self) -> None:
        parts: list[bytes] = []
        try:
            while data := os.read(self._received, _READ):
                *lines, rest = data.split(b"\n")
                for line in lines:
                    self._pass_on(b"".join([*parts, line]))
                    parts.clear()
                parts.append(rest)
        except OSError as error:
            _LOG.warning("standard input failed: %s", error)
        self._pass_on(b"".join(parts))
        self._pass_on(None)

    def _pass_on(self, line: bytes | None) -> None:
        if line is None or line.strip():
            self._room.acquire()
            self._tell(self._lines.put_nowait, line)

    def _write(self) -> None:
        while (item := self._to_write.get()) is not None:
            line, written = item
            try:
                view = memoryview(line)
                while view:
                    view = view[os.write(self._sent, view) :]
            except OSError as error:
                self._tell(_fail, written, error)
            else:
                self._tell(_succeed, written)

    def _tell(self, call: Callable[..., Any], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            pass  # the loop is closed: the program ends


def _succeed(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _fail(future: asyncio.Future[None], error: OSError) -> None:
    if not future.done():
        future.set_exception(error)


async def serve_stdio(sdk: SDK, server: Any, wire: Wire, stop: asyncio.Event) -> None:
    """Serves until the input ends, the client takes no more output, or ``stop`` is set."""
    connection = _Connection(sdk, wire)
    stopping = asyncio.create_task(_end(stop, wire), name="aiomemdb:mcp:stop")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(connection.receive)
            group.start_soon(connection.send)
            await sdk.run(server, connection.received, connection.sent)
            group.cancel_scope.cancel()
    finally:
        stopping.cancel()
        with anyio.CancelScope(shield=True):
            await wire.close()


async def _end(stop: asyncio.Event, wire: Wire) -> None:
    await stop.wait()
    wire.end()


class _Connection:
    """Between the wire and the SDK's streams."""

    def __init__(self, sdk: SDK, wire: Wire) -> None:
        self._sdk, self._wire = sdk, wire
        self._to_server, self.received = anyio.create_memory_object_stream[Any](0)
        self.sent, self._from_server = anyio.create_memory_object_stream[Any](0)
        self._unanswered: set[str | int] = set()
        self._all_answered = asyncio.Event()
        self._ended = False

    async def receive(self) -> None:
        async with self._to_server:
            while (line := await self._wire.line()) is not None:
                try:
                    message = self._sdk.parse(line)
                except ValueError as error:
                    _LOG.warning("skipped a line that is not a message of the protocol: %s", str(error).split("\n")[0])
                    continue
                asked = self._sdk.request(message)
                if asked is not None:
                    self._unanswered.add(asked)
                try:
                    await self._to_server.send(message)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return
            self._ended = True
            if self._unanswered:
                with anyio.move_on_after(_TO_ANSWER):
                    await self._all_answered.wait()

    async def send(self) -> None:
        async with self._from_server:
            async for message in self._from_server:
                try:
                    await self._wire.send(self._sdk.dump(message))
                except OSError as error:  # the client is gone
                    _LOG.debug("standard output failed: %s", error)
                    self._wire.end()
                answered = self._sdk.response(message)
                if answered is not None:
                    self._unanswered.discard(answered)
                if self._ended and not self._unanswered:
                    self._all_answered.set()
