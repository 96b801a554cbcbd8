"""A real database against a dict: whatever is done, in whatever order, they agree, and the file is healthy."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading.stream import SQLiteRowStream
from tests.conftest import pytest_asyncio_loop_factories
from tests.support.gates import Gate
from tests.support.plain import assert_healthy, plain

T = TypeVar("T")
Rows = dict[int, int]

PUT = "INSERT INTO t (id, x) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET x = excluded.x"
INSERT = "INSERT INTO t (id, x) VALUES (?, ?)"
ALL = "SELECT id, x FROM t ORDER BY id"

ids = st.integers(1, 12)
values = st.integers(0, 99)
pairs = st.lists(st.tuples(ids, values), max_size=6)


class Model(RuleBasedStateMachine):
    """The dict ``rows`` is what the table must hold; each open view keeps a copy of its own."""

    def __init__(self) -> None:
        super().__init__()
        [factory] = pytest_asyncio_loop_factories().values()
        self.runner = asyncio.Runner(loop_factory=factory)
        self.folder = Path(tempfile.mkdtemp(prefix="aiomemdb-model-"))
        self.path = self.folder / "model.db"
        self.rows: Rows = {}
        self.snapshots: list[tuple[Any, Any, Rows]] = []
        self.streams: list[tuple[SQLiteRowStream, list[tuple[int, int]]]] = []
        self.backups = 0

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(60):
                return await work

        return self.runner.run(limited())

    @initialize()
    def open_it(self) -> None:
        self.db = self.do(self._open())
        self.do(self.db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x NOT NULL CHECK (x < 100))"))

    async def _open(self) -> SQLiteDatabase:
        return await aiomemdb.connect(self.path, readers=3)

    # Writes

    @rule(id=ids, x=values)
    def write(self, id: int, x: int) -> None:
        self.do(self.db.write(PUT, (id, x)))
        self.rows[id] = x

    @rule(id=ids, x=values, durable=st.booleans())
    def insert(self, id: int, x: int, durable: bool) -> None:
        if id in self.rows:
            with pytest.raises(sqlite3.IntegrityError):
                self.do(self.db.write(INSERT, (id, x), durable=durable))
        else:
            assert self.do(self.db.write(INSERT, (id, x), durable=durable)) == id
            self.rows[id] = x

    @rule(below=ids)
    def delete(self, below: int) -> None:
        doomed = [id for id in self.rows if id < below]
        assert self.do(self.db.write_count("DELETE FROM t WHERE id < ?", (below,))) == len(doomed)
        for id in doomed:
            del self.rows[id]

    @rule(id=ids)
    def update_returning(self, id: int) -> None:
        given_back = self.do(self.db.write_returning("UPDATE t SET x = 7 WHERE id >= ? RETURNING id", (id,)))
        touched = [each for each in self.rows if each >= id]
        assert sorted(row["id"] for row in given_back) == sorted(touched)
        self.rows.update(dict.fromkeys(touched, 7))

    @rule(rows=pairs)
    def write_many(self, rows: list[tuple[int, int]]) -> None:
        assert self.do(self.db.write_many(PUT, rows)) == len(rows)
        self.rows.update(rows)

    @rule(rows=pairs, conflict=st.sampled_from(["", "OR FAIL", "OR ROLLBACK", "OR ABORT"]))
    def write_many_that_fails(self, rows: list[tuple[int, int]], conflict: str) -> None:
        sql = f"INSERT {conflict} INTO t (id, x) VALUES (?, ?)"
        bad = [*rows, (13, 0), (13, 0)]
        with pytest.raises(sqlite3.IntegrityError):
            self.do(self.db.write_many(sql, bad))

    @rule(id=ids, x=values, fail=st.booleans(), once=st.booleans())
    def write_fn(self, id: int, x: int, fail: bool, once: bool) -> None:
        def find_or_create(conn: sqlite3.Connection) -> int:
            found = conn.execute("SELECT x FROM t WHERE id = ?", (id,)).fetchone()
            if found is None:
                conn.execute(INSERT, (id, x))
            if fail:
                raise ZeroDivisionError
            return x if found is None else found["x"]

        if fail:
            with pytest.raises(ZeroDivisionError):
                self.do(self.db.write_fn(find_or_create, once=once))
        else:
            assert self.do(self.db.write_fn(find_or_create, once=once)) == self.rows.setdefault(id, x)

    @rule(jobs=st.lists(st.tuples(ids, st.one_of(values, st.just(100))), max_size=30), conflict=st.booleans())
    def submit_a_burst(self, jobs: list[tuple[int, int]], conflict: bool) -> None:
        sql = INSERT.replace("INSERT", "INSERT OR ROLLBACK") if conflict else PUT

        async def burst() -> list[Any]:
            futures = [self.db.submit(sql, job) for job in jobs]
            return await asyncio.gather(*futures, return_exceptions=True)

        for (id, x), outcome in zip(jobs, self.do(burst()), strict=True):
            if x == 100 or (conflict and id in self.rows):
                assert isinstance(outcome, sqlite3.IntegrityError)
            else:
                assert not isinstance(outcome, BaseException)
                self.rows[id] = x

    @rule(id=ids, x=values, left=st.sampled_from(["before it is taken", "after it is taken", "at once"]))
    def cancelled_write(self, id: int, x: int, left: str) -> None:
        async def cancel() -> None:
            with Gate() as gate:

                def put(conn: sqlite3.Connection) -> None:
                    gate.block()
                    conn.execute(PUT, (id, x))

                if left == "after it is taken":
                    writing = asyncio.create_task(self.db.write_fn(put))
                    await gate.wait_entered()
                    writing.cancel()
                elif left == "before it is taken":
                    held = asyncio.create_task(self.db.write_fn(gate.block))
                    await gate.wait_entered()
                    writing = asyncio.create_task(self.db.write(PUT, (id, x)))
                    await asyncio.sleep(0)
                    writing.cancel()
                else:
                    writing = asyncio.create_task(self.db.write(PUT, (id, x)))
                    writing.cancel()
                await asyncio.wait([writing])
                assert writing.cancelled()
                gate.open()
                if left == "before it is taken":
                    await held

        self.do(cancel())
        if left == "after it is taken":  # it runs to its end, which comes before the end of the next write
            self.do(self.db.flush())
            self.rows[id] = x

    @rule(
        steps=pairs,
        nested=pairs,
        fail_nested=st.booleans(),
        end=st.sampled_from(["commit", "raise", "cancel"]),
        durable=st.booleans(),
    )
    def transaction(
        self, steps: list[tuple[int, int]], nested: list[tuple[int, int]], fail_nested: bool, end: str, durable: bool
    ) -> None:
        inside = dict(self.rows)

        async def work() -> None:
            async with self.db.transaction(durable=durable) as tx:
                for step in steps:
                    await tx.write(PUT, step)
                inside.update(steps)
                try:
                    async with tx.transaction() as inner:
                        await inner.write_many(PUT, nested)
                        if fail_nested:
                            raise ZeroDivisionError
                        inside.update(nested)
                except ZeroDivisionError:
                    pass
                with pytest.raises(sqlite3.IntegrityError):
                    await tx.write(PUT, (1, 100))
                assert await self._read(tx) == inside
                assert await self._read(self.db) == self.rows
                if end == "raise":
                    raise KeyError
                if end == "cancel":
                    current = asyncio.current_task()
                    assert current is not None
                    current.cancel()
                    await asyncio.sleep(0)

        async def tried() -> None:
            await asyncio.wait([task := asyncio.create_task(work())])
            if end == "commit":
                task.result()
            else:
                assert task.cancelled() or isinstance(task.exception(), KeyError)

        self.do(tried())
        if end == "commit":
            self.rows = inside

    # Reads

    @staticmethod
    async def _read(view: Any) -> Rows:
        return {row["id"]: row["x"] for row in await view.read(ALL)}

    @invariant()
    def it_agrees(self) -> None:
        if hasattr(self, "db"):
            assert self.do(self._read(self.db)) == self.rows

    @rule(id=ids)
    def read_one_and_value(self, id: int) -> None:
        row = self.do(self.db.read_one("SELECT * FROM t WHERE id = ?", (id,)))
        assert (None if row is None else tuple(row)) == ((id, self.rows[id]) if id in self.rows else None)
        assert self.do(self.db.read_value("SELECT x FROM t WHERE id = :id", {"id": id})) == self.rows.get(id)

    @rule()
    def read_with_a_function(self) -> None:
        count, total = self.do(
            self.db.read_fn(lambda conn: tuple(conn.execute("SELECT count(*), total(x) FROM t").fetchone()))
        )
        assert (count, total) == (len(self.rows), sum(self.rows.values()))

    @rule()
    def a_read_that_fails(self) -> None:
        with pytest.raises(sqlite3.OperationalError):
            self.do(self.db.read("SELECT * FROM missing"))

    # Two readers may be held, by whatever is open.

    def _may_hold(self) -> bool:
        return len(self.snapshots) + len(self.streams) < 2

    @precondition(_may_hold)
    @rule()
    def open_a_snapshot(self) -> None:
        async def enter() -> None:
            manager = self.db.snapshot()
            self.snapshots.append((manager, await manager.__aenter__(), dict(self.rows)))

        self.do(enter())

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def read_a_snapshot(self, data: st.DataObject) -> None:
        _, snapshot, rows = data.draw(st.sampled_from(self.snapshots))
        assert self.do(self._read(snapshot)) == rows

    @precondition(lambda self: self.snapshots)
    @rule(fail=st.booleans())
    def leave_a_snapshot(self, fail: bool) -> None:
        manager, snapshot, rows = self.snapshots.pop(0)
        assert self.do(self._read(snapshot)) == rows
        error = ZeroDivisionError() if fail else None
        assert not self.do(manager.__aexit__(type(error) if fail else None, error, None))

    @precondition(_may_hold)
    @rule(chunk=st.integers(1, 5))
    def begin_a_stream(self, chunk: int) -> None:
        expected = sorted(self.rows.items())

        async def first() -> SQLiteRowStream:
            stream = self.db.read_stream(ALL, chunk=chunk)
            row = await anext(stream, None)
            assert (None if row is None else tuple(row)) == (expected.pop(0) if expected else None)
            return stream

        self.streams.append((self.do(first()), expected))

    @precondition(lambda self: self.streams)
    @rule(how=st.sampled_from(["on", "to its end", "close", "drop"]))
    def go_on_with_a_stream(self, how: str) -> None:
        stream, expected = self.streams[0]

        async def read(count: int) -> None:
            for _ in range(count):
                row = await anext(stream, None)
                assert (None if row is None else tuple(row)) == (expected.pop(0) if expected else None)

        self.do(read(len(expected) + 1 if how == "to its end" else min(2, len(expected))))
        if how == "close":
            self.do(stream.aclose())
        if how != "on":
            del self.streams[0]

    # Maintenance

    @rule()
    def checkpoint(self) -> None:
        self.do(self.db.checkpoint())

    @rule()
    def flush(self) -> None:
        self.do(self.db.flush())

    @rule()
    def vacuum(self) -> None:
        self.do(self.db.vacuum())

    @rule()
    def optimize(self) -> None:
        self.do(self.db.optimize())

    @rule()
    def backup(self) -> None:
        self.backups += 1
        target = self.folder / f"backup{self.backups}.db"
        self.do(self.db.backup(target))
        assert dict(plain(target, ALL)) == self.rows

    @rule(drain=st.booleans(), late=pairs)
    def close_and_reopen(self, drain: bool, late: list[tuple[int, int]]) -> None:
        async def close() -> list[Any]:
            futures = [self.db.submit(PUT, job) for job in late]
            await self.db.close(drain=drain)
            assert all(future.done() for future in futures)
            return [future.exception() for future in futures]

        for job, error in zip(late, self.do(close()), strict=True):
            assert drain <= (error is None)
            if error is None:
                self.rows[job[0]] = job[1]
            else:
                assert isinstance(error, aiomemdb.DatabaseClosed) and error.applied is False
        self._drop_views()
        self._assert_file()
        self.db = self.do(self._open())

    def _drop_views(self) -> None:
        """What a close has ended: each use is a clear error, or nothing."""
        for manager, snapshot, _ in self.snapshots:
            with pytest.raises(aiomemdb.DatabaseClosed):
                self.do(snapshot.read(ALL))
            self.do(manager.__aexit__(None, None, None))
        for stream, _ in self.streams:
            self.do(stream.aclose())
        self.snapshots.clear()
        self.streams.clear()

    def _assert_file(self) -> None:
        assert dict(plain(self.path, ALL)) == self.rows
        assert_healthy(self.path)
        assert {name for name in os.listdir(self.folder) if name.startswith("model.db-")} <= {
            "model.db-lock",
            "model.db-next",
        }

    def teardown(self) -> None:
        try:
            if hasattr(self, "db"):
                self.do(self.db.close())
                self._drop_views()
                self._assert_file()
        finally:
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def test_the_database_agrees_with_a_dict() -> None:
    run_state_machine_as_test(Model, settings=settings(max_examples=40, stateful_step_count=30))


@pytest.mark.soak
def test_the_database_agrees_with_a_dict_for_long() -> None:
    run_state_machine_as_test(Model, settings=settings(max_examples=5000, stateful_step_count=100))
