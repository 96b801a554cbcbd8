"""Programs that load documents and are killed."""

from __future__ import annotations

import random
from pathlib import Path

from tests.memory.conftest import Target, assert_whole
from tests.support import postgres
from tests.support.plain import plain
from tests.support.scripts import start_script


def _rows(target: Target, sql: str) -> list[tuple[object, ...]]:
    """Read by another connection than the library's."""
    if isinstance(target, str):
        return postgres.execute(f"{target}?options=-csearch_path%3Daiomemdb", sql)
    assert isinstance(target, Path)
    return [tuple(row) for row in plain(target, sql)]


def kill_again_and_again(script: str, target: Target, *arguments: object, kills: int, below: int) -> int:
    """Kill a program so often, wherever it is then, and look what it has left each time; at last run it to its end.

    Each time it may come a random way further than it was: on average it has done all as the last one is killed. So
    each kill meets what is written, and the memory that is looked at stays small.

    Args:
        script: brings documents into the memory at ``target``, each with nine facts and eleven mentions; prints 0 and
            then how far it is, one number a line.
        below: the number that it prints at its end.

    Returns: how often it was killed before its end with more rows there than the time before.
    """
    chance = random.Random(kills)
    done, stored, met = 0, 0, 0
    for _ in range(kills):
        with start_script(script, target, *arguments) as process:
            assert process.stdout is not None
            wanted = done + chance.randrange(1, max(2, 2 * below // (kills + 1)))
            for line in process.stdout:
                if int(line) >= wanted:
                    process.kill()
                    done = min(int(line), below)
                    break
        assert_whole(target)
        found = _rows(
            target,
            "SELECT DISTINCT (SELECT count(*) FROM fact_evidence v WHERE v.episode = p.id), "
            "(SELECT count(*) FROM mention m WHERE m.episode = p.id) FROM episode p",
        )
        assert found in ([(9, 11)], [])
        [(there,)] = _rows(target, "SELECT (SELECT count(*) FROM entity) + (SELECT count(*) FROM fact)")
        assert isinstance(there, int) and there >= stored
        met += there > stored and done < below
        stored = there
    with start_script(script, target, *arguments) as process:
        assert process.wait() == 0
    return met
