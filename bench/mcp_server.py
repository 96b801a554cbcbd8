"""The MCP server beside the reference server on node: the same calls over standard input, and how long others wait.

    python bench/mcp_server.py [--quick] [--rounds 9] [--json FOLDER] [--reference PATH/TO/index.js]

Both are processes that a client of the same make talks to, so each time has the protocol in it. They hold the same
entities, of five observations each. "ratio" is our time as part of theirs, "CPU" the same of the processes' CPU
time, which says more on a busy machine. Without ``--reference`` the package is installed by npm into the user's cache;
it needs node.

"others" is how long a second server's single creates take, while the first one does what the row says; beside "nothing"
it is a matter of the machine.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from _harness import option_parser, print_context, write_json

PACKAGE = "@modelcontextprotocol/server-memory@2026.8.31"
CHECKOUT = Path(__file__).parents[1]

#: What each row is to be at most, as part of the reference server's time.
BARS = {
    "create, 2,000 there": 0.5,
    "create, 50,000 there": 0.05,
    "2,000 entities in one call": 1.0,
    "search, 2,000 there": 1.0,
    "search, 50,000 there": 0.4,
}
#: Seconds that a single create waits at most beside single creates, searches and reads.
WAIT_BAR = 0.05


class Client:
    """A server as a process, and a connection to it."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        whole = {**os.environ, "PYTHONPATH": str(CHECKOUT), **environ}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=whole
        )
        self._asked = 0
        clientinfo = {"name": "bench", "version": "1"}
        self._request("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": clientinfo})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = self._request("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return result

    def timed(self, tool: str, **arguments: Any) -> float:
        began = time.perf_counter()
        self.call(tool, **arguments)
        return time.perf_counter() - began

    @property
    def cpu(self) -> float:
        """Seconds that the process has computed, by the kernel's clock of 10 ms; 0 where there is no /proc."""
        stat = Path(f"/proc/{self._process.pid}/stat")
        if not stat.exists():
            return 0.0
        user, system = stat.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _request(self, method: str, params: Mapping[str, Any]) -> Any:
        self._asked += 1
        self._send({"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params})
        assert self._process.stdout is not None
        while True:
            answer = json.loads(self._process.stdout.readline())
            if answer.get("id") == self._asked:
                return answer["result"]


def entity(number: int, name: str = "entity") -> dict[str, Any]:
    observations = [f"observation {n} of number {number}, of some ordinary length" for n in range(5)]
    return {"name": f"{name} {number}", "entityType": f"type {number % 20}", "observations": observations}


@contextmanager
def both(reference: Path, there: int) -> Iterator[dict[str, Client]]:
    """Both servers, with so many entities."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "memory.jsonl"
        lines.write_text("\n".join(json.dumps({"type": "entity", **entity(number)}) for number in range(there)))
        clients: dict[str, Client] = {}
        try:
            database = str(Path(folder) / "memory.db")
            clients["ours"] = ours(database, "--import", str(lines))
            clients["theirs"] = Client(["node", str(reference)], {"MEMORY_FILE_PATH": str(lines)})
            yield clients
        finally:
            for client in clients.values():
                client.close()


def ours(database: str, *arguments: str) -> Client:
    return Client([sys.executable, "-m", "aiomemdb", "mcp", "--file", database, *arguments], {})


class Times:
    """Of a row, by server."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {"ours": [], "theirs": []}
        self.cpu: dict[str, float] = {"ours": 0.0, "theirs": 0.0}

    def measure(self, name: str, client: Client, work: Callable[[Client, int], float], number: int) -> None:
        before = client.cpu
        self.took[name].append(work(client, number))
        self.cpu[name] += client.cpu - before

    @property
    def medians(self) -> dict[str, float]:
        return {name: statistics.median(each) for name, each in self.took.items()}

    @property
    def cpu_ratio(self) -> float:
        return self.cpu["ours"] / (self.cpu["theirs"] or math.nan)


def in_turn(clients: Mapping[str, Client], rounds: int, measure: Callable[[Client, int], float]) -> Times:
    """So that what else the machine does falls on both."""
    times = Times()
    for number in range(rounds):
        for name, client in clients.items():
            times.measure(name, client, measure, number)
    return times


def create(client: Client, number: int) -> float:
    return client.timed("create_entities", entities=[entity(number, "new")])


def create_many(client: Client, count: int) -> float:
    return client.timed("create_entities", entities=[entity(number) for number in range(count)])


def search(client: Client, number: int) -> float:
    return client.timed("search_nodes", query=f"of NUMBER {1000 + number},")


def waits_beside(database: str, seconds: float, work: Callable[[Client, int], object]) -> list[float]:
    """Of a second server's single creates, while the first one works. Its client is a process of its own: in one
    process it would wait for the other client, which decodes graphs.
    """
    here, there = multiprocessing.Pipe()
    client = multiprocessing.get_context("spawn").Process(target=_creates, args=(database, seconds, there))
    first = ours(database)
    try:
        work(first, -1)
        client.start()
        here.recv()  # it is ready
        number = 0
        while not here.poll():
            work(first, number)
            number += 1
        waits: list[float] = here.recv()
    finally:
        first.close()
        client.join()
    return waits


def _creates(database: str, seconds: float, answer: Connection) -> None:
    server = ours(database)
    server.timed("read_graph")
    answer.send(None)
    waits: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        waits.append(server.timed("create_entities", entities=[entity(len(waits), f"other {time.monotonic_ns()}")]))
    answer.send(waits)
    server.close()


def main() -> None:
    parser = option_parser(__doc__, quick="fewer rounds, 5,000 in the place of 50,000")
    parser.add_argument("--reference", type=Path, metavar="INDEX.JS", help="the reference server's program")
    options = parser.parse_args()
    rounds, large, seconds = (3, 5_000, 1.0) if options.quick else (options.rounds, 50_000, 5.0)
    print_context(f"{rounds} rounds")
    if shutil.which("node") is None:
        sys.exit("the reference server needs node")
    reference = options.reference or installed()

    rows: dict[str, Times] = {}
    for there in (2_000, large):
        with both(reference, there) as clients:
            for name, measure in (("create", create), ("search", search)):
                rows[f"{name}, {there:,} there"] = in_turn(clients, rounds * 3, measure)
    many = rows["2,000 entities in one call"] = Times()
    for _ in range(rounds):
        with both(reference, 0) as clients:
            for name, client in clients.items():
                many.measure(name, client, create_many, 2_000)

    print(f"{'':28} {'ours':>10} {'theirs':>10} {'ratio':>7} {'CPU':>7} {'bar':>5}")
    for name, times in rows.items():
        bar, row = BARS.get(name), times.medians
        ratio = row["ours"] / row["theirs"]
        shown = "" if bar is None else f"{bar:5.2f}{'' if ratio <= bar else '  missed'}"
        both_shown = f"{row['ours'] * 1e3:8.2f}ms {row['theirs'] * 1e3:8.2f}ms {ratio:7.3f} {times.cpu_ratio:7.3f}"
        print(f"{name:28} {both_shown} {shown}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder) / "memory.db")
        filling = ours(database)
        filling.call("create_entities", entities=[entity(n) for n in range(2_000)])
        filling.close()
        waits = {
            "nothing": waits_beside(database, seconds, lambda client, _: time.sleep(0.01)),
            "creates": waits_beside(database, seconds, create),
            "searches": waits_beside(database, seconds, search),
            "reads": waits_beside(database, seconds, lambda client, _: client.timed("read_graph")),
        }
    for name, each in waits.items():
        most, median = max(each), statistics.median(each)
        shown = f"{median * 1e3:8.2f}ms, {most * 1e3:8.2f}ms at most of {len(each):,}"
        print(f"others beside {name:14} {shown} {'' if most <= WAIT_BAR else ' missed'}")
    if options.json:
        write_json(options.json, {"rows": {name: times.took for name, times in rows.items()}, "waits": waits})


def installed() -> Path:
    """The reference server's program."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiomemdb" / "mcp" / "bench"
    program = cache / "node_modules" / "@modelcontextprotocol" / "server-memory" / "dist" / "index.js"
    if not program.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", cache, PACKAGE], check=True)
    return program


if __name__ == "__main__":
    main()
