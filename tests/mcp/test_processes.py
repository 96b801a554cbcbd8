"""Several servers on one file, as several sessions of a chat client start them."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.clients import Server

pytestmark = pytest.mark.soak

SERVERS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


def entity(name: str, type: str = "thing", *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": type, "observations": list(observations)}


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Runs each in a thread, all beginning together. Raises: what one of them raises."""
    results: list[Any] = [None] * len(works)
    errors: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(place: int, work: Callable[[], Any]) -> None:
        try:
            gate.wait()
            results[place] = work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def test_of_what_four_servers_create_nothing_is_lost(path: Path) -> None:
    servers = [Server("--file", path) for _ in range(SERVERS)]
    try:

        def create(number: int, server: Server) -> int:
            made = [server.data("create_entities", entities=[entity(f"{number}/{n}")]) for n in range(50)]
            return sum(len(each["entities"]) for each in made)

        counts = at_once(*(lambda n=n, s=s: create(n, s) for n, s in enumerate(servers)))
        assert counts == [50] * SERVERS
        assert len(servers[0].data("read_graph")["entities"]) == 50 * SERVERS
    finally:
        for server in servers:
            server.close()


@pytest.mark.parametrize("names", ["folded", "exact"])
def test_of_what_four_servers_create_alike_each_is_there_once_and_reported_once(path: Path, names: str) -> None:
    """Names with different types, relations between them, and observations of them."""
    servers = [Server("--file", path, "--names", names) for _ in range(SERVERS)]
    wanted = [f"name {n}" for n in range(40)]
    links = [{"from": one, "to": f"only in a relation {n}", "relationType": "knows"} for n, one in enumerate(wanted)]
    try:

        def work(number: int, server: Server) -> list[tuple[str, ...]]:
            order = random.Random(number)
            new: list[tuple[str, ...]] = []
            for name in order.sample(wanted, len(wanted)):
                made = server.data("create_entities", entities=[entity(name, f"type {number}", f"by {number}")])
                new += [("entity", each["name"]) for each in made["entities"]]
            for link in order.sample(links, len(links)):
                made = server.data("create_relations", relations=[link])
                new += [("relation", *each.values()) for each in made["relations"]]
            for name in order.sample(wanted, len(wanted)):
                [made] = server.data("add_observations", observations=[{"entityName": name, "contents": ["seen"]}])[
                    "results"
                ]
                new += [("observation", name, text) for text in made["addedObservations"]]
            return new

        reported = Counter(
            item for items in at_once(*(lambda n=n, s=s: work(n, s) for n, s in enumerate(servers))) for item in items
        )
        assert set(reported.values()) == {1} and len(reported) == 3 * len(wanted)
        graph = servers[-1].data("read_graph")
        assert sorted(each["name"] for each in graph["entities"]) == sorted(wanted)
        assert all(len(each["observations"]) == 2 for each in graph["entities"])
        assert sorted(map(json.dumps, graph["relations"])) == sorted(map(json.dumps, links))
    finally:
        for server in servers:
            server.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_server_loses_nothing_that_it_answered_and_leaves_nothing_half(path: Path, seed: int) -> None:
    """Another one goes on meanwhile. Each call makes two entities, so that a half of it would be seen."""
    answered: list[int] = []
    victim, other = Server("--file", path), Server("--file", path)
    after = random.Random(seed).uniform(0.05, 0.6)
    timer = threading.Timer(after, victim.process.kill)
    timer.start()
    try:
        for n in range(10_000):
            victim.data("create_entities", entities=[entity(f"a{n}", "t", "seen"), entity(f"b{n}", "t", "seen")])
            answered.append(n)
    except (EOFError, BrokenPipeError):
        pass
    finally:
        timer.join()
        victim.process.kill()
        victim.wait()
    assert victim.process.returncode == -signal.SIGKILL
    other.data("create_entities", entities=[entity("other")])
    graph = {each["name"]: each for each in other.data("read_graph")["entities"]}
    assert other.close() == 0
    assert {f"{letter}{n}" for n in answered for letter in "ab"} <= set(graph)
    assert all(each["observations"] == ["seen"] for name, each in graph.items() if name != "other")
    assert len([name for name in graph if name[0] == "a"]) == len([name for name in graph if name[0] == "b"])


def test_a_mirror_that_four_servers_keep_is_the_graph_after_each_answer(path: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.jsonl"
    servers = [Server("--file", path, "--mirror", mirror) for _ in range(SERVERS)]
    try:

        def create(number: int, server: Server) -> None:
            for n in range(15):
                server.data("create_entities", entities=[entity(f"{number}/{n}")])
                there = {json.loads(line)["name"] for line in mirror.read_text().split("\n")}
                assert f"{number}/{n}" in there

        at_once(*(lambda n=n, s=s: create(n, s) for n, s in enumerate(servers)))
        assert len(mirror.read_text().split("\n")) == 15 * SERVERS
    finally:
        for server in servers:
            server.close()
    assert sorted(os.listdir(tmp_path)) == ["memory.db", "mirror.jsonl", "mirror.jsonl.lock"] or (
        not [name for name in os.listdir(tmp_path) if name.startswith(".mirror")]
    )


def test_servers_that_start_together_import_a_file_once(path: Path, tmp_path: Path) -> None:
    lines = tmp_path / "memory.jsonl"
    lines.write_text("\n".join(json.dumps({"type": "entity", **entity(f"n{n}", "t", "seen")}) for n in range(300)))
    before = lines.read_bytes()
    environ = {"MEMORY_FILE_PATH": str(lines), "AIOMEMDB_URL": ""}
    servers = at_once(*(lambda: Server(environ=environ),) * SERVERS)
    try:
        graphs = [server.data("read_graph")["entities"] for server in servers]
        assert all(len(graph) == 300 and graph == graphs[0] for graph in graphs)
        servers[0].data("delete_entities", entityNames=["n0"])
    finally:
        for server in servers:
            server.close()
    with Server(environ=environ) as server:
        assert len(server.data("read_graph")["entities"]) == 299
    assert lines.read_bytes() == before
