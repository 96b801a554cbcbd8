"""The page's server: who it answers, what it answers, and that it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from aiomemdb import Memory
from aiomemdb.memory.changes import position_of
from aiomemdb.memory.questions import FeedPlace
from aiomemdb.pageserver import guard
from aiomemdb.pageserver.server import serve_page
from tests.memory.support import day

PATIENCE = 60.0


class Site:
    """A served memory, and a client that asks it as a browser does."""

    def __init__(self, memory: Memory, address: str, client: httpx2.AsyncClient) -> None:
        self.memory = memory
        self.address = address
        self.client = client
        parts = urlsplit(address)
        self.port = parts.port
        [self.token] = parse_qs(parts.query)["token"]
        self.base = f"http://127.0.0.1:{self.port}"

    async def get(self, path: str, *, headers: dict[str, str] | None = None, **asked: object) -> httpx2.Response:
        params = {"token": self.token, **{name: str(value) for name, value in asked.items()}}
        return await self.client.get(self.base + path, params=params, headers=headers)

    async def json(self, path: str, **asked: object) -> Any:
        answer = await self.get(path, **asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    @asynccontextmanager
    async def events(self, after: str, last: str | None = None) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
        headers = {} if last is None else {"last-event-id": last}
        params = {"token": self.token, "after": after}
        async with self.client.stream("GET", f"{self.base}/events", params=params, headers=headers) as answer:
            assert answer.status_code == 200

            async def messages() -> AsyncIterator[tuple[str, Any]]:
                id = ""
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        id = line[4:]
                    if line.startswith("data: "):
                        yield id, json.loads(line[6:])

            yield messages()


@pytest.fixture
async def site(place: Path | str) -> AsyncIterator[Site]:
    async with (
        Memory.open(place, agent="ann") as memory,
        serve_page(memory, title="notes") as address,
        httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
    ):
        yield Site(memory, address, client)


def rows(data: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [dict(zip(data["fields"][kind], row, strict=True)) for row in data[kind]]


# -- who may ask -----------------------------------------------------------------------------------------------

PATHS = ("/", "/picture", "/around", "/item", "/recall", "/path", "/events", "/positions", "/nowhere", "/../etc/passwd")


async def test_without_its_token_each_path_is_refused(site: Site) -> None:
    await site.memory.add_fact("secret", "is", "safe")
    for path in PATHS:
        for token in (None, "", "x" * len(site.token), site.token[:-1], site.token + "x", site.token.swapcase()):
            answer = await site.client.get(site.base + path, params={} if token is None else {"token": token})
            assert (answer.status_code, "secret" in answer.text) == (403, False), (path, token)


async def test_a_token_counts_once_and_in_the_address_alone(site: Site) -> None:
    for headers in ({"authorization": f"Bearer {site.token}"}, {"cookie": f"token={site.token}"}):
        assert (await site.client.get(f"{site.base}/picture", headers=headers)).status_code == 403
    twice = await site.client.get(f"{site.base}/picture?token={site.token}&token={site.token}")
    assert twice.status_code == 403


async def test_by_another_name_it_is_refused(site: Site) -> None:
    for host in ("evil.example", "127.0.0.1", f"127.0.0.1.evil.example:{site.port}", f"[::1]:{site.port}", ""):
        assert (await site.get("/picture", headers={"host": host})).status_code == 403, host
    for name in ("127.0.0.1", "localhost"):
        assert (await site.get("/picture", headers={"host": f"{name}:{site.port}"})).status_code == 200


async def test_two_hosts_in_one_request_are_refused(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    host = f"Host: 127.0.0.1:{site.port}\r\n"
    writer.write(f"GET /picture?token={site.token} HTTP/1.1\r\n{host}{host}\r\n".encode())
    line = await asyncio.wait_for(reader.readline(), PATIENCE)
    writer.close()
    await writer.wait_closed()
    assert b" 403 " in line or b" 400 " in line


async def test_a_page_of_another_origin_is_refused(site: Site) -> None:
    for origin in (
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://localhost:{port}",
    ):
        answer = await site.get("/picture", headers={"origin": origin.format(port=site.port)})
        assert answer.status_code == 403, origin
    for elsewhere in ("cross-site", "same-site"):
        assert (await site.get("/picture", headers={"sec-fetch-site": elsewhere})).status_code == 403
    for here in ("same-origin", "none"):
        assert (await site.get("/picture", headers={"sec-fetch-site": here})).status_code == 200
    assert (await site.get("/picture", headers={"origin": site.base})).status_code == 200


async def test_the_server_only_reads(site: Site) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"):
        answer = await site.client.request(method, f"{site.base}/picture", params={"token": site.token})
        assert answer.status_code == 403, method


async def test_positions_are_taken_from_its_own_page_alone(site: Site) -> None:
    own, there = f"http://127.0.0.1:{site.port}", f"{site.base}/positions"
    for headers, token in (
        ({}, site.token),
        ({"origin": "https://evil.example"}, site.token),
        ({"origin": "null"}, site.token),
        ({"origin": own, "sec-fetch-site": "cross-site"}, site.token),
        ({"origin": own}, "x" * len(site.token)),
    ):
        answer = await site.client.post(there, params={"token": token}, headers=headers, content=b"[[1,2,3,4]]")
        assert answer.status_code == 403, headers
    for path in PATHS:
        if path != "/positions":
            answer = await site.client.post(site.base + path, params={"token": site.token}, headers={"origin": own})
            assert answer.status_code == 403, path
    assert await site.json("/positions") == []


async def test_no_answer_may_be_framed_kept_or_read_by_others(site: Site) -> None:
    answers = [await site.get("/"), await site.get("/picture"), await site.get("/nowhere"), await site.get("/item")]
    answers.append(await site.client.get(site.base))
    assert [answer.status_code for answer in answers] == [200, 200, 404, 400, 403]
    for answer in answers:
        assert dict(guard.HEADERS).items() <= dict(answer.headers).items()
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


async def test_the_server_listens_on_this_machine_alone(site: Site) -> None:
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with pytest.raises(OSError):
            await asyncio.open_connection(address, site.port)


async def test_each_server_has_a_token_of_its_own(place: Path | str) -> None:
    async with Memory.open(place) as memory, serve_page(memory) as one, serve_page(memory) as two:
        assert urlsplit(one).query != urlsplit(two).query
        assert len(parse_qs(urlsplit(one).query)["token"][0]) >= 43


# -- what it answers -------------------------------------------------------------------------------------------


async def test_the_page_comes_without_data_and_the_data_by_itself(site: Site) -> None:
    await site.memory.remember("Ada moved.", [("Ada", "lives in", "Ockhamshire")], key="letter")
    page = await site.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Ockhamshire" not in page.text and 'id="data"' not in page.text
    data = await site.json("/picture")
    assert {entity["name"] for entity in rows(data, "entities")} == {"Ada", "Ockhamshire"}
    assert data["title"] == "notes"


async def test_parts_are_what_is_asked_for(site: Site) -> None:
    fact = await site.memory.add_fact("Ada", "lives in", "London")
    await site.memory.add_fact("London", "is in", "England")
    text = await site.memory.add_episode("Ada moved.")
    around = await site.json("/around", entity=fact.subject)
    assert {entity["name"] for entity in rows(around, "entities")} == {"Ada", "London"}
    one = await site.json("/item", kind="fact", id=fact.id)
    assert [row["id"] for row in rows(one, "facts")] == [fact.id]
    assert len(one["entities"]) == 2
    assert [row["content"] for row in rows(await site.json("/item", kind="episode", id=text.id), "episodes")] == [
        "Ada moved."
    ]
    assert (await site.json("/item", kind="fact", id=999))["facts"] == []


async def test_the_first_view_has_few_of_the_texts_and_a_chosen_entity_more(site: Site) -> None:
    for number in range(5):
        await site.memory.remember(f"Ada said {number}.", [("Ada", "works for", "Acme")])
    [ada] = [each for each in rows(await site.json("/picture"), "entities") if each["name"] == "Ada"]
    first, around = [
        [line["episode"] for line in rows(data, "mentions") if line["entity"] == ada["id"]]
        for data in (await site.json("/picture"), await site.json("/around", entity=ada["id"]))
    ]
    assert (len(first), len(around)) == (1, 5)
    assert first == around[:1]


async def test_a_search_is_recall_with_scores_and_how_each_was_found(site: Site) -> None:
    await site.memory.remember("Ada moved to London.", [("Ada", "lives in", "London")])
    hits = await site.json("/recall", q="Where does Ada live?")
    found = await site.memory.recall("Where does Ada live?", limit=30, kinds=("fact", "episode", "entity"))
    assert [(hit["kind"], hit["id"]) for hit in hits] == [(hit.kind, hit.item.id) for hit in found]
    assert hits[0]["score"] == round(found.hits[0].score, 3)
    assert "BM25" in hits[0]["how"]
    assert await site.json("/recall", q="Ada", known_at=0) == []


async def test_a_path_is_that_of_the_verb_at_its_time(site: Site) -> None:
    one = await site.memory.add_fact("a", "to", "b", valid_at=day(1), invalid_at=day(9))
    two = await site.memory.add_fact("b", "to", "c")
    assert two.object is not None
    then = int(day(5).timestamp() * 1000)
    assert await site.json("/path", source=one.subject, target=two.object, as_of=then) == [one.id, two.id]
    assert await site.json("/path", source=one.subject, target=two.object) is None
    assert await site.json("/path", source=one.subject, target=999) is None


async def test_no_other_namespace_is_shown(site: Site) -> None:
    fact = await site.memory.scoped(namespace="private").add_fact("Eve", "hides", "Key")
    text = await site.memory.scoped(namespace="private").add_episode("Eve hides a key.")
    questions: tuple[tuple[str, dict[str, object]], ...] = (
        ("/picture", {}),
        ("/around", {"entity": fact.subject}),
        ("/recall", {"q": "Eve key"}),
        ("/item", {"kind": "fact", "id": fact.id}),
        ("/item", {"kind": "episode", "id": text.id}),
        ("/item", {"kind": "entity", "id": fact.subject}),
        ("/path", {"source": fact.subject, "target": fact.object}),
    )
    asked = [await site.get(path, **options) for path, options in questions]
    assert all(answer.status_code == 200 for answer in asked)
    assert not [answer.text for answer in asked if "Eve" in answer.text or "hides" in answer.text]


WRONG: tuple[tuple[str, dict[str, str]], ...] = (
    ("/around", {}), ("/around", {"entity": "x"}), ("/item", {"kind": "x", "id": "1"}), ("/recall", {}),
    ("/recall", {"q": "x", "as_of": "soon"}), ("/recall", {"q": "x", "known_at": "9" * 30}), ("/events", {}),
    ("/events", {"after": "x"}), ("/path", {"source": "1"}),
)  # fmt: skip


async def test_a_wrong_question_is_answered_with_what_is_wrong(site: Site) -> None:
    for path, asked in WRONG:
        answer = await site.get(path, **asked)
        assert (answer.status_code, answer.text[:4]) == (400, "400:"), (path, asked)


# -- what is written -------------------------------------------------------------------------------------------


async def test_what_is_written_is_told_and_a_lost_connection_goes_on_where_it_was(site: Site) -> None:
    await site.memory.add_fact("Ada", "knows", "Ben")
    position = (await site.json("/picture"))["position"]
    async with asyncio.timeout(PATIENCE), site.events(position) as events:
        first = await site.memory.add_fact("Ada", "knows", "Cleo")
        seen, last = set(), position
        while first.id not in seen:
            last, told = await anext(events)
            seen |= {fact["id"] for fact in rows(told, "facts")}
        assert first.id in told["changed"]
    second = await site.memory.add_fact("Ada", "knows", "Dan")
    third = await site.memory.add_fact("Ada", "age", value=7)
    async with asyncio.timeout(PATIENCE), site.events(position, last) as events:
        changed: set[int] = set()
        while not {second.id, third.id} <= changed:
            _, told = await anext(events)
            changed |= set(told["changed"])
        assert first.id not in changed


async def test_what_is_written_while_the_first_view_is_read_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(site.memory._core.store)
    read = kind.picture

    async def read_and_written(self: Any, *args: Any) -> Any:
        picture = await read(self, *args)
        await site.memory.add_fact("Ada", "wrote", "meanwhile")
        return picture

    monkeypatch.setattr(kind, "picture", read_and_written)
    position = (await site.json("/picture"))["position"]
    monkeypatch.undo()
    [meanwhile] = await site.memory.facts("Ada", "wrote")
    last = await site.memory.add_fact("Ada", "wrote", "afterwards")
    changed: set[int] = set()
    async with asyncio.timeout(PATIENCE), site.events(position) as events:
        while last.id not in changed:
            _, told = await anext(events)
            changed |= set(told["changed"])
    assert meanwhile.id in changed


async def test_what_is_forgotten_or_merged_is_told(site: Site) -> None:
    memory = site.memory
    ada, countess = [await memory.find_or_create_entity(name) for name in ("Ada", "Countess")]
    fact = await memory.add_fact(countess, "knows", "Ben")
    position = (await site.json("/picture"))["position"]
    await memory.merge(ada, countess)
    await memory.forget(fact)
    gone: list[Any] = []
    merged: list[int] = []
    async with asyncio.timeout(PATIENCE), site.events(position) as events:
        while ["fact", fact.id] not in gone:
            _, told = await anext(events)
            gone += told["gone"]
            merged += told["merged"]
    assert ["entity", countess.id] in gone
    assert ada.id in merged


async def test_a_storm_of_writes_is_few_messages(site: Site) -> None:
    position = position_of(FeedPlace(0, {}))
    async with asyncio.TaskGroup() as group:
        for number in range(300):
            group.create_task(site.memory.add_fact(f"n{number}", "next", f"n{number + 1}"))
    messages, changed = 0, set[int]()
    async with asyncio.timeout(PATIENCE), site.events(position) as events:
        while len(changed) < 300:
            _, told = await anext(events)
            changed |= set(told["changed"])
            messages += 1
    assert messages <= 10


# -- where things stand ----------------------------------------------------------------------------------------


async def keep(address: str, body: bytes) -> int:
    parts = urlsplit(address)
    async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        where = f"http://{parts.netloc}/positions?{parts.query}"
        return (await client.post(where, content=body, headers={"origin": f"http://{parts.netloc}"})).status_code


async def kept(address: str) -> Any:
    async with httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        return (await client.get(address.replace("/?", "/positions?"))).json()


async def test_where_things_stand_is_there_for_the_next_server(place: Path | str, tmp_path: Path) -> None:
    file = tmp_path / "state" / "positions.json"
    async with Memory.open(place) as memory:
        async with serve_page(memory, positions=file) as address:
            assert await kept(address) == []
            assert await keep(address, b"[[1,-20,30,1700000000000],[2,0,0,5]]") == 200
            assert await keep(address, b"[[1,4,4,1700000000000]]") == 200
        async with serve_page(memory, positions=file) as address:
            assert await kept(address) == [[2, 0, 0, 5], [1, 4, 4, 1700000000000]]
        assert file.stat().st_mode & 0o077 == 0
        file.write_bytes(b'{"cut')
        async with serve_page(memory, positions=file) as address:
            assert await kept(address) == []
    assert [path.name for path in file.parent.iterdir()] == [file.name]


async def test_without_a_file_or_with_one_that_cannot_be_written_they_are_kept_meanwhile(
    place: Path | str, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    async with Memory.open(place) as memory:
        for file in (None, tmp_path / "taken" / "positions.json"):
            async with serve_page(memory, positions=file) as address:
                assert await keep(address, b"[[1,2,3,4]]") == 200
                assert await kept(address) == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[[1,2,3]]",
        b'[[1,2,3,"4"]]',
        b"[[1,2,NaN,4]]",
        b"[[1,2,1e999,4]]",
        b"[[1,2,99999999,4]]",
        b"[[true,2,3,4]]",
        b"[" * 100_000,
        b" " * 4_000_001,
        b"\xff",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_what_is_no_position_is_refused(place: Path | str, body: bytes) -> None:
    async with Memory.open(place) as memory, serve_page(memory) as address:
        assert await keep(address, body) == 400
        assert await kept(address) == []


async def test_of_too_many_positions_the_first_go(place: Path | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiomemdb.pageserver.positions._MOST", 3)
    async with Memory.open(place) as memory, serve_page(memory) as address:
        assert await keep(address, json.dumps([[id, 0, 0, 0] for id in range(5)]).encode()) == 200
        assert [id for id, *_ in await kept(address)] == [2, 3, 4]


# -- its end ---------------------------------------------------------------------------------------------------


async def test_the_server_ends_though_a_stream_is_open(place: Path | str) -> None:
    async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
        async with Memory.open(place) as memory, serve_page(memory) as address:
            site = Site(memory, address, client)
            position = (await site.json("/picture"))["position"]
            entered = site.events(position)
            events = await entered.__aenter__()
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        await entered.__aexit__(None, None, None)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", site.port)


async def test_a_port_in_use_is_named(db_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        async with Memory.open(db_path) as memory:
            with pytest.raises(OSError, match=f"port {port} is in use: choose another"):
                async with serve_page(memory, port=port):
                    pass


async def test_what_is_no_port_is_refused(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        with pytest.raises(ValueError, match="from 0 to 65535"):
            async with serve_page(memory, port=70_000):
                pass


async def test_without_its_package_an_error_says_what_to_install(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    async with Memory.open(db_path) as memory:
        with pytest.raises(ImportError, match=r"aiomemdb\[serve\]"):
            async with serve_page(memory):
                pass
