"""What stands before the server on HTTP: whatever a request is refused for, it is refused before any of it runs.

1. ``Host`` is one of the names that the server has, whole and with its port: a page of another site that has its
   name point here sends that name (DNS rebinding).
2. ``Origin`` is the server's own, or missing: no page of another site gets in. Programs send none.
3. With a token set, each request has it, and it is compared in constant time.
4. Bodies and sessions are limited, and sessions that idle make room for new ones.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Guard", "Limits"]

Scope: TypeAlias = Mapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/mcp"
_SESSION = b"mcp-session-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may cost.

    Attributes:
        body: bytes of a request.
        body_seconds: how long a request may take to arrive.
        sessions: how many there are at once.
        idle_seconds: a session that idles so long is ended where there is no room for a new one.
    """

    body: int = 16 * 1024 * 1024
    body_seconds: float = 30.0
    sessions: int = 1000
    idle_seconds: float = 1800.0


class _Refused(Exception):
    def __init__(self, status: int, words: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


@dataclass(slots=True)
class _Session:
    used_at: float
    open: int = 0


class Guard:
    """An application of ASGI before another one.

    Args:
        hosts: what ``Host`` may be, in small letters, with the port.
        token: what each request must have; None: any may come in that reaches the port.
        stop: set, streams end.
    """

    def __init__(
        self, inner: Application, *, hosts: Iterable[str], token: str | None, stop: asyncio.Event, limits: Limits
    ) -> None:
        self._inner = inner
        self._hosts = frozenset(hosts)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self._token = None if token is None else token.encode()
        self._stop = stop
        self._limits = limits
        self._sessions: dict[bytes, _Session] = {}
        self._opening = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
            if scope["method"] == "POST":
                receive = _replayed(await self._body(scope, receive), receive)
            await self._pass_on(scope, receive, send)
        except _Refused as refused:
            await _answer(send, refused)

    # Who may come in

    def _check(self, scope: Scope) -> None:
        headers = scope["headers"]
        host = _only(headers, b"host")
        if host is None or host.lower() not in self._hosts:
            raise _Refused(421, f"Host is {host!r}: this server is {', '.join(sorted(self._hosts))}")
        origins = _all(headers, b"origin")
        if any(origin.lower() not in self._origins for origin in origins):
            raise _Refused(403, f"Origin is {', '.join(origins)}: pages of other sites have no access")
        if any(site not in ("same-origin", "none") for site in _all(headers, b"sec-fetch-site")):
            raise _Refused(403, "pages of other sites have no access")
        if self._token is not None and not self._has_token(headers):
            raise _Refused(401, "Authorization must be: Bearer, and the token", (b"www-authenticate", b"Bearer"))
        if scope["path"] != PATH:
            raise _Refused(404, f"the only path is {PATH}")
        if scope["method"] not in ("GET", "POST", "DELETE"):
            raise _Refused(405, "GET, POST or DELETE", (b"allow", b"GET, POST, DELETE"))

    def _has_token(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        assert self._token is not None
        sent = _only(headers, b"authorization") or ""
        kind, _, token = sent.partition(" ")
        same = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        return same and kind.lower() == "bearer"

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        most = self._limits.body
        too_large = _Refused(413, f"a request has {most:,} bytes at most", (b"connection", b"close"))
        length = _only(scope["headers"], b"content-length")
        if length is not None and (not length.isascii() or not length.isdigit() or int(length) > most):
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refused(400, "the request was cut short")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise _Refused(408, "the request took too long", (b"connection", b"close")) from None

    # Sessions

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = _only(scope["headers"], _SESSION)
        session = None if name is None else self._sessions.get(name.encode("latin-1"))
        new = name is None and scope["method"] == "POST"
        if new:
            await self._make_room()
            self._opening += 1

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                made = next((value for key, value in message["headers"] if key.lower() == _SESSION), None)
                if made is not None and name is None:
                    self._sessions.setdefault(made, _Session(time.monotonic()))
            await send(message)

        if session is not None:
            session.open += 1
        try:
            await self._inner(scope, self._until_stop(receive), sent)
        finally:
            if new:
                self._opening -= 1
            if session is not None:
                session.open -= 1
                session.used_at = time.monotonic()
            if name is not None and scope["method"] == "DELETE":
                self._sessions.pop(name.encode("latin-1"), None)

    async def _make_room(self) -> None:
        if len(self._sessions) + self._opening < self._limits.sessions:
            return
        now = time.monotonic()
        for name, session in list(self._sessions.items()):
            if not session.open and now - session.used_at >= self._limits.idle_seconds:
                del self._sessions[name]
                await self._end(name)
        if len(self._sessions) + self._opening >= self._limits.sessions:
            raise _Refused(503, f"there are {self._limits.sessions:,} sessions already: end one, or wait")

    async def _end(self, name: bytes) -> None:
        """As its client would."""
        headers = [(b"host", b"localhost"), (_SESSION, name), (b"accept", b"application/json, text/event-stream")]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "DELETE",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            pass

        await self._inner(scope, receive, send)

    def _until_stop(self, receive: Receive) -> Receive:
        async def received() -> Message:
            getting = asyncio.ensure_future(receive())
            stopping = asyncio.ensure_future(self._stop.wait())
            try:
                await asyncio.wait((getting, stopping), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    return getting.result()
                return {"type": "http.disconnect"}
            finally:
                getting.cancel()
                stopping.cancel()

        return received


def _all(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def _only(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """Its value. None: it is missing, or there are several."""
    values = _all(headers, name)
    return values[0] if len(values) == 1 else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    told = False

    async def received() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


async def _answer(send: Send, refused: _Refused) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": refused.words}}
    body = json.dumps(error).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *refused.headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
