"""A program on aiomemdb, held against plain sqlite3 round by round."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase

from .oracle import OWN_TEXT, Oracle, Refused, StoppedError, TooMuchError, contents, refused, run_steps, tuples
from .programs import MAX_VALUE_BYTES, Job, Other, Program, Together, prepare
from .second import SecondProcess

__all__ = ["Difference", "Listed", "differences"]

_LIMIT = 60.0  # seconds a program: it takes some hundredths
#: The caller is gone, and its job may have run or not; it was told that it has not.
_LEFT, _NOT_RUN = Refused("CancelledError", None, ""), Refused("WriteTimeout", None, "not started")


@dataclass(frozen=True)
class Difference:
    """What the two do not agree about.

    Attributes:
        round: its number, the last one's + 1 where it was seen at the end.
        job: that job, or None: what the file says.
        expected: what plain sqlite3 returns; of a file, by table, where it differs.
    """

    round: int
    job: Job | None
    expected: Any
    got: Any

    @property
    def kind(self) -> str:
        if self.job is None:
            return "contents of the file"
        return f"{self.job.verb}: {_brief(self.expected)} expected, got {_brief(self.got)}"

    @property
    def has_effect(self) -> bool:
        """Whether what comes behind it may differ too."""
        return self.job is None or isinstance(self.expected, Refused) != isinstance(self.got, Refused)

    def __str__(self) -> str:
        where = self.job or "what the file says"
        return f"in round {self.round}: {where}\n  sqlite3:  {self.expected}\n  aiomemdb: {self.got}"


def _brief(outcome: Any) -> str:
    if isinstance(outcome, Refused):
        return f"{outcome.type} {outcome.name or ''}".strip()
    return "a value"


#: The name of what allows this difference in this program, or None.
Listed = Callable[[Program, Difference], str | None]


async def differences(
    program: Program, folder: Path, listed: Listed, seen: Counter[str], second: SecondProcess
) -> list[Difference]:
    """Runs it on both, until they differ; returns the differences of that round that are not listed.

    Those that are listed are counted in ``seen``. Where the two files differ after one, the program ends there.

    Raises:
        TimeoutError: it hangs.
    """
    async with asyncio.timeout(_LIMIT):
        async with AsyncExitStack() as stack:
            run = _Run(program, folder, listed, second)
            stack.callback(run.close)
            async with AsyncExitStack() as handles:
                await run.open(handles)
                for number, one in enumerate(program.rounds):
                    try:
                        found = await run.round(number, one)
                    except TooMuchError:
                        return []
                    for at, each in enumerate(found):
                        name = listed(program, each)
                        if name is None:
                            return found[at:]
                        seen[name] += 1
                        if each.has_effect:
                            return []
            return run.at_end()


class _Run:
    def __init__(self, program: Program, folder: Path, listed: Listed, second: SecondProcess) -> None:
        self.program = program
        self.path = folder / "aiomemdb.db"
        self.listed = listed
        self.second = second
        self.oracle = Oracle(folder / "plain.db", program)
        self.handles: list[SQLiteDatabase] = []

    def close(self) -> None:
        self.oracle.close()

    async def open(self, stack: AsyncExitStack) -> None:
        handles = {one.handle for one in self.program.rounds if isinstance(one, Together)}
        for _ in range(1 + max(handles, default=0)):
            database = aiomemdb.connect(
                self.path,
                readers=1,
                max_value_bytes=MAX_VALUE_BYTES,
                prepare=partial(prepare, self.program),
                pragmas=self.program.pragmas,
            )
            assert isinstance(database, SQLiteDatabase)
            self.handles.append(await stack.enter_async_context(database))
        self.plain = stack.enter_context(closing(sqlite3.connect(self.path, isolation_level=None)))
        self.plain.execute("PRAGMA foreign_keys=ON")
        self.plain.execute("PRAGMA wal_autocheckpoint=0")
        for name, value in self.program.pragmas.items():
            self.plain.execute(f"PRAGMA {name}={value}")
        prepare(self.program, self.plain)
        for statement in self.program.schema:
            self.oracle.run(Job("write", statement))
            try:
                await self.handles[0].write(statement)
            except sqlite3.Error:
                pass

    async def round(self, number: int, one: Together | Other) -> list[Difference]:
        """The differences of its jobs, in their order, and of the files behind it."""
        if isinstance(one, Together):
            return await self._together(number, one)
        self.oracle.other(one.statements)
        if one.process:
            await self.second.run(self.path, self.program, one.statements)
            return self._compare_contents(number, self.oracle)
        for statement in one.statements:
            with self._elsewhere(statement):
                pass
        return self._compare_contents(number, self.oracle)

    @contextmanager
    def _elsewhere(self, statement: str) -> Iterator[None]:
        """Another program's transaction, open in the block; without a statement there is none."""
        if statement:
            self.plain.execute("BEGIN IMMEDIATE")
            try:
                self.plain.execute(statement).fetchall()
            except sqlite3.Error:
                if self.plain.in_transaction:
                    self.plain.execute("ROLLBACK")
        yield
        if self.plain.in_transaction:
            try:
                self.plain.execute("COMMIT")
            except sqlite3.Error:
                self.plain.execute("ROLLBACK")

    async def _together(self, number: int, one: Together) -> list[Difference]:
        watched = [self.oracle.run(job) for job in one.watched]
        if one.elsewhere:
            self.oracle.other((one.elsewhere,))
        without = None if one.cancelled is None else self.oracle.forked()
        try:
            expected = [self.oracle.run(job) for job in one.jobs]
            left_out: list[Any] = []
            if without is not None:
                for at, job in enumerate(one.jobs):
                    left_out.append(_LEFT if at == one.cancelled else without.run(job))
            got, read = await self._do(one)
            seen = [
                _narrowed(Difference(number, job, right, mine))
                for job, right, mine in zip(one.watched * 2, watched * 2, read, strict=True)
                if not _same(right, mine)
            ]
            found = self._compare(number, one, expected, got, self.oracle)
            if without is not None and (_NOT_RUN in got or (found and _LEFT in got)):
                others = self._compare(number, one, left_out, got, without)
                if _NOT_RUN in got or self._unlisted(others) < self._unlisted(found) or not others:
                    found = others
                    self.oracle, without = without, self.oracle
            return seen + found
        finally:
            if without is not None:
                without.close()

    async def _do(self, one: Together) -> tuple[list[Any], list[Any]]:
        """The jobs' outcomes, and what the snapshot beside them has read."""
        db = self.handles[one.handle]
        async with AsyncExitStack() as stack:
            read: list[Any] = []
            if one.watched:
                snap = await stack.enter_async_context(db.snapshot())
                read += [await _outcome(snap, job) for job in one.watched]
            with self._elsewhere(one.elsewhere):
                limits = [one.timeout if at == one.cancelled else None for at in range(len(one.jobs))]
                tasks = [asyncio.create_task(_outcome(db, *each)) for each in zip(one.jobs, limits, strict=True)]
                if one.cancelled is not None and one.timeout is None:
                    for _ in range(one.iterations):
                        await asyncio.sleep(0)
                    tasks[one.cancelled].cancel()
                if one.elsewhere:
                    await asyncio.sleep(0.001)  # long enough to meet it, mostly
            got = [_LEFT if isinstance(each, BaseException) else each for each in await _all(tasks)]
            if _LEFT in got:
                await db.flush()  # it may still run
            read += [await _outcome(snap, job) for job in one.watched]
        return got, read

    def _unlisted(self, found: list[Difference]) -> int:
        return sum(self.listed(self.program, each) is None for each in found)

    def _compare(
        self, number: int, one: Together, expected: list[Any], got: list[Any], oracle: Oracle
    ) -> list[Difference]:
        found = [
            _narrowed(Difference(number, job, right, mine))
            for job, right, mine in zip(one.jobs, expected, got, strict=True)
            if mine is not _LEFT and mine is not _NOT_RUN and not _same(right, mine)
        ]
        in_file = self._compare_contents(number, oracle)
        if in_file:
            # A job may have been kept after its caller is gone, where alone it would have been refused.
            outcomes = zip(one.jobs, expected, got, strict=True)
            found += [
                Difference(number, job, right, None)
                for job, right, mine in outcomes
                if mine is _LEFT and isinstance(right, Refused) and right is not _LEFT
            ]
        return found + in_file

    def _compare_contents(self, number: int, oracle: Oracle) -> list[Difference]:
        try:
            mine = contents(self.plain)
        except sqlite3.Error as error:
            mine = {"sqlite_schema": refused(error)}
        right = contents(oracle.conn)
        if _same(right, mine):
            return []
        where = [name for name in {**right, **mine} if not _same(right.get(name), mine.get(name))]
        both = [{name: side.get(name) for name in where} for side in (right, mine)]
        return [Difference(number, None, *both)]

    def at_end(self) -> list[Difference]:
        """The files as they stand, when all have closed."""
        number = len(self.program.rounds)
        with closing(sqlite3.connect(self.path)) as plain:
            prepare(self.program, plain)
            found = []
            for check in ("PRAGMA integrity_check", "PRAGMA foreign_key_check"):
                both = [_rows(conn, check) for conn in (self.oracle.conn, plain)]
                if both[0] != both[1]:
                    found.append(Difference(number, None, {check: both[0]}, {check: both[1]}))
            return found


