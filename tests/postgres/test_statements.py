"""How many statements a question of a memory is, in the server's own log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import combinations
from uuid import uuid4

import pytest

from aiomemdb import Memory
from tests.memory.support import SpellingEmbedder
from tests.support import postgres
from tests.support.postgres import Server

MOST = 15
KINDS = ("fact", "episode", "entity")
_RUN = re.compile(r"(?:execute [^:]*|statement): ", re.MULTILINE)


class Log:
    """What a server was asked by the programs of one database."""

    def __init__(self, server: Server, url: str) -> None:
        self._server, self._url = server, url
        self._last = self._mark()

    def _mark(self) -> str:
        mark = f"SELECT 'mark {uuid4()}'"
        postgres.execute(self._url, mark)
        end = time.monotonic() + 30
        while mark not in self._server.log():
            assert time.monotonic() < end
        return mark

    def statements(self) -> list[str]:
        """Those since the last time."""
        last, self._last = self._last, self._mark()
        here = self._server.log().partition(last)[2].partition(self._last)[0]
        runs = [each.partition("\n")[0] for each in _RUN.split(here)[1:-1]]  # the last one is the mark's own
        # What ends a snapshot is sent without waiting for it: it may come a mark later, and a connection be made.
        return [*(each for each in runs if each != "ROLLBACK" and not each.startswith("SET ")), "ROLLBACK"]


@pytest.fixture
def log(server: Server, url: str) -> Iterator[Log]:
    name = url.rsplit("/", 1)[1]
    postgres.execute(url, f"ALTER DATABASE {name} SET log_statement = 'all'")
    yield Log(server, url)
    postgres.execute(url, f"ALTER DATABASE {name} RESET log_statement")


async def fill(memory: Memory) -> None:
    for number in range(30):
        who, where = f"Ann {number}", f"Rome {number % 5}"
        await memory.remember(
            f"{who} grows white roses in {where}",
            [(who, "grows", "roses"), (who, "lives in", where)],
            session=f"s{number % 3}",
            source=who,
        )


@pytest.mark.parametrize("strategy", ["hybrid", "expand", "ppr"])
@pytest.mark.parametrize("embedder", [None, SpellingEmbedder()], ids=["words", "vectors"])
async def test_a_question_is_fifteen_statements_at_most(
    url: str, log: Log, strategy: str, embedder: SpellingEmbedder | None
) -> None:
    async with Memory.open(url, embedder=embedder) as memory:
        await fill(memory)
        await memory.recall("who?")
        for size in (1, 2, 3):
            for kinds in combinations(KINDS, size):
                log.statements()
                found = await memory.recall("Who grows roses in Rome 3, Ann 7?", strategy=strategy, kinds=kinds)  # type: ignore[arg-type]
                asked = log.statements()
                assert found.hits
                assert asked[0].startswith("BEGIN")
                assert len(asked) <= MOST, "\n".join(asked)
