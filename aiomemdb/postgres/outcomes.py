"""Which COMMITs came through: each transaction writes its number into its writer's own row of ``aiomemdb_writer``.

A connection that is lost during COMMIT leaves open whether that came through. So the next connection *adopts* the row:
it reads the number there ``FOR UPDATE``, which waits for a server's process that may still be committing, and writes
its own *epoch* into it. Behind that no transaction of an earlier epoch can come through any more: the statement that
writes the number fails where the epoch is another one, and its transaction with it. What the row said counts once the
transaction that asked has been committed itself: only its COMMIT waits for the standbys that the server waits for.
A process that holds the row though its client is gone is ended, by the pair of its number and its beginning.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

from .codes import is_lock_timeout
from .driver import NOTHING, Dumper, psycopg
from .link import Answer, Command, Link
from .operations import one_value
from .recorder import Recorder

__all__ = ["BEGIN", "COMMIT", "ROLLBACK", "TABLE", "Ledger", "first_error"]

log: logging.Logger = logging.getLogger("aiomemdb")

TABLE = "aiomemdb_writer"
BEGIN: Command = (b"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", NOTHING)
COMMIT: Command = (b"COMMIT", NOTHING)
ROLLBACK: Command = (b"ROLLBACK", NOTHING)

# What a process that has lost its client may take to notice, in ms; then it is ended.
_PATIENCE: Command = (b"SELECT set_config('lock_timeout', '1000', true)", NOTHING)
_STARTED: Command = (
    b"SELECT backend_start::text FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()",
    NOTHING,
)
_END = (
    b"SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity "
    b"WHERE pid = $1 AND backend_start::text = $2 AND pid <> pg_catalog.pg_backend_pid()"
)

_CREATE = """
CREATE TABLE IF NOT EXISTS {table} (
    id text PRIMARY KEY,
    epoch bigint NOT NULL,
    number bigint NOT NULL,
    pid integer,
    backend_start text,
    seen timestamptz NOT NULL
) WITH (fillfactor = 50)
"""
_DELETE_OLD = "DELETE FROM {table} WHERE seen < now() - interval '30 days'"


def first_error(answers: list[Answer]) -> psycopg.Error | None:
    return next((answer for answer in answers if isinstance(answer, psycopg.Error)), None)


async def prepare_table(link: Link) -> str:
    """Has the table be there; returns its name, with that of its schema."""
    # The one that is found may lie behind the schema in which a new one would be made.
    query = (
        "SELECT coalesce(quote_ident(n.nspname), quote_ident(current_schema())), n.oid::bigint FROM (SELECT 1) one "
        f"LEFT JOIN pg_class c ON c.oid = to_regclass('{TABLE}') LEFT JOIN pg_namespace n ON n.oid = c.relnamespace"
    )
    [answer] = await link.ask([(query.encode(), NOTHING)])
    if isinstance(answer, psycopg.Error):
        raise answer
    [(schema, found)] = link.loader.rows(answer, tuple)  # type: ignore[arg-type]
    if schema is None:
        raise psycopg.errors.InvalidSchemaName(
            f"no schema to create the table {TABLE} in: search_path names none that exists"
        )
    table = f"{schema}.{TABLE}"
    for attempt in range(10):
        commands: list[Command] = [(_DELETE_OLD.format(table=table).encode(), NOTHING)]
        if found is None:
            commands.insert(0, (_CREATE.format(table=table).encode(), NOTHING))
        error = first_error(await link.ask(commands))
        if error is None:
            return table
        # Made, or tidied up, by two at the same time.
        if error.sqlstate not in ("23505", "42710", "42P07", "40P01", "40001") or attempt == 9:
            if error.sqlstate == "42501":
                error.add_note(
                    f"aiomemdb keeps the outcomes of its COMMITs in {table}; have an administrator create it: "
                    + " ".join(_CREATE.format(table=table).split())
                    + f"; GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO ..."
                )
            raise error
    raise AssertionError("unreachable")


class Ledger:
    """The row of one connection that commits, and of those that come after it.

    Attributes:
        number: the latest that was given.
        known: the latest that is known to be committed.
    """

    def __init__(self, table: str, recorder: Recorder) -> None:
        self.number: int = 0
        self.known: int = 0
        self._recorder = recorder
        self._id = uuid4().hex
        self._epoch = 0
        self._pair: tuple[int, str] | None = None
        self._dumper = Dumper()
        self._write = (
            f"INSERT INTO {table} AS w (id, epoch, number, pid, backend_start, seen) "
            "VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (id) DO UPDATE "
            "SET number = excluded.number / (w.epoch = excluded.epoch)::int, seen = excluded.seen"
        ).encode()
        self._read = f"SELECT number FROM {table} WHERE id = $1 FOR UPDATE".encode()
        self._adopt = (
            f"INSERT INTO {table} AS w (id, epoch, number, pid, backend_start, seen) "
            "VALUES ($1, $2, $3, $4, $5, now()) ON CONFLICT (id) DO UPDATE "
            "SET epoch = excluded.epoch, number = excluded.number, pid = excluded.pid, "
            "backend_start = excluded.backend_start, seen = excluded.seen"
        ).encode()
        self._delete = f"DELETE FROM {table} WHERE id = $1".encode()

    def next(self) -> Command:
        """The statement that writes the next number, in the transaction that it is to be known of."""
        self.number += 1
        return self._write, self._values(self.number, self._pair)

    def _values(self, number: int, pair: tuple[int, str] | None) -> Any:
        pid, started = pair or (None, None)
        return self._dumper.dump((self._id, self._epoch, number, pid, started))

    async def adopt(self, link: Link, *, is_direct: bool) -> bool:
        """Makes the row that of this connection; returns whether the latest number is in it: it was committed.

        Raises:
            Lost: the connection is gone; nothing is known.
            psycopg.Error: the server refuses.
        """
        before = self._pair
        mine: tuple[int, str] | None = None
        if is_direct:  # behind a pooler it is another process each time
            [answer] = await link.ask([_STARTED])
            if isinstance(answer, psycopg.Error):
                raise answer
            started = one_value(answer, link.loader)  # type: ignore[arg-type]
            mine = None if started is None else (link.pid, started)
        self._epoch += 1
        read = (self._read, self._dumper.dump((self._id,)))
        while True:
            answers = await link.ask([BEGIN, _PATIENCE, read])
            error = first_error(answers)
            if error is None:
                break
            await link.ask([ROLLBACK])
            if not is_lock_timeout(error):
                raise error
            if before is not None:
                await link.ask([(_END, self._dumper.dump(before))])
        found = one_value(answers[2], link.loader)  # type: ignore[arg-type]
        number = max(found or 0, 0)
        error = first_error(await link.ask([(self._adopt, self._values(number, mine)), COMMIT]))
        if error is not None:
            await link.ask([ROLLBACK])
            raise error
        self._pair = mine
        if number < self.known:
            self._recorder.commits_lost += 1
            log.error(
                "the server has lost what it had acknowledged: %d transactions of this writer, the latest ones",
                self.known - number,
            )
            self.known = number
        applied = number == self.number and number > 0
        if applied:
            self.known = number
        return applied

    def committed(self) -> None:
        self.known = self.number

    def forget(self) -> Command:
        """The statement that deletes the row, when no outcome is open any more."""
        return self._delete, self._dumper.dump((self._id,))
