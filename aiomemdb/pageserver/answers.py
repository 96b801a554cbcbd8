"""What the server answers, path by path. All of it reads the memory; it keeps where the page put things."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from urllib.parse import parse_qs

from ..memory.changes import place_of
from ..memory.showing import Showing
from ..view.document import served_page
from .guard import HEADERS, KEEPS, Receive, Scope, Send
from .positions import MOST_BYTES, Positions

__all__ = ["Answers"]

# A line that says nothing, by which a connection that is gone is noticed.
_BEAT_SECONDS = 15.0


class Answers:
    """The server's answers about one memory.

    Args:
        positions: where things stand in the page.
        ending: set when the server ends; streams end then.
    """

    def __init__(self, showing: Showing, positions: Positions, ending: asyncio.Event) -> None:
        self._showing = showing
        self._positions = positions
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        path = scope["path"]
        try:
            if path == "/events":
                resumed = [value.decode("latin-1") for name, value in scope["headers"] if name == b"last-event-id"]
                await self._events(resumed[-1] if resumed else asked["after"], receive, send)
                return
            if path == "/":
                await _answer(send, 200, "text/html; charset=utf-8", served_page())
                return
            if scope["method"] == "POST":
                await self._positions.take(await _sent(receive))
                await _answer(send, 200, "text/plain; charset=utf-8", b"")
                return
            body = await self._json(path, asked)
        except (KeyError, ValueError, TypeError, OverflowError, OSError) as error:
            await _answer(send, 400, "text/plain; charset=utf-8", f"400: {error}\n".encode())
            return
        if body is None:
            await _answer(send, 404, "text/plain; charset=utf-8", b"404: there is no such path\n")
        else:
            await _answer(send, 200, "application/json", body)

    async def _json(self, path: str, asked: Mapping[str, str]) -> bytes | None:
        showing = self._showing
        match path:
            case "/picture":
                return await showing.picture()
            case _ if path == KEEPS:
                return await self._positions.read()
            case "/around":
                return await showing.around(int(asked["entity"]))
            case "/item":
                if asked["kind"] not in ("entity", "fact", "episode"):
                    raise ValueError(f"kind={asked['kind']!r}: entity, fact or episode")
                return await showing.item(asked["kind"], int(asked["id"]))
            case "/recall":
                times = _moment(asked.get("as_of")), _moment(asked.get("known_at"))
                return json.dumps(await showing.recall(asked["q"], *times)).encode()
            case "/path":
                ends = int(asked["source"]), int(asked["target"])
                return json.dumps(await showing.path(*ends, _moment(asked.get("as_of")))).encode()
        return None

    async def _events(self, after: str, receive: Receive, send: Send) -> None:
        """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), each with the position
        behind it as its id: a browser that lost the connection goes on from there.
        """
        place_of(after)  # what is no position is refused before anything is sent
        left = asyncio.ensure_future(_left(receive))
        ending = asyncio.ensure_future(self._ending.wait())
        async with aclosing(self._showing.changes(after)) as changes:
            step = asyncio.ensure_future(anext(changes))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": _headers("text/event-stream")})
                await _piece(send, b"retry: 500\n\n")
                while True:
                    await asyncio.wait((left, ending, step), timeout=_BEAT_SECONDS, return_when="FIRST_COMPLETED")
                    if left.done() or ending.done():
                        break
                    if not step.done():
                        await _piece(send, b":\n\n")
                        continue
                    position, data = step.result()
                    # JSON as it is written here has no line breaks.
                    await _piece(send, b"id: %b\ndata: %b\n\n" % (position.encode(), data))
                    step = asyncio.ensure_future(anext(changes))
                await send({"type": "http.response.body", "body": b""})
            finally:
                for task in (left, ending, step):
                    task.cancel()
                await asyncio.wait((left, ending, step))


def _moment(milliseconds: str | None) -> datetime | None:
    """Raises: ValueError, OverflowError: it is no time."""
    return None if not milliseconds else datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


async def _sent(receive: Receive) -> bytes:
    """Raises: ValueError: it is too long, or the browser left before its end."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or len(body) > MOST_BYTES:
            raise ValueError(f"at most {MOST_BYTES:,} bytes are taken")
        if not message.get("more_body"):
            return bytes(body)


async def _left(receive: Receive) -> None:
    """Until the browser has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _piece(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


def _headers(kind: str, **more: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in {**HEADERS, "content-type": kind, **more}.items()]


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    more = {}
    if len(body) > 4096:
        body, more = gzip.compress(body, 4, mtime=0), {"content-encoding": "gzip"}
    headers = _headers(kind, **more, **{"content-length": str(len(body))})
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
