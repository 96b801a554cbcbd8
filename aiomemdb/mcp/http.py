"""Any number of sessions over streamable HTTP, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import uvicorn

from .guarding import PATH, Guard, Limits
from .sdk.choosing import SDK

__all__ = ["address", "hosts_of", "serve_http", "token_of"]

#: The environment's name for the token.
TOKEN = "AIOMEMDB_MCP_TOKEN"
_SHORTEST_TOKEN = 16


def address(text: str) -> tuple[str, int]:
    """``HOST:PORT``, or a port of 127.0.0.1. Raises: ValueError."""
    host, _, port = text.rpartition(":")
    host = (host or "127.0.0.1").strip("[]")
    if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ValueError(f"--http {text}: write HOST:PORT, such as 127.0.0.1:8420")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host != "localhost":
            raise ValueError(f"--http {text}: the host is an address of this machine, such as 127.0.0.1") from None
        host = "127.0.0.1"
    return host, int(port)


def token_of(file: Path | None, environ: Mapping[str, str]) -> str | None:
    """The token that a file has, else the environment; None: there is none.

    Raises: OSError; ValueError: others may read the file, or the token can be guessed.
    """
    if file is not None:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise ValueError(f"{file} has mode {mode:04o}, so others may read the token: chmod 600 {file}")
        token: str | None = file.read_text("utf-8").strip()
    else:
        token = environ.get(TOKEN)
    if token is not None and (len(token) < _SHORTEST_TOKEN or not token.isascii() or len(token.split()) != 1):
        raise ValueError(
            f"a token has {_SHORTEST_TOKEN} characters of ASCII or more, and no space: openssl rand -hex 32"
        )
    return token


def hosts_of(host: str, port: int, named: Iterable[str], token: str | None) -> list[str]:
    """What clients may call the server by.

    Args:
        named: names that the server has beside those of this machine for itself.

    Raises: ValueError: other machines could reach it, and it has no name for them, or no token.
    """
    names = ["127.0.0.1", "localhost", "[::1]", *named]
    if not ipaddress.ip_address(host).is_loopback and not (list(named) and token):
        raise ValueError(
            f"other machines can reach {host}: name the server as they do (--host NAME), and set a token "
            f"(--token-file FILE, or {TOKEN})"
        )
    return [f"{name.lower()}:{port}" for name in names] + ([name.lower() for name in names] if port == 80 else [])


class _Server(uvicorn.Server):
    """Leaves signals to its program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def install_signal_handlers(self) -> None:
        pass


async def serve_http(
    sdk: SDK,
    server: Any,
    host: str,
    port: int,
    *,
    named: Iterable[str] = (),
    token: str | None = None,
    limits: Limits | None = None,
    stop: asyncio.Event,
    listening: Callable[[str], object],
) -> None:
    """Serves until ``stop`` is set.

    Args:
        port: 0 is a free one.
        listening: called with the server's URL, once clients can come.

    Raises: OSError: the port is in use; ValueError: as ``hosts_of``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as sock:
        port = sock.getsockname()[1]
        hosts = hosts_of(host, port, named, token)
        sessions = sdk.http(server)
        guard = Guard(sessions.handle_request, hosts=hosts, token=token, stop=stop, limits=limits or Limits())
        config = uvicorn.Config(
            guard,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )
        listener = _Server(config)
        async with sessions.run():
            serving = asyncio.create_task(listener.serve(sockets=[sock]), name="aiomemdb:mcp:http")
            stopping = asyncio.create_task(stop.wait(), name="aiomemdb:mcp:stop")
            shown = f"[{host}]" if ":" in host else host
            listening(f"http://{shown}:{port}{PATH}")
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            listener.should_exit = True
            await serving
