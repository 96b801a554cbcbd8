"""How a batch of jobs is committed, each with its own result or its own error.

All of it is one request: BEGIN, the number (outcomes.py), the jobs, COMMIT. Where a job fails, the server names it by
its place, and has run nothing behind it. The transaction is rolled back, and run once more without that job. That is
done in pieces, each behind a savepoint, and a second failure costs no more than its piece; pieces become smaller
while jobs fail. A COMMIT that is refused (a deferred foreign key) names no job: the batch is halved.

Where a statement is not known to return what its verb needs, and what can always be read, the COMMIT is sent apart,
once the answer was looked at.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..concurrency.job import Failure, WriteJob
from ..errors import LockTimeout, ServerLost
from .codes import is_conflict, is_lock_timeout, is_stale
from .driver import NOTHING, psycopg
from .link import FLUSH, NOT_RUN, Answer, Command, Link, Lost
from .operations import FLUSH as FLUSHING
from .operations import SCRIPT, WRITE, annotate, answered, can_be_read, commands_of
from .outcomes import BEGIN, COMMIT, ROLLBACK, Ledger

__all__ = ["DURABLE", "Batch", "run_batch"]

#: At least what "on" says, for this transaction.
DURABLE: Command = (
    b"SELECT set_config('synchronous_commit', 'on', true) "
    b"WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
    NOTHING,
)
_SAVE: Command = (b"SAVEPOINT aiomemdb_piece", NOTHING)
_RELEASE: Command = (b"RELEASE SAVEPOINT aiomemdb_piece", NOTHING)
_BACK: Command = (b"ROLLBACK TO SAVEPOINT aiomemdb_piece", NOTHING)

# How often what gave way to another transaction is run again, and what is waited before, in seconds.
_CONFLICTS = 20
_PAUSE = 0.002


class Batch:
    """Jobs that share a transaction, if nothing comes between.

    Attributes:
        jobs: in their order.
        durable: they are forced to stable storage.
        outcomes: of each job, once it has one: its result, or a Failure; None is a result too.
        is_sent: the server may have heard of it.
        splits: how many times it was rolled back and run again.
        in_doubt: where the connection was lost during a COMMIT: what each job gets if that came through.
    """

    def __init__(self, jobs: list[WriteJob], *, durable: bool) -> None:
        self.jobs: list[WriteJob] = jobs
        self.durable: bool = durable
        self.outcomes: dict[int, Any] = {}
        self.is_sent: bool = False
        self.splits: int = 0
        self.in_doubt: dict[int, Any] = {}

    def settle_doubt(self, *, is_applied: bool) -> None:
        """It is known now."""
        if is_applied:
            self.outcomes.update(self.in_doubt)
        self.in_doubt = {}

    def fail(self, index: int, error: BaseException) -> None:
        self.outcomes[index] = Failure(error)


class _Again(Exception):
    """The transaction is rolled back, and is to be run anew."""


class Session:
    """What a batch runs on: the link, and what goes with each transaction on it.

    Attributes:
        settings: commands behind each BEGIN.
        after: a command behind each COMMIT, or None; ``position`` is its answer.
    """

    def __init__(self, link: Link, ledger: Ledger, settings: Sequence[Command], after: Command | None) -> None:
        self.link: Link = link
        self.ledger: Ledger = ledger
        self.settings: Sequence[Command] = settings
        self.after: Command | None = after
        self.position: Answer | None = None
        self._is_open = False

    async def ask(self, commands: Sequence[Command]) -> list[Answer]:
        """What a transaction before has left open is rolled back first."""
        if not self._is_open:
            return await self.link.ask(commands)
        try:
            answers = await self.link.ask([ROLLBACK, *commands])
        except Lost as lost:
            lost.answers = lost.answers[1:]
            raise
        self._is_open = False
        return answers[1:]

    def left_open(self) -> None:
        self._is_open = True

    async def end(self) -> None:
        if self._is_open:
            await self.ask([])


async def run_batch(session: Session, batch: Batch, sleep: Callable[[float], Awaitable[object]]) -> None:
    """Runs each job that has no outcome yet.

    Raises:
        Lost: the connection; ``batch.outcomes`` holds what was committed before, or has failed.
    """
    try:
        await _Run(session, batch, sleep).commit(
            [index for index in range(len(batch.jobs)) if index not in batch.outcomes]
        )
    finally:
        if session.link.lost is None:
            await session.end()


class _Run:
    def __init__(self, session: Session, batch: Batch, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._session = session
        self._batch = batch
        self._sleep = sleep
        self._conflicts = 0
        self._is_stale = False

    # A transaction

    async def commit(self, indexes: list[int]) -> None:
        """Commits these jobs in one transaction, except those that fail; in two where its COMMIT is refused."""
        batch = self._batch
        while indexes:
            try:
                refused = await self._at_once(indexes)
            except _Again:
                indexes = [index for index in indexes if index not in batch.outcomes]
                continue
            if refused is None:
                return
            batch.splits += 1
            if len(indexes) == 1:
                batch.fail(indexes[0], self._annotated(refused, indexes[0], None))
                return
            half = len(indexes) // 2
            await self.commit(indexes[:half])
            indexes = indexes[half:]

    def _begin(self) -> list[Command]:
        session = self._session
        durable = [DURABLE] if self._batch.durable else []
        return [BEGIN, *session.settings, *durable, session.ledger.next()]

    def _end(self) -> list[Command]:
        # Results that are there before the COMMIT are not lost with its answer.
        after = self._session.after
        return [FLUSH, COMMIT] if after is None else [FLUSH, COMMIT, after]

    async def _at_once(self, indexes: list[int]) -> psycopg.Error | None:
        """One request where all goes well. Returns why the COMMIT was refused, or None."""
        batch, session = self._batch, self._session
        begin = self._begin()
        commands, places = list(begin), list[int]()
        for index in indexes:
            places.append(len(commands))
            commands += commands_of(batch.jobs[index][2])
        places.append(len(commands))
        apart = not all(can_be_read(*batch.jobs[index][1:3]) for index in indexes)
        end = self._end()
        batch.is_sent = True
        try:
            answers = await session.ask(commands if apart else [*commands, *end])
        except Lost as lost:
            if not apart:
                self._doubt(indexes, places, lost.answers)
            raise
        self._check_begin(answers[: len(begin)])
        results: dict[int, Any] = {}
        is_committed = not apart and not any(
            isinstance(answer, psycopg.Error) or answer is NOT_RUN for answer in answers[len(begin) : places[-1] + 1]
        )
        for index, start, stop in zip(indexes, places, places[1:], strict=False):
            error, at = self._judge(index, answers[start:stop], results)
            if error is None:
                continue
            if is_committed:  # the schema has changed, and what it returned can't be read any more
                error.add_note("it was applied, and what it returned can't be read")
                results[index] = Failure(self._annotated(error, index, at))
                continue
            session.left_open()
            await self._failed(index, error, at)
            return await self._in_pieces([each for each in indexes if each != index])
        if apart:
            batch.in_doubt = results
            ended = await session.link.ask(end)
        else:
            ended = answers[places[-1] :]
        return self._committed(ended, results)

    def _committed(self, ended: Sequence[Answer], results: dict[int, Any]) -> psycopg.Error | None:
        session = self._session
        answer = ended[0]
        if isinstance(answer, psycopg.Error):
            if is_conflict(answer) and self._may_try_again():
                raise _Again
            return answer
        session.ledger.committed()
        self._batch.in_doubt = {}
        self._batch.outcomes.update(results)
        session.position = ended[1] if len(ended) > 1 else None
        return None

    def _doubt(self, indexes: list[int], places: list[int], answers: Sequence[Answer]) -> None:
        """The connection was lost while the COMMIT may have been under way: what each job gets if it came through."""
        for index, start, stop in zip(indexes, places, places[1:], strict=False):
            results: dict[int, Any] = {}
            error: BaseException | None = None
            if stop <= len(answers):
                error, _ = self._judge(index, answers[start:stop], results)
            if error is not None:  # then none came through
                self._batch.in_doubt = {}
                return
            self._batch.in_doubt[index] = results.get(index) if index in results else self._unanswered(index)

    def _unanswered(self, index: int) -> object:
        _, operation, work, _ = self._batch.jobs[index]
        if operation in (SCRIPT, FLUSHING) or (operation is WRITE and not work[0][0].may_return):
            return None
        return Failure(
            ServerLost(
                f"the connection was lost when this {operation.name} was committed, and its result with it: it was "
                "applied; look for what it has done",
                applied=True,
            )
        )

    def _check_begin(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            if isinstance(answer, psycopg.Error):
                # A standby; or the row is another connection's: this one is not to write.
                self._session.link.close()
                raise Lost(answer)

    def _judge(
        self, index: int, answers: Sequence[Answer], results: dict[int, Any]
    ) -> tuple[BaseException | None, int]:
        """Why a job has failed, and at which of its statements; where it has not, its result is added."""
        for at, answer in enumerate(answers):
            if answer is NOT_RUN:
                # Behind one that failed, which was seen first; or what prepares it was not run.
                return psycopg.errors.InFailedSqlTransaction("not run"), at
            if isinstance(answer, psycopg.Error):
                return answer, at
        _, operation, work, _ = self._batch.jobs[index]
        try:
            results[index] = answered(operation, work, answers, self._session.link.loader)  # type: ignore[arg-type]
        except Exception as error:  # NotAQuery; a value that psycopg can't read
            return error, 0
        return None, 0

    async def _failed(self, index: int, error: BaseException, at: int) -> None:
        """A job has failed: it has its error, or all are to be run again.

        Raises: _Again.
        """
        if isinstance(error, psycopg.Error):
            if is_stale(error) and not self._is_stale:
                self._is_stale = True
                self._session.link.forget_statements()
                raise _Again
            if is_conflict(error) and self._may_try_again():
                await self._sleep(random.random() * _PAUSE * self._conflicts)
                raise _Again
        self._batch.splits += 1
        self._batch.fail(index, self._annotated(error, index, at))

    def _may_try_again(self) -> bool:
        self._conflicts += 1
        return self._conflicts <= _CONFLICTS

    def _annotated(self, error: BaseException, index: int, at: int | None) -> BaseException:
        _, operation, work, _ = self._batch.jobs[index]
        if isinstance(error, psycopg.Error) and is_lock_timeout(error):
            timeout = LockTimeout(
                "another transaction held what this one needs for longer than lock_timeout; it was not applied"
            )
            timeout.__cause__ = error
            return annotate(timeout, work[at or 0][0])
        if at is not None and operation.name == "write_many":
            error.add_note(f"in row {at + 1} of write_many")
        return annotate(error, work[at or 0][0] if work else None)

    # In pieces, each behind a savepoint

    async def _in_pieces(self, indexes: list[int]) -> psycopg.Error | None:
        """One transaction, in which jobs may fail."""
        if not indexes:
            return None
        session, batch = self._session, self._batch
        begin = self._begin()
        try:
            self._check_begin(await session.ask(begin))
            results: dict[int, Any] = {}
            at, size = 0, len(indexes)
            while at < len(indexes):
                piece = indexes[at : at + size]
                culprit = await self._piece(piece, results)
                if culprit is None:
                    at += len(piece)
                    size *= 2
                else:
                    indexes.remove(culprit)
                    size = max(1, size // 2)
            if not results:
                session.left_open()
                return None
            batch.in_doubt = results
            return self._committed(await session.link.ask(self._end()), results)
        except _Again:
            session.left_open()
            raise

    async def _piece(self, piece: list[int], results: dict[int, Any]) -> int | None:
        """Runs these; where one fails, takes them back, and returns which."""
        commands: list[Command] = [_SAVE]
        places: list[int] = []
        for index in piece:
            places.append(len(commands))
            commands += commands_of(self._batch.jobs[index][2])
        places.append(len(commands))
        answers = await self._session.link.ask([*commands, _RELEASE])
        mine: dict[int, Any] = {}
        for index, start, stop in zip(piece, places, places[1:], strict=False):
            error, at = self._judge(index, answers[start:stop], mine)
            if error is not None:
                if NOT_RUN not in answers:  # what it returned is at fault, and the savepoint is released
                    self._batch.fail(index, self._annotated(error, index, at))
                    self._batch.splits += 1
                    raise _Again
                await self._session.link.ask([_BACK, _RELEASE])
                await self._failed(index, error, at)
                return index
        results.update(mine)
        return None
