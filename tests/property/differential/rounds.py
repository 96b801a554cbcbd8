"""Random programs: rounds of random jobs, and scenes, which bring together what seldom meets by chance."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeAlias

from .jobs import WRITES, Jobs
from .programs import Job, Other, Program, Together
from .schemas import Table, random_schema

__all__ = ["random_program"]

Rounds: TypeAlias = list[Together | Other]

#: What a program may find lowered in ``prepare``.
LIMITS = (
    {sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 20},
    {sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 100},
    {sqlite3.SQLITE_LIMIT_SQL_LENGTH: 400},
    {sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 3},
    {sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 2},
)
#: Verbs that take any text.
OF_ONE_TEXT = ("write", "write", "submit", "write_count", "write_many")
#: Verbs that take ``timeout=`` for all that they do.
TIMED = ("write", "write_count", "write_many", "write_returning", "write_script", "write_fn", "write_fn once")
#: What lists the schema, of a table or an index.
LISTS = (
    "PRAGMA table_info({table})",
    "PRAGMA table_xinfo({table})",
    "PRAGMA index_list({table})",
    "PRAGMA foreign_key_list({table})",
    "PRAGMA index_info({index})",
    "PRAGMA index_xinfo({index})",
    "SELECT name FROM pragma_table_info('{table}')",
)


def random_program(seed: int) -> Program:
    rng = Random(seed)
    schema = random_schema(rng)
    rounds = _Rounds(rng, schema)
    rounds.late = Random(-seed - 1)
    return rounds.program()


class _Rounds(Jobs):
    #: Draws what came to be drawn later, so that each seed stays the program that it was.
    late: Random

    def program(self) -> Program:
        rng = self.rng
        rounds: Rounds = []
        for _ in range(rng.randint(3, 14)):
            if rng.random() < 0.12:
                rounds += self._scene()
            else:
                rounds.append(self._round())
        limits = dict(rng.choice(LIMITS)) if rng.random() < 0.1 else {}
        recursive = rng.random() < 0.1
        if recursive:  # a thousand levels, as by default, take seconds
            limits[sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH] = 5
        pragmas = {"recursive_triggers": 1} if recursive else {}
        return Program(self.schema.statements, tuple(rounds), limits, pragmas)

    def _round(self) -> Together | Other:
        rng = self.rng
        kind = rng.random()
        handle = int(rng.random() < 0.15)
        if kind < 0.5:
            return self._beset(tuple(self.job() for _ in range(rng.choice((1, 1, 2, 3, 5, 8, 13)))), handle)
        if kind < 0.7:
            return self._beset(self.run(), handle)
        if kind < 0.8:
            return Together(tuple(self.reading() for _ in range(rng.randint(1, 4))), handle)
        if kind < 0.9:
            statements = [self.schema_change().sql for _ in range(rng.randint(1, 2))]
        else:
            statements = [self._elsewhere() for _ in range(rng.randint(1, 3))]
        return Other(tuple(statements), process=self.late.random() < 0.05)

    def _beset(self, jobs: tuple[Job, ...], handle: int) -> Together:
        """Often in peace. Otherwise another program has the file, a caller leaves or has little time, or a snapshot is
        open all the while.
        """
        rng = self.rng
        elsewhere, cancelled, iterations, timeout = "", None, 0, None
        watched: tuple[Job, ...] = ()
        if rng.random() < 0.08:
            elsewhere = self._elsewhere()
        if rng.random() < 0.08:
            cancelled, iterations = rng.randrange(len(jobs)), rng.randint(0, 4)
        elif self.late.random() < 0.1:
            at = self.late.randrange(len(jobs))
            if jobs[at].verb in TIMED:
                cancelled, timeout = at, self.late.choice((0.0, 0.0003, 0.001, 0.003))
        if rng.random() < 0.08:
            watched = tuple(self.reading(("read", "read_value", "read_fn")) for _ in range(rng.randint(1, 2)))
        return Together(jobs, handle, elsewhere, cancelled, iterations, timeout, watched)

    def _elsewhere(self) -> str:
        rng = self.rng
        if rng.random() < 0.3:
            return self.schema_change().sql
        return self.literal(rng.choice((*self.inserts, *self.changes, *self.full_text)))

    # Scenes

    def _scene(self) -> Rounds:
        scenes: Sequence[Callable[[], Rounds]] = (self._undone_schema, self._failing_triggers, self._lists, self._stale)
        return self.rng.choice(scenes)()

    def _neighbours(self, most: int = 3) -> list[Job]:
        return [self.simple(self.rng.choice(WRITES)) for _ in range(self.rng.randint(0, most))]

    def _table(self) -> Table:
        return self.rng.choice([table for table in self.tables if table.kind == "table"])

    def _undone_schema(self) -> Rounds:
        """A change of the schema is undone that SQLite has read again meanwhile; then another program changes it as
        often, and the undone index is used, and made.
        """
        rng = self.rng
        table, handle = self._table(), int(rng.random() < 0.15)
        column, other = rng.sample(table.columns, 2)
        self.made += 1
        ghosts = [f"CREATE INDEX ghost{self.made} ON {table.name} ({column})"]
        if rng.random() < 0.3:
            ghosts.append(f"CREATE TABLE ghosts{self.made} (a, b)")
        steps = [
            *(Job("execute", sql) for sql in ghosts),
            Job("execute", f"ALTER TABLE {table.name} RENAME COLUMN {column} TO {other}"),
            *(Job("execute", self.literal(rng.choice(self.inserts))) for _ in range(rng.randint(0, 2))),
            Job("execute", "INSERT INTO log VALUES (1, 2, 3)"),
        ]
        undone = Job("write_fn", steps=tuple(steps), end="raise")
        as_writes = tuple(Job("write", step.sql) for step in steps)
        culprit = rng.choice(
            (
                undone,
                Job("transaction", steps=as_writes, end="raise"),
                Job("transaction", steps=(undone, self.simple("write"))),
                Job("transaction", steps=(Job("nested", steps=as_writes, end="raise"),)),
            )
        )
        use = f"SELECT count(*), max({other}) FROM {table.name} WHERE {column} = ?"
        behind = (
            self.simple("write"),
            Job("write_fn", steps=(Job("execute", use, (rng.randint(0, 9),)),)),
            Job("write", ghosts[0]),
        )
        rounds: Rounds = [
            Together((*self._neighbours(2), culprit, *(behind if rng.random() < 0.3 else ())), handle),
        ]
        changes = tuple(f"CREATE INDEX real{self.made}{n} ON log (x)" for n in range(len(ghosts)))
        if rng.random() < 0.5:
            rounds.append(Other(changes))
        else:
            rounds.append(Together(tuple(Job("write", sql) for sql in changes), 1 - handle))
        rounds += [Together((job,), handle) for job in rng.sample(behind, rng.randint(1, 3))]
        return rounds

    def _failing_triggers(self) -> Rounds:
        """Triggers that fail with FAIL after they have changed rows, one and two levels deep, beneath statements of
        many rows in batches.
        """
        rng = self.rng
        table = rng.choice([table for table in self.tables if table.kind in ("table", "view")])
        self.made += 1
        once, deep = f"once{self.made}", f"deep{self.made}"
        event = rng.choice(("INSERT", "INSERT", "UPDATE", "DELETE"))
        row = f"{'old' if event == 'DELETE' else 'new'}.{rng.choice(table.columns)}"
        time = "INSTEAD OF" if table.kind == "view" else rng.choice(("BEFORE", "BEFORE", "AFTER"))
        conflict = rng.choice((" OR FAIL", " OR FAIL", "", " OR IGNORE"))
        change = rng.choice((f"INSERT INTO log VALUES ({row}, 1, 2)", f"UPDATE log SET y = {row}", "DELETE FROM log"))
        fails = (
            f"SELECT RAISE(FAIL, 'told') WHERE {row} > {rng.randint(0, 8)}",
            f"INSERT{conflict} INTO {once} VALUES ({row})",
            f"INSERT{conflict} INTO {once} SELECT {row} UNION ALL SELECT 1",
            f"INSERT INTO {deep} VALUES (3), ({row})",
            f"UPDATE{conflict} {once} SET x = {row}",
        )
        # What a step of a trigger has changed is counted when the step has ended.
        body = "; ".join((*(change,)[: rng.random() < 0.4], *rng.sample(fails, rng.randint(1, 2))))
        deeper = rng.choice(("", "INSERT INTO log VALUES ('deep', new.x, 0); "))
        schema = (
            f"CREATE TABLE {once} (x UNIQUE)",
            f"CREATE TABLE {deep} (x)",
            f"CREATE TRIGGER deeper{self.made} {rng.choice(('BEFORE', 'AFTER'))} INSERT ON {deep} BEGIN"
            f" {deeper}SELECT RAISE(FAIL, 'deep') WHERE new.x > 4; END",
            f"CREATE TRIGGER told{self.made} {time} {event} ON {table.name} BEGIN {body}; END",
        )
        texts = [text for text in (*self.inserts, *self.changes) if f" {table.name} " in text.sql]
        texts += [self.plain_insert(table)]
        rounds: Rounds = [Other(schema) if rng.random() < 0.3 else Together((Job("write_script", ";\n".join(schema)),))]
        for _ in range(rng.randint(1, 3)):
            jobs = [self.simple_of(rng.choice(OF_ONE_TEXT), rng.choice(texts)) for _ in range(rng.choice((2, 3, 5, 8)))]
            rounds.append(self._beset(tuple(jobs + self._neighbours(2)), int(rng.random() < 0.15)))
        if rng.random() < 0.7:  # or nothing of that table can be changed any more
            rounds.append(Other((f"DROP TRIGGER told{self.made}",)))
        return rounds

    def _lists(self) -> Rounds:
        """What lists the schema, asked by readers that know it, right before and after it is changed."""
        rng = self.rng
        self.made += 1
        table, index = f"listed{self.made}", f"lists{self.made}"
        known = self._table()
        keys = f" REFERENCES {known.name}" if rng.random() < 0.7 else ""
        schema = (f"CREATE TABLE {table} (a PRIMARY KEY, b UNIQUE{keys})", f"CREATE INDEX {index} ON {table} (b)")
        changed = (f"ALTER TABLE {table} ADD COLUMN c{keys}", f"DROP INDEX {index}")
        handle = int(rng.random() < 0.3)

        def asked() -> Together:
            texts = [each.format(table=table, index=index) for each in rng.sample(LISTS, rng.randint(1, 4))]
            jobs = [self.reading_of(text) for text in texts]
            if rng.random() < 0.15:
                jobs = [Job("write_fn", steps=tuple(Job("execute", text) for text in texts))]
            return Together(tuple(jobs), handle)

        rounds: Rounds = [asked()]
        for statements in (schema, changed, (f"DROP TABLE {table}",), schema)[: rng.randint(1, 4)]:
            rounds += [self._made(statements, rng.choice((handle, handle, 1 - handle))), asked()]
        return rounds

    def _made(self, statements: tuple[str, ...], handle: int) -> Together | Other:
        rng = self.rng
        kind = rng.randint(0, 5)
        if kind == 0:
            return Other(statements)
        if kind == 1:
            return Together((Job("transaction", steps=tuple(Job("write", sql) for sql in statements)),), handle)
        if kind == 2:
            return Together(tuple(Job("write", sql) for sql in statements), handle)
        if kind == 3:
            return Together((Job("write_fn", steps=tuple(Job("execute", sql) for sql in statements)),), handle)
        return Together((Job("write_script", ";\n".join(statements)),), handle)

    def _stale(self) -> Rounds:
        """Values that can't be bound right behind errors of the same text's constraint."""
        rng = self.rng
        self.made += 1
        table = f"stale{self.made}"
        sql = f"INSERT INTO {table} (a, b) VALUES (?, ?)"
        odd: Any = rng.choice(("x\ud800", 2**63, {}, [1]))
        params = [(1, 2), (1, 3), (2, odd), (odd, 4), *((rng.randint(1, 50), n) for n in range(rng.randint(0, 20)))]
        rng.shuffle(params)
        if rng.random() < 0.3:
            job = Job("write_fn", steps=tuple(Job("execute", sql, each) for each in params[:8]))
            return [Together((Job("write", f"CREATE TABLE {table} (a UNIQUE, b)"),)), Together((job,))]
        jobs = [Job(rng.choice(("write", "write", "write_count", "submit")), sql, each) for each in params]
        return [Together((Job("write", f"CREATE TABLE {table} (a UNIQUE, b)"),)), Together(tuple(jobs))]
