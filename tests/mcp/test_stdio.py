"""The server as a process: what it prints, what it keeps, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from aiomemdb.mcp.listing import resource_listing, tool_listing
from tests.mcp.clients import CHECKOUT, LIMIT, URI, Server

ADA = {"name": "Ada", "entityType": "person", "observations": ["likes tea"]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def names(server: Server) -> list[str]:
    return [entity["name"] for entity in server.data("read_graph")["entities"]]


@pytest.mark.soak
def test_the_handshake_offers_tools_and_a_resource_that_can_be_subscribed_to(path: Path) -> None:
    with Server("--file", path) as server:
        assert server.info["serverInfo"]["name"] == "aiomemdb"
        assert server.info["capabilities"]["resources"] == {"subscribe": True, "listChanged": True}
        assert server.info["capabilities"]["tools"] == {"listChanged": True}


def test_the_nine_tools_and_the_resource_are_listed_as_the_reference_server_lists_them(path: Path) -> None:
    with Server("--file", path) as server:
        assert server.request("tools/list")["tools"] == list(tool_listing())
        assert server.request("resources/list")["resources"] == list(resource_listing())
        assert server.request("resources/templates/list")["resourceTemplates"] == []


@pytest.mark.soak
def test_answers_are_text_and_data(path: Path) -> None:
    with Server("--file", path) as server:
        answer = server.call("create_entities", entities=[ADA])
        assert answer["structuredContent"] == {"entities": [ADA]}
        assert answer["content"] == [{"type": "text", "text": json.dumps([ADA], indent=2)}]
        assert not answer.get("isError")


#: (tool, arguments, what it says)
FAILING = (
    ("add_observations", {"observations": [{"entityName": "X", "contents": ["a"]}]}, "Entity with name X not found"),
    ("nope", {}, "MCP error -32602: Tool nope not found"),
    (
        "open_nodes",
        {"names": ["a", None]},
        "MCP error -32602: Input validation error: Invalid arguments for tool open_nodes: "
        "Invalid input: expected string, received null at names[1]",
    ),
)


def test_an_error_has_its_words_and_no_prefix(path: Path) -> None:
    with Server("--file", path) as server:
        for tool, arguments, words in FAILING:
            answer = server.call(tool, **arguments)
            assert answer["isError"] is True and "structuredContent" not in answer
            assert answer["content"] == [{"type": "text", "text": words}]


@pytest.mark.soak
def test_the_resource_is_the_graph(path: Path) -> None:
    with Server("--file", path) as server:
        server.data("create_entities", entities=[ADA])
        [contents] = server.request("resources/read", {"uri": URI})["contents"]
        assert (contents["uri"], contents["mimeType"]) == (URI, "application/json")
        assert contents["text"] == server.text("read_graph")
        error = server.answer(server.ask("resources/read", {"uri": "memory://other"}))["error"]
        assert error == {"code": -32602, "message": "MCP error -32602: Resource memory://other not found"}


def test_what_another_process_writes_is_told_to_a_subscriber(path: Path) -> None:
    with Server("--file", path) as watching, Server("--file", path) as writing:
        watching.request("resources/subscribe", {"uri": URI})
        writing.data("create_entities", entities=[ADA])
        told = watching.notification()
        assert told == {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": URI}}


@pytest.mark.soak
def test_a_client_that_unsubscribed_is_told_nothing(path: Path) -> None:
    with Server("--file", path) as server, Server("--file", path) as other:
        for each in (server, other):
            each.request("resources/subscribe", {"uri": URI})
        server.request("resources/unsubscribe", {"uri": URI})
        server.data("create_entities", entities=[ADA])
        other.notification()
        server.request("ping")
        assert server.notifications == []


def test_standard_output_has_the_protocol_alone(path: Path, tmp_path: Path) -> None:
    """Whatever a library prints, from Python or below it."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, os\nfrom aiomemdb.mcp import serving\n"
        "async def read(self, uri):\n    print('from Python', flush=True)\n    os.system('echo from below')\n"
        "    return {'uri': uri, 'mimeType': 'text/plain', 'text': ''}\n"
        "serving.MemoryService.read = read\n"
    )
    with Server("--file", path, environ={"PYTHONPATH": f"{tmp_path}:{CHECKOUT}"}) as server:
        server.request("resources/read", {"uri": URI})
        assert server.close() == 0
    assert server.not_messages == []
    assert {"from Python", "from below"} <= set(server.errors)


