"""Theory of operation: who may ask the server.

It listens on 127.0.0.1, which keeps other machines out, and no more: any program of any user can connect, and any page
in the reader's browser can send requests there. So each request must

1. carry the token, which only the address has that the reader was handed. It is compared in constant time.
2. name this server as its Host. A page of another site may have its name lead to 127.0.0.1, but sends that name.
3. come from no other origin, where the browser says from where it comes.
4. read: GET alone, as the memory is never written. The one exception is POST to KEEPS, which keeps where the page put
   things; it must say that it comes from this origin.

All else is answered with 403, before anything looks at the path. What is answered may be shown in no frame, is kept in
no cache and is read by no other origin.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from ..view.document import policy

__all__ = ["HEADERS", "KEEPS", "Guard", "new_token"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Asgi: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The path that takes where things stand.
KEEPS = "/positions"

#: Of each answer, refusals too.
HEADERS: Mapping[str, str] = {
    "content-security-policy": policy("'self'") + "; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def new_token() -> str:
    return secrets.token_urlsafe(32)


class Guard:
    """Lets through what may ask.

    Args:
        inner: answers that.
        token: what a request must carry, as ``?token=``.
        port: where the server listens.
    """

    def __init__(self, inner: Asgi, token: str, port: int) -> None:
        self._inner = inner
        self._token = token.encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not self._may_ask(scope):
            await _refuse(send)
            return
        await self._inner(scope, receive, send)

    def _may_ask(self, scope: Scope) -> bool:
        given: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            given.setdefault(name.lower(), []).append(value)
        tokens = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True).get("token", [])
        hosts = given.get(b"host", [])
        keeps = scope["method"] == "POST" and scope["path"] == KEEPS and b"origin" in given
        return (
            (scope["method"] == "GET" or keeps)
            and len(tokens) == 1
            and hmac.compare_digest(tokens[0].encode(), self._token)
            and len(hosts) == 1
            and hosts[0] in self._hosts
            and all(origin == b"http://" + hosts[0] for origin in given.get(b"origin", []))
            # "none": the reader typed the address, or opened a link from outside of the browser.
            and all(site in (b"same-origin", b"none") for site in given.get(b"sec-fetch-site", []))
        )


async def _refuse(send: Send) -> None:
    text = b"403: this page opens by the address that `aiomemdb serve` printed, and by no other.\n"
    headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    headers += [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": text})
