"""What each verb sends, and what it makes of the server's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from ..concurrency.job import Operation
from ..database import Params
from ..errors import ForbiddenStatement, NotAQuery
from ..values import Result, Row
from .driver import NOTHING, Arguments, Dumper, Loader, ServerResult, pq, psycopg
from .link import Command
from .rows import names_of, row_class
from .texts import Statement, script, statement

__all__ = [
    "ANY",
    "COUNT",
    "FLUSH",
    "MANY",
    "RETURNING",
    "SCRIPT",
    "STEPS",
    "WRITE",
    "Checker",
    "Work",
    "annotate",
    "answered",
    "can_be_read",
    "checked_params",
    "commands_of",
    "one_value",
    "result_of",
    "rows_of",
]

#: What a job sends: the statements, each with its parameters.
Work: TypeAlias = Sequence[tuple[Statement, Arguments]]
Results: TypeAlias = Sequence[ServerResult]

R = TypeVar("R")

_CHANGES = (b"INSERT", b"UPDATE", b"DELETE", b"MERGE")


# Results


def rows_of(result: ServerResult, loader: Loader, limit: int | None = None) -> list[Row]:
    """
    Raises:
        NotAQuery: it returns none.
    """
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise NotAQuery(
            "the statement returns no rows: write by write(), write_count() or write_script(); to get rows back, add "
            "RETURNING and use write_returning()"
        )
    rows: list[Row] = loader.rows(result, row_class(names_of(result)), limit)
    return rows


def _count(result: ServerResult) -> int:
    tag = result.command_status or b""
    return (result.command_tuples or 0) if tag.startswith(_CHANGES) else 0


def one_value(result: ServerResult, loader: Loader) -> Any:
    """The first column of the first row, or None."""
    if result.status != pq.ExecStatus.TUPLES_OK or not result.ntuples or not result.nfields:
        return None
    return loader.rows(result, tuple, 1)[0][0]


def _inserted(results: Results, loader: Loader) -> int | None:
    return _as_id(one_value(results[0], loader))


def _as_id(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def result_of(result: ServerResult, loader: Loader) -> Result:
    if result.status != pq.ExecStatus.TUPLES_OK:
        return Result((), [], None, _count(result))
    rows = rows_of(result, loader)
    rowid = (
        None if (result.command_status or b"").startswith(b"SELECT") or not rows else _as_id(next(iter(rows[0]), None))
    )
    return Result(names_of(result), rows, rowid, _count(result))


def _operation(name: str, answer: Callable[[Results, Loader], R]) -> Operation[R]:
    return Operation(name, answer)


WRITE: Operation[int | None] = _operation("write", _inserted)
COUNT: Operation[int] = _operation("write_count", lambda results, loader: _count(results[0]))
RETURNING: Operation[list[Row]] = _operation("write_returning", lambda results, loader: rows_of(results[0], loader))
ANY: Operation[Result] = _operation("write_any", lambda results, loader: result_of(results[0], loader))
MANY: Operation[int] = _operation("write_many", lambda results, loader: sum(map(_count, results)))
SCRIPT: Operation[None] = _operation("write_script", lambda results, loader: None)
FLUSH: Operation[None] = _operation("flush", lambda results, loader: None)
STEPS: Operation[list[Result]] = _operation(
    "steps", lambda results, loader: [result_of(result, loader) for result in results]
)


_LOADS_NOTHING = (COUNT, MANY, SCRIPT, FLUSH)
# bool, bytea, name, int8, int2, int4, text, oid, json, float4, float8, bpchar, varchar, numeric, uuid, jsonb: Python
# has each value of theirs. (Of a date it has no 'infinity'.)
_SURE = frozenset([16, 17, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1700, 2950, 3802])


# What callers pass


def checked_params(params: Params) -> Sequence[Any]:
    if params.__class__ is tuple or params.__class__ is list:
        return params
    if isinstance(params, Mapping):
        raise TypeError("params must be a sequence for $1, $2, …: PostgreSQL has no parameters by name")
    if isinstance(params, Sequence) and not isinstance(params, str | bytes | bytearray | memoryview):
        return tuple(params)
    raise TypeError(
        f"params must be a sequence (for $1, $2, …), not {type(params).__name__}"
        + ("; for one value write (value,)" if isinstance(params, str | bytes | int | float) else "")
    )


class Checker:
    """What callers pass, as jobs have it; errors of it are raised at the call."""

    def __init__(self, max_value_bytes: int) -> None:
        self._dumper = Dumper()
        self._max_value_bytes = max_value_bytes

    def _dump(self, params: Params) -> Arguments:
        arguments = self._dumper.dump(checked_params(params))
        size = sum(len(value) for value in arguments.values if value is not None)
        if size > self._max_value_bytes:
            error = psycopg.DataError("string or blob too big")
            error.add_note(f"a value or row is larger than connect(max_value_bytes={self._max_value_bytes}) allows")
            raise error
        return arguments

    def one(self, sql: str, params: Params, operation: Operation[Any] | None, *, is_within: bool = False) -> Work:
        """One statement; ``operation`` None: of a read verb."""
        made = statement(sql)
        made.check(is_within=is_within)
        if made.is_query and operation in (WRITE, COUNT, MANY):
            raise ForbiddenStatement(
                f"{operation.name}() got a query: read(sql, params) answers it beside the writer; where it writes by a "
                "function, or locks rows, use write_returning()"
            )
        try:
            return ((made, self._dump(params)),)
        except psycopg.Error as error:
            raise annotate(error, made) from None

    def many(self, sql: str, rows: Iterable[Params], *, is_within: bool = False) -> Work:
        if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
            raise TypeError(f"write_many takes an iterable of parameter sets, not {type(rows).__name__}")
        work: list[tuple[Statement, Arguments]] = []
        ((made, _),) = self.one(sql, (), MANY, is_within=is_within)
        try:
            # Each as it comes: a generator may fill the same buffer anew for each row.
            work.extend((made, self._dump(params)) for params in rows)
        except Exception as error:
            error.add_note(f"in row {len(work) + 1} of write_many")
            raise
        return work

    def script(self, sql: str, *, is_within: bool = False) -> Work:
        statements = script(sql)
        for each in statements:
            each.check(is_within=is_within)
        return [(each, NOTHING) for each in statements]

    def steps(self, steps: Iterable[tuple[str, Params]], *, is_within: bool) -> Work:
        return [pair for sql, params in steps for pair in self.one(sql, params, ANY, is_within=is_within)]


def commands_of(work: Work) -> list[Command]:
    return [(made.command, arguments) for made, arguments in work]


def can_be_read(operation: Operation[Any], work: Work) -> bool:
    """Whether the answers are known to be what the verb needs, before they are there. Where not, they are to be looked
    at before what they are of is committed.
    """
    if operation in _LOADS_NOTHING:
        return True
    if operation is RETURNING and work[0][0].returns_rows is not True:
        return False
    return all(made.is_sure or not made.may_return for made, _ in work)


def answered(operation: Operation[R], work: Work, results: Results, loader: Loader) -> R:
    """What a job's caller gets. Raises: NotAQuery, and what psycopg can't read."""
    for (made, _), result in zip(work, results, strict=True):
        if made.returns_rows is None:
            made.returns_rows = result.status == pq.ExecStatus.TUPLES_OK
        if made.may_return:
            made.is_sure = all(result.ftype(column) in _SURE for column in range(result.nfields))
    return operation.run(results, loader)


def annotate(error: BaseException, made: Statement | None) -> BaseException:
    """Adds a note that holds the SQL, never the parameters."""
    error.__traceback__ = None
    if made is not None and not any(note.startswith("SQL: ") for note in getattr(error, "__notes__", ())):
        text = made.sql if len(made.sql) <= 1000 else f"{made.sql[:1000]}… ({len(made.sql)} characters)"
        error.add_note(f"SQL: {text}")
    return error