def _rows(conn: sqlite3.Connection, sql: str) -> Any:
    try:
        return conn.execute(sql).fetchall()
    except sqlite3.Error as error:
        return refused(error)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Refused) and isinstance(other, Refused):
        return one[:2] == other[:2] and (one.text == other.text or one.text == OWN_TEXT)
    if type(one) is list and type(other) is list:
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) is dict and type(other) is dict:
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return type(one) is type(other) and repr(one) == repr(other)  # 1, 1.0 and True differ; nan is itself


def _narrowed(difference: Difference) -> Difference:
    """The step of a transaction, snapshot or function that differs first."""
    job, right, mine = difference.job, difference.expected, difference.got
    if job is None or not (job.steps and type(right) is list and type(mine) is list):
        return difference
    at = next((n for n, (one, other) in enumerate(zip(right, mine, strict=False)) if not _same(one, other)), None)
    if at is None or at >= len(job.steps):
        return difference
    return _narrowed(Difference(difference.round, job.steps[at], right[at], mine[at]))


# A job on the database


async def _all(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def _outcome(db: Any, job: Job, timeout: float | None = None) -> Any:
    try:
        return await _run(db, job) if timeout is None else await _run(db, job, timeout=timeout)
    except aiomemdb.WriteTimeout as error:
        return _LEFT if error.started else _NOT_RUN
    except Exception as error:
        return refused(error)


async def _run(on: Any, job: Job, **limit: float) -> Any:
    match job.verb:
        case "transaction" | "nested":
            return await _transaction(on, job)
        case "write_fn":
            return await on.write_fn(run_steps, job.steps, job.end, durable=job.durable, **limit)
        case "write_fn once":
            return await on.write_fn(run_steps, job.steps, job.end, durable=job.durable, once=True, **limit)
        case "read_fn":
            return await on.read_fn(run_steps, job.steps, job.end)
        case "snapshot":
            async with on.snapshot() as snap:
                return [await _outcome(snap, step) for step in job.steps]
        case "read_stream":
            return [tuple(row) async for row in on.read_stream(job.sql, job.params, chunk=3)]
        case "submit":
            return await on.submit(job.sql, job.params)
        case "read" | "read_one" | "read_value":
            return tuples(await getattr(on, job.verb)(job.sql, job.params))
        case "write_any":
            result = await on.write_any(job.sql, job.params, durable=job.durable)
            return [list(result.columns), tuples(result.rows), result.rowid, result.count]
        case "write_script":
            return await on.write_script(job.sql, durable=job.durable, **limit)
        case verb:
            return tuples(await getattr(on, verb)(job.sql, job.params, durable=job.durable, **limit))


async def _transaction(on: Any, job: Job) -> list[Any]:
    """The outcomes of its steps, and how it ended."""
    outcomes: list[Any] = []
    try:
        async with on.transaction(durable=job.durable) as tx:
            for step in job.steps:
                outcome = await _outcome(tx, step)
                outcomes.append(outcome)
                if isinstance(outcome, Refused) and job.end == "stop":
                    raise StoppedError("as it was told")
            if job.end == "raise":
                raise StoppedError("as it was told")
        outcomes.append("committed")
    except Exception as error:
        outcomes.append(refused(error))
    return outcomes