@pytest.mark.soak
def test_a_line_that_is_no_message_is_left_out_and_said_on_standard_error(path: Path) -> None:
    with Server("--file", path) as server:
        server.write(b'garbage\n\n{"a": 1}\n\xff\xfe\n[]\n')
        assert names(server) == []
        server.close()
    assert sum("not a message of the protocol" in line for line in server.errors) == 4


def test_what_was_asked_before_the_input_ended_is_answered(path: Path) -> None:
    with Server("--file", path) as server:
        asked = [
            server.ask("tools/call", {"name": "create_entities", "arguments": {"entities": [{**ADA, "name": f"n{n}"}]}})
            for n in range(20)
        ]
        assert server.close() == 0
        assert {server.answer()["id"] for _ in asked} == set(asked)


@pytest.mark.soak
def test_many_large_messages_pass_in_both_directions(path: Path) -> None:
    with Server("--file", path) as server:
        text = "x" * 1_000_000
        for n in range(3):
            server.data("create_entities", entities=[{"name": f"n{n}", "entityType": "t", "observations": [text]}])
        assert len(server.text("read_graph")) > 3_000_000


@pytest.mark.soak
@pytest.mark.parametrize("by", [None, signal.SIGTERM, signal.SIGINT], ids=lambda by: "EOF" if by is None else by.name)
def test_the_stdio_server_ends_soon_and_keeps_all_that_it_answered(path: Path, by: signal.Signals | None) -> None:
    with Server("--file", path) as server:
        server.data("create_entities", entities=[ADA])
        server.request("resources/subscribe", {"uri": URI})
        began = time.monotonic()
        status = server.close() if by is None else server.end(by)
        took = time.monotonic() - began
    assert status == (130 if by is signal.SIGINT else 0), server.errors
    assert took < LIMIT and server.errors == []
    with Server("--file", path) as server:
        assert names(server) == ["Ada"]


@pytest.mark.soak
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
def test_the_stdio_server_ends_although_its_client_does_not_read(path: Path, by: signal.Signals) -> None:
    read, write = os.pipe()
    server = subprocess.Popen(
        [sys.executable, "-m", "aiomemdb", "mcp", "--file", str(path)],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    os.close(write)
    try:
        assert server.stdin is not None
        asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        server.stdin.write(
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": asked}).encode() + b"\n"
        )
        server.stdin.flush()
        os.read(read, 1)  # it serves
        listing = json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}).encode() + b"\n"
        server.stdin.write(listing * 40)  # far more than a pipe holds
        server.stdin.flush()
        server.send_signal(by)
        server.wait(LIMIT)
    finally:
        server.kill()
        server.wait()
        os.close(read)
        if server.stdin is not None:
            server.stdin.close()


_MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "modern", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.mark.skipif(find_spec("mcp_types") is None, reason="the SDK speaks no protocol of 2026")
def test_a_client_of_the_protocol_of_2026_listens_without_a_handshake(path: Path) -> None:
    with Server("--file", path, handshake=False) as server:
        wanted = {"resourceSubscriptions": [URI]}
        server.ask("subscriptions/listen", {"notifications": wanted, "_meta": _MODERN})
        assert server.notification()["method"] == "notifications/subscriptions/acknowledged"
        asked = {"name": "create_entities", "arguments": {"entities": [ADA]}, "_meta": _MODERN}
        assert server.request("tools/call", asked)["structuredContent"] == {"entities": [ADA]}
        assert server.notification()["params"]["uri"] == URI
        assert server.close() == 0


@pytest.mark.soak
def test_the_stdio_server_reads_from_a_file_too(path: Path, tmp_path: Path) -> None:
    asked = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": asked},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {
            "jsonrpc": "2.0",
            "id": 2,
            "method": "tools/call",
            "params": {"name": "create_entities", "arguments": {"entities": [ADA]}},
        },
    ]
    source = tmp_path / "asked.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)))
    with source.open("rb") as stdin:
        ended = subprocess.run(
            [sys.executable, "-m", "aiomemdb", "mcp", "--file", str(path)],
            stdin=stdin, capture_output=True, timeout=LIMIT, check=True,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        )  # fmt: skip
    assert [json.loads(line)["id"] for line in ended.stdout.splitlines()] == [1, 2]
