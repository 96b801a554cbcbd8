"""The server over HTTP: who gets in, and what a client may cost."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aiomemdb.mcp.guarding import Guard, Limits
from aiomemdb.mcp.http import address, hosts_of, token_of

TOKEN = "0123456789abcdef0123"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "web", "version": "1"}},
}


#: What may not come in, and how it is refused. The port is that of the server.
REFUSED: list[tuple[dict[str, str | None], int]] = [
    ({"Authorization": None}, 401),
    ({"Authorization": "Bearer wrong"}, 401),
    ({"Authorization": f"Bearer {TOKEN}x"}, 401),
    ({"Authorization": f"Basic {TOKEN}"}, 401),
    ({"Authorization": TOKEN}, 401),
    ({"Authorization": "Bearer \xe9"}, 401),
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1"}, 421),
    ({"Host": "127.0.0.1:80.evil.example"}, 421),
    ({"Host": "localhost:1"}, 421),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "http://127.0.0.1:80.evil.example"}, 403),
    ({"Origin": "http://localhost.evil.example"}, 403),
    ({"Origin": "http://localhost"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize(("headers", "status"), REFUSED, ids=str)
async def test_what_may_not_come_in_does_not_reach_the_server(
    method: str, headers: Mapping[str, str | None], status: int
) -> None:
    inner = Sessions()
    guard = Guard(inner, hosts=["127.0.0.1:80"], token=TOKEN, stop=asyncio.Event(), limits=Limits())
    sent = {"Host": "127.0.0.1:80", "Authorization": f"Bearer {TOKEN}", **headers}
    if status == 421 and headers["Host"] == "127.0.0.1":
        sent["Host"] = "127.0.0.1:8"
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items() if value is not None]
    assert await ask(guard, method, headers=raw) == status
    assert inner.called == 0


# -- what may be served -----------------------------------------------------------------------------------------------


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    for mode in (0o644, 0o640, 0o604):
        file.chmod(mode)
        with pytest.raises(ValueError, match="chmod 600"):
            token_of(file, {})
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    assert token_of(file, {"AIOMEMDB_MCP_TOKEN": "another one, which does not count"}) == TOKEN
    assert token_of(None, {}) is None


def test_an_address_is_one_of_this_machine() -> None:
    assert address("8420") == ("127.0.0.1", 8420)
    assert address("localhost:1") == ("127.0.0.1", 1)
    assert address("[::1]:8420") == ("::1", 8420)
    for wrong in ("127.0.0.1", "evil.example:80", "127.0.0.1:70000", "127.0.0.1:-1", ""):
        with pytest.raises(ValueError, match="--http"):
            address(wrong)


def test_a_server_for_other_machines_has_names_of_its_own() -> None:
    assert "memory.local:8420" in hosts_of("0.0.0.0", 8420, ["Memory.local"], TOKEN)
    assert "memory.local" in hosts_of("0.0.0.0", 80, ["memory.local"], TOKEN)
    assert "localhost" not in hosts_of("127.0.0.1", 8420, [], None)


# -- sessions ---------------------------------------------------------------------------------------------------------


class Sessions:
    """An application that makes a session of each POST without one."""

    def __init__(self) -> None:
        self.made = self.called = 0
        self.ended: list[bytes] = []

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        self.called += 1
        headers = dict(scope["headers"])
        if scope["method"] == "DELETE":
            self.ended.append(headers[b"mcp-session-id"])
        elif b"mcp-session-id" not in headers:
            self.made += 1
            headers[b"mcp-session-id"] = b"s%d" % self.made
        name = (b"mcp-session-id", headers[b"mcp-session-id"])
        await send({"type": "http.response.start", "status": 200, "headers": [name]})
        await send({"type": "http.response.body", "body": b""})


async def ask(
    guard: Guard, method: str = "POST", session: bytes | None = None, headers: Sequence[tuple[bytes, bytes]] = ()
) -> int:
    headers = [*(headers or [(b"host", b"here:1")]), *([] if session is None else [(b"mcp-session-id", session)])]
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await guard({"type": "http", "method": method, "path": "/mcp", "headers": headers}, receive, send)
    return statuses[0]


def guarded(inner: Sessions, **limits: Any) -> Guard:
    return Guard(inner, hosts=["here:1"], token=None, stop=asyncio.Event(), limits=Limits(**limits))


async def test_no_more_sessions_are_opened_than_may_be_and_one_that_ends_makes_room() -> None:
    inner = Sessions()
    guard = guarded(inner, sessions=2)
    assert [await ask(guard) for _ in range(3)] == [200, 200, 503]
    assert await ask(guard, session=b"s1") == 200
    assert await ask(guard, "DELETE", b"s1") == 200
    assert [await ask(guard) for _ in range(2)] == [200, 503]


async def test_a_session_that_idles_makes_room_where_there_is_none() -> None:
    inner = Sessions()
    guard = guarded(inner, sessions=2, idle_seconds=0)
    assert [await ask(guard) for _ in range(3)] == [200, 200, 200]
    assert inner.ended == [b"s1", b"s2"]


async def test_a_body_that_never_ends_is_given_up() -> None:
    guard = guarded(Sessions(), body_seconds=0.01)
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await guard({"type": "http", "method": "POST", "path": "/mcp", "headers": [(b"host", b"here:1")]}, receive, send)
    assert statuses == [408]
