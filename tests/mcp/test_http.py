"""The server over HTTP: who gets in, and what a client may cost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from aiomemdb.cli.app import app
from aiomemdb.mcp.guarding import Guard, Limits
from aiomemdb.mcp.http import address, hosts_of, token_of
from tests.mcp.clients import CHECKOUT, LIMIT, URI

TOKEN = "0123456789abcdef0123"
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "web", "version": "1"}},
}


class Served:
    """``aiomemdb mcp --http`` as a process of its own."""

    def __init__(
        self,
        path: Path,
        *arguments: str,
        token: str | None = TOKEN,
        command: tuple[str, ...] = (sys.executable, "-m", "aiomemdb", "mcp"),
    ) -> None:
        environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        if token is not None:
            environ["AIOMEMDB_MCP_TOKEN"] = token
        whole = [*command, "--file", str(path), "--http", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(whole, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True)
        assert self.process.stderr is not None
        said = self.process.stderr.readline()
        assert said.startswith("serving http://"), said + self.process.stderr.read()
        url = urlsplit(said.split()[1])
        assert url.hostname is not None and url.port is not None
        self.host, self.port = url.hostname, url.port
        self.session: str | None = None

    def open(
        self, method: str = "POST", body: Any = INITIALIZE, headers: Mapping[str, str | None] = {}
    ) -> HTTPResponse:
        """Sends a request with all that is needed, except for what ``headers`` changes or takes away (None)."""
        sent: dict[str, str | None] = {
            "Accept": "application/json, text/event-stream",
            "Connection": "close",
            "Content-Type": "application/json",
            "Authorization": f"Bearer {TOKEN}",
            "Mcp-Session-Id": self.session,
            "Mcp-Protocol-Version": "2025-06-18" if self.session else None,
            **headers,
        }
        connection = HTTPConnection(self.host, self.port, timeout=LIMIT)
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(method, "/mcp", data, {name: value for name, value in sent.items() if value is not None})
        return connection.getresponse()

    def status(self, method: str = "POST", body: Any = INITIALIZE, headers: Mapping[str, str | None] = {}) -> int:
        with self.open(method, body, headers) as response:
            response.read()
            return response.status

    def begin(self) -> Served:
        with self.open() as response:
            response.read()
            assert response.status == 200
            self.session = response.headers["mcp-session-id"]
        assert self.status(body={"jsonrpc": "2.0", "method": "notifications/initialized"}) == 202
        return self

    def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        with self.open(body={"jsonrpc": "2.0", "id": 2, "method": method, "params": params}) as response:
            assert response.status == 200, response.read()
            answer = next(message for message in messages(response) if message.get("id") == 2)
        result: dict[str, Any] = answer["result"]
        return result

    def data(self, tool: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.request("tools/call", {"name": tool, "arguments": arguments})["structuredContent"]
        return found

    def close(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        status = self.process.wait(LIMIT)
        for stream in (self.process.stderr, self.process.stdout):
            assert stream is not None
            stream.close()
        return status


def messages(response: HTTPResponse) -> Iterator[dict[str, Any]]:
    """What a stream of server-sent events brings."""
    for line in iter(response.readline, b""):
        if line.startswith(b"data: ") and line.strip() != b"data:":
            yield json.loads(line[6:])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path / "memory.db")
    try:
        yield made
    finally:
        if made.process.returncode is None:
            made.close()


@pytest.mark.soak
def test_all_sessions_share_one_memory(served: Served) -> None:
    ada = {"name": "Ada", "entityType": "person", "observations": []}
    served.begin().data("create_entities", entities=[ada])
    first, served.session = served.session, None
    assert served.begin().data("read_graph")["entities"] == [ada]
    assert served.session != first


@pytest.mark.soak
def test_a_subscriber_hears_of_what_another_session_wrote(served: Served) -> None:
    served.begin().request("resources/subscribe", {"uri": URI})
    with served.open("GET", body=None, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status == 200
        served.session = None
        served.begin().data("create_entities", entities=[{"name": "Ada", "entityType": "p", "observations": []}])
        assert next(messages(stream))["params"] == {"uri": URI}


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


def test_nothing_of_a_request_runs_that_may_not_come_in(served: Served) -> None:
    served.begin()
    eve = {"name": "Eve", "entityType": "t", "observations": []}
    params = {"name": "create_entities", "arguments": {"entities": [eve]}}
    write = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params}
    for headers, status in REFUSED:
        for method, body in (("POST", write), ("GET", None), ("DELETE", None)):
            assert served.status(method, body, headers) == status, headers
    assert served.data("read_graph")["entities"] == []  # and the session is still there


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


@pytest.mark.soak
def test_a_page_of_another_site_gets_no_leave_to_ask(served: Served) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Authorization": None}
    with served.open("OPTIONS", body=None, headers=asked) as response:
        assert response.status == 403 and "access-control-allow-origin" not in response.headers


@pytest.mark.soak
def test_a_page_of_its_own_and_a_host_in_capitals_are_let_in(served: Served) -> None:
    assert served.status(headers={"Origin": f"http://127.0.0.1:{served.port}", "Sec-Fetch-Site": "same-origin"}) == 200
    assert served.status(headers={"Host": f"LocalHost:{served.port}"}) == 200


@pytest.mark.soak
def test_two_hosts_or_two_tokens_in_a_request_are_none(served: Served) -> None:
    for extra in (b"Host: 127.0.0.1:%d\r\n" % served.port, b"Authorization: Bearer wrong\r\n"):
        with socket.create_connection((served.host, served.port), timeout=LIMIT) as raw:
            raw.sendall(
                b"GET /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nConnection: close\r\n%s\r\n"
                % (served.port, TOKEN.encode(), extra)
            )
            answer = raw.makefile("rb").read()
        assert answer.split()[1] in (b"400", b"401", b"421")


@pytest.mark.soak
@pytest.mark.parametrize("headers", [{}, {"Transfer-Encoding": "chunked"}], ids=["length", "chunked"])
def test_a_body_that_is_too_large_is_refused(served: Served, headers: dict[str, str]) -> None:
    connection = HTTPConnection(served.host, served.port, timeout=LIMIT)
    piece = b" " * 1_000_000
    sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Connection": "close", **headers}
    if not headers:
        sent["Content-Length"] = str(17_000_000)
    try:
        connection.request("POST", "/mcp", (piece for _ in range(17)), sent, encode_chunked=bool(headers))
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was refused before all of it was sent
    else:
        with connection.getresponse() as response:
            assert response.status == 413
    connection.close()
    assert served.begin().data("read_graph") == {"entities": [], "relations": []}


@pytest.mark.soak
def test_there_is_one_path(served: Served) -> None:
    connection = HTTPConnection(served.host, served.port, timeout=LIMIT)
    connection.request("GET", "/", headers={"Authorization": f"Bearer {TOKEN}", "Connection": "close"})
    with connection.getresponse() as response:
        assert response.status == 404


@pytest.mark.soak
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_the_http_server_ends_although_streams_are_open(served: Served, by: signal.Signals) -> None:
    served.begin()
    with served.open("GET", body=None, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.status == 200
        assert served.close(by) == (130 if by is signal.SIGINT else 0)


# -- what may be served -----------------------------------------------------------------------------------------------


def test_for_other_machines_a_server_needs_a_name_and_a_token() -> None:
    for named, token in (([], None), (["memory.local"], None), ([], TOKEN)):
        for host in ("0.0.0.0", "::", "192.0.2.1"):
            with pytest.raises(ValueError, match="--token-file"):
                hosts_of(host, 8420, named, token)


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--http", "0.0.0.0:0"], {}),
        (["--http", "0.0.0.0:0", "--host", "memory.local"], {}),
        (["--http", "0.0.0.0:0"], {"AIOMEMDB_MCP_TOKEN": TOKEN}),
        (["--http", "[::]:0", "--host", "memory.local"], {}),
        (["--http", "127.0.0.1:0"], {"AIOMEMDB_MCP_TOKEN": "short"}),
        (["--http", "memory.local:80"], {}),
        (["--http", "127.0.0.1:x"], {}),
        (["--http", "127.0.0.1:0", "--token-file", "/nonexistent"], {}),
    ],
    ids=str,
)
def test_what_is_not_safe_is_not_served(tmp_path: Path, arguments: list[str], environ: dict[str, str]) -> None:
    ended = CliRunner().invoke(app, ["mcp", "--file", str(tmp_path / "memory.db"), *arguments], env=environ)
    assert ended.exit_code == 2 and ended.stderr.strip() and not ended.stdout
    assert list(tmp_path.iterdir()) == []


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
