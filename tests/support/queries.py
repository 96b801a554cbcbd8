"""SQL that takes as long as a test wants."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from tests.support.gates import Gate

#: Counts for ever; only an interrupt ends it.
ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

#: The same, and it enters ``gate()`` as it begins (see ``sql_gate``): with an open gate a test sees that it runs.
ENDLESS_FROM_GATE = ENDLESS.replace("SELECT 1", "SELECT coalesce(gate(), 1)")

#: The numbers from 1 to ?.
NUMBERS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?) SELECT x FROM n"


def sql_gate(gate: Gate) -> Callable[[sqlite3.Connection], None]:
    """For ``connect(prepare=...)``: the SQL function ``gate()`` waits until the gate is opened, and returns NULL."""

    def prepare(conn: sqlite3.Connection) -> None:
        conn.create_function("gate", -1, gate.block)

    return prepare
