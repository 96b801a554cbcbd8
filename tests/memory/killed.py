"""Programs that load documents and are killed."""

from __future__ import annotations

import random
from pathlib import Path

from tests.memory.conftest import assert_sound
from tests.support.plain import plain
from tests.support.scripts import start_script


def kill_again_and_again(script: str, path: Path, *arguments: object, kills: int, below: int) -> None:
    """Kill a program so often, wherever it is then, and look what it has left each time; at last run it to its end.

    Args:
        script: brings documents into the memory at ``path``, each with nine facts and eleven mentions; prints 0 and
            then how far it is, one number a line.
        below: it is killed as it has printed a number below this.
    """
    chance = random.Random(kills)
    for _ in range(kills):
        with start_script(script, path, *arguments) as process:
            assert process.stdout is not None
            wanted = chance.randrange(below)
            for line in process.stdout:
                if int(line) >= wanted:
                    process.kill()
                    break
        assert_sound(path)
        found = plain(
            path,
            "SELECT (SELECT count(*) FROM fact_evidence v WHERE v.episode = p.id), "
            "(SELECT count(*) FROM mention m WHERE m.episode = p.id), count(*) FROM episode p GROUP BY 1, 2",
        )
        assert [tuple(row)[:2] for row in found] in ([(9, 11)], [])
    with start_script(script, path, *arguments) as process:
        assert process.wait() == 0
