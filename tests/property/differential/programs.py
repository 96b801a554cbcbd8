"""What a run of the differential fuzz is made of, as values that print as the Python that makes them again.

A program is a schema and rounds. In a round tasks enqueue jobs together, or another program changes the schema.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from math import inf, nan
from typing import Any

__all__ = ["LARGE", "MAX_VALUE_BYTES", "UNBINDABLE", "Job", "Other", "Program", "Together", "from_text", "prepare"]

#: What a string, blob or row may take here, in bytes.
MAX_VALUE_BYTES = 4096
#: Too large alone; two of half its size are too large for one row.
LARGE = "y" * 5000
HALF = "z" * 2500


class _Unbindable:
    """No type that SQLite knows."""

    def __repr__(self) -> str:
        return "UNBINDABLE"


class _Raising:
    """An object with an adapter that raises."""

    def __conform__(self, _: object) -> None:
        raise ZeroDivisionError("the adapter")

    def __repr__(self) -> str:
        return "RAISING"


UNBINDABLE = _Unbindable()
RAISING = _Raising()
_NAMED = {LARGE: "LARGE", HALF: "HALF"}


class _Printed:
    """Prints as the call that makes it, without what is as by default."""

    def __repr__(self) -> str:
        given = []
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            if value != each.default or each.name == "verb":
                given.append(f"{each.name}={_shown(value)}")
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, repr=False)
class Job(_Printed):
    """One call of a verb.

    Attributes:
        verb: of the database; or "execute", "executemany" (on a function's connection), "nested" (a savepoint).
        sql: its text; of a script all of its statements.
        params: a sequence or a mapping; of ``write_many`` and ``executemany`` a list of them.
        steps: what a function, a transaction or a snapshot does, one by one. It goes on behind a step that failed.
        end: "" (it ends well), "raise" (it raises), "stop" (it raises what a step raised, the first time).
        durable: the job is to be durable.
    """

    verb: str
    sql: str = ""
    params: Any = ()
    steps: tuple[Job, ...] = ()
    end: str = ""
    durable: bool = False


@dataclass(frozen=True, repr=False)
class Together(_Printed):
    """Tasks that enqueue these jobs in one iteration of the loop, on the first or second handle of this process.

    Attributes:
        elsewhere: what another program does in a transaction that it has begun before, and commits behind.
        cancelled: which of the tasks is cancelled, or None.
        iterations: of the loop, before it is.
        timeout: that task is not cancelled, its job has this time limit.
        watched: what a snapshot reads that is open all the while: before the jobs, and again behind them.
    """

    jobs: tuple[Job, ...]
    handle: int = 0
    elsewhere: str = ""
    cancelled: int | None = None
    iterations: int = 0
    timeout: float | None = None
    watched: tuple[Job, ...] = ()


@dataclass(frozen=True, repr=False)
class Other(_Printed):
    """Another program runs statements, each in a transaction of its own, and passes over those that fail.

    Attributes:
        process: it is another process with an aiomemdb of its own; otherwise plain sqlite3 in this one.
    """

    statements: tuple[str, ...]
    process: bool = False


@dataclass(frozen=True)
class Program:
    """Everything that a run depends on.

    Attributes:
        schema: the statements that make it; those that fail are passed over.
        limits: of SQLite, by their number, that ``prepare`` lowers.
        pragmas: of every connection.
    """

    schema: tuple[str, ...]
    rounds: tuple[Together | Other, ...]
    limits: dict[int, int] = field(default_factory=dict)
    pragmas: dict[str, int] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        return sum(len(one.jobs) for one in self.rounds if isinstance(one, Together))

    def __repr__(self) -> str:
        return "\n".join(_lines(self))


def _lines(program: Program) -> Iterator[str]:
    yield "Program("
    yield "    schema=("
    for statement in program.schema:
        yield f"        {statement!r},"
    yield "    ),"
    yield "    rounds=("
    for one in program.rounds:
        if isinstance(one, Together):
            yield "        Together(("
            for job in one.jobs:
                yield f"            {job!r},"
            yield f"        ){repr(replace(one, jobs=())).removeprefix('Together(jobs=()')},"
        else:
            yield f"        {one!r},"
    yield "    ),"
    yield f"    limits={program.limits!r},"
    yield f"    pragmas={program.pragmas!r},"
    yield ")"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return _NAMED.get(value) or repr(value)
    if type(value) is tuple:
        return f"({', '.join(map(_shown, value))}{',' if len(value) == 1 else ''})"
    if type(value) is list:
        return f"[{', '.join(map(_shown, value))}]"
    if type(value) is dict:
        return "{" + ", ".join(f"{_shown(key)}: {_shown(each)}" for key, each in value.items()) + "}"
    return repr(value)


def from_text(text: str) -> Program:
    """The program that printed so. Equal texts in it are one object, as those of an application's are."""
    scope = dict(globals(), inf=inf, nan=nan)
    program: Program = eval(compile(text, "<program>", "eval"), scope)
    return program


def prepare(program: Program, conn: sqlite3.Connection) -> None:
    """Functions and a collation that the schemas use, and the program's limits."""
    conn.create_function("double", 1, _double, deterministic=True)
    conn.create_function("picky", 1, _picky, deterministic=True)
    conn.create_function("broken", 1, lambda _: b"\xff".decode())
    conn.create_collation("backwards", lambda one, two: (one < two) - (one > two))
    for limit, value in program.limits.items():
        conn.setlimit(limit, value)


def _double(value: Any) -> Any:
    return value * 2 if isinstance(value, int | str) and abs(_size(value)) < 1000 else value


def _size(value: int | str) -> int:
    return value if isinstance(value, int) else len(value)


def _picky(value: Any) -> Any:
    if value == 7:
        raise ValueError("seven")
    return value
