"""The server: it opens a port on this machine, and hands out the address with its token."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from ..memory.memory import Memory
from ..memory.showing import Showing
from .answers import Answers
from .guard import Guard, new_token
from .positions import Positions

__all__ = ["serve_page"]


@asynccontextmanager
async def serve_page(
    memory: Memory, *, port: int = 0, title: str = "memory", positions: Path | None = None
) -> AsyncIterator[str]:
    """Serve the page of a memory, live, on 127.0.0.1 as long as the block runs.

    ``async with serve_page(memory) as address``. Any program that has the address, with its token, reads the memory.

    Args:
        port: where it listens; 0: a free one.
        title: what the page calls the memory.
        positions: the file that keeps where things stand in the page, made when the page first draws; None: that is
            kept as long as the block runs.

    Raises:
        ImportError: uvicorn is missing: ``pip install 'aiomemdb[serve]'``.
        OSError: the port is in use, or not to be had.
        ValueError: it is no port.
    Cancellation: the server ends, and with it its connections.
    """
    try:
        import uvicorn
    except ImportError as error:
        raise ImportError("to serve a page takes uvicorn: pip install 'aiomemdb[serve]'") from error

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield  # signals are the program's

    listening = _listen(port)
    port = listening.getsockname()[1]
    token, ending = new_token(), asyncio.Event()
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False}
    guard = Guard(Answers(Showing(memory, title), Positions(positions), ending), token, port)
    server = Server(
        uvicorn.Config(
            guard, http="h11", ws="none", lifespan="off", loop="none", timeout_graceful_shutdown=5, **options
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listening]), name="aiomemdb: page server")
    try:
        yield f"http://127.0.0.1:{port}/?token={token}"
    finally:
        ending.set()
        server.should_exit = True
        await asyncio.shield(running)


def _listen(port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ValueError(f"port={port}: from 0 to 65535")
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                error.errno, f"port {port} is in use: choose another one, or 0 for any that is free"
            ) from None
        if error.errno == errno.EACCES:
            raise OSError(error.errno, f"port {port} needs a privilege: choose one from 1024 on, or 0") from None
        raise
