"""Verbs that ask in SQL: one SELECT, or one after another; walled in as those of an agent."""

from __future__ import annotations

import csv
import io
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Annotated

import typer

from .. import blocking
from ..agents import AgentAnswer, AgentLimits
from ..errors import ForbiddenStatement, ReadTimeout
from ..sqlite.common.codes import primary_code
from .options import AlsoRead, AsJson, File, Limit, Namespace, Timeout
from .output import Output, plain
from .performing import HAS_MEMORY, OK, USAGE, check_exists, database, memory, naming, perform, perform_here
from .private import unasked_for

__all__ = ["VERBS"]

AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV, with a line of names.")]
Tables = Annotated[bool, typer.Option("--tables", help="Ask the tables of the file, not the views of its memory.")]

_TABLES = (
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') "
    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
)
#: What a memory shows.
_VIEWS = ("aliases", "entities", "episodes", "evidence", "fact_history", "facts")
#: The most that an answer may hold.
_ANSWER_BYTES = 16_000_000
_DEADLINE_AT_MOST = 60.0

#: Result codes of errors that are the text's, not the file's.
_OF_THE_TEXT = (0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE)

_HELP = """\
One SELECT at a time, ended by a semicolon.
.tables        the tables that you can ask
.columns NAME  the columns of one
.quit          the end, as Ctrl-D is; Ctrl-C drops what you have typed, or stops a query"""


def _limits(rows: int, timeout: float) -> AgentLimits:
    return AgentLimits(rows=rows, answer_bytes=_ANSWER_BYTES, deadline=min(timeout, _DEADLINE_AT_MOST))


def query(
    file: File,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; - reads it from standard input.")],
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    tables: Tables = False,
    limit: Limit = 1000,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    timeout: Timeout = 30.0,
) -> None:
    """Answer one SELECT: of a memory's views, or of the tables of a file; it can only read."""
    output = Output(as_json)
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json are two forms of one answer: give one of them")
    text = sys.stdin.read() if sql == "-" else sql

    async def work() -> int:
        limits = _limits(limit, timeout)
        try:
            async with database(file, timeout=timeout, read_only=True) as db:
                if tables or await db.read_value(HAS_MEMORY) is None:
                    answer = await db.agent_read(text, limits=limits)
                else:
                    async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
                        answer = await opened.agent_read(text, limits=limits)
        except (ForbiddenStatement, sqlite3.Error) as error:
            return _refused(output, error)
        _print(output, answer, as_csv=as_csv, limit=limit)
        return OK

    perform(output, work, timeout=timeout)


def _refused(output: Output, error: Exception) -> int:
    """Raises: the error, if it is the file's and not the text's."""
    if isinstance(error, sqlite3.Error) and primary_code(error) not in _OF_THE_TEXT:
        raise error
    output.error(error, str(error))
    return USAGE


def _print(output: Output, answer: AgentAnswer, *, as_csv: bool, limit: int) -> None:
    columns = _apart(answer.columns)
    if as_csv:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([plain(value) for value in row] for row in answer.rows)
        output.text(text.getvalue().removesuffix("\n"))
    else:
        output.rows(columns, [dict(zip(columns, row, strict=True)) for row in answer.rows])
    if answer.truncated:
        at = f"--limit {limit}" if len(answer.rows) >= limit else f"{_ANSWER_BYTES:,} bytes"
        output.note(f"cut off after {len(answer.rows):,} rows, by {at}")


def _apart(columns: tuple[str, ...]) -> list[str]:
    """Each name once: of two columns called x the second is x_2."""
    names: list[str] = []
    for column in columns:
        name, count = column, 1
        while name in names:
            count += 1
            name = f"{column}_{count}"
        names.append(name)
    return names


# -- one after another ---------------------------------------------------------------------------------------


def shell(
    file: File,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
    tables: Tables = False,
    limit: Limit = 1000,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    timeout: Timeout = 30.0,
) -> None:
    """Answer one SELECT after another, typed or from a pipe; .help says more. It can only read."""
    output = Output(as_json)
    if as_csv and as_json:
        raise typer.BadParameter("--csv and --json are two forms of one answer: give one of them")

    def work() -> int:
        check_exists(file.file)
        with naming(file.file), blocking.connect(file.file, read_only=True, lock_timeout=timeout, readers=2) as db:
            if tables or db.read_value(HAS_MEMORY) is None:
                return _Shell(output, partial(db.agent_read, limits=_limits(limit, timeout)), db, as_csv, limit).run()
            with blocking.Memory.open(db, namespace=namespace, **unasked_for(db)) as opened:
                view = opened.scoped(also_read=also_read)
                ask = partial(view.agent_read, limits=_limits(limit, timeout))
                return _Shell(output, ask, None, as_csv, limit).run()

    perform_here(output, work)


class _Shell:
    """
    Args:
        db: the database, if its own tables are asked.
    """

    def __init__(
        self,
        output: Output,
        ask: Callable[[str], AgentAnswer],
        db: blocking.Database | None,
        as_csv: bool,
        limit: int,
    ) -> None:
        self._output = output
        self._ask = ask
        self._db = db
        self._as_csv = as_csv
        self._limit = limit
        self._is_typed = sys.stdin.isatty()
        self._failed = False

    def run(self) -> int:
        """Returns an exit status: of what is typed 0, of a pipe 2 where a text was refused."""
        if self._is_typed:
            import readline  # noqa: F401  input() has a history and an editor by that

            self._output.note("One SELECT, ended by a semicolon; .help says more.")
        text = ""
        while True:
            try:
                line = self._read("...> " if text else "sql> ")
                if line is None:
                    break
                if not text and line.startswith("."):
                    if line.split()[0] in (".quit", ".exit"):
                        break
                    self._command(*line.split())
                    continue
                text += f"{line}\n"
                if not text.strip():
                    text = ""
                elif sqlite3.complete_statement(text):
                    asked, text = text, ""
                    self._answer(asked)
            except KeyboardInterrupt:
                if not self._is_typed:
                    raise
                text = ""
                self._output.note("")
        if text.strip():
            self._answer(text)
        return USAGE if self._failed and not self._is_typed else OK

    def _read(self, prompt: str) -> str | None:
        """A line; None: the end."""
        try:
            return input(prompt if self._is_typed else "")
        except EOFError:
            return None

    def _answer(self, text: str) -> None:
        try:
            _print(self._output, self._ask(text), as_csv=self._as_csv, limit=self._limit)
        except ReadTimeout as error:
            self._failed = True
            self._output.error(error, str(error))
        except (ForbiddenStatement, sqlite3.Error) as error:
            self._failed = True
            _refused(self._output, error)
        sys.stdout.flush()

    def _command(self, name: str, *arguments: str) -> None:
        if name == ".tables" and not arguments:
            self._output.rows(("table",), [{"table": table} for table in self._tables()])
        elif name == ".columns" and len(arguments) == 1:
            try:
                found = self._ask(f"SELECT * FROM {_quoted(arguments[0])} LIMIT 0")
            except (ForbiddenStatement, sqlite3.Error) as error:
                self._failed = True
                _refused(self._output, error)
            else:
                self._output.rows(("column",), [{"column": column} for column in found.columns])
        else:
            self._output.note(_HELP)

    def _tables(self) -> Iterator[str]:
        if self._db is None:
            yield from _VIEWS
            return
        for row in self._db.read(_TABLES):
            with suppress(ForbiddenStatement):  # the library's own
                self._ask(f"SELECT 1 FROM {_quoted(row[0])} LIMIT 0")
                yield row[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


VERBS: tuple[Callable[..., None], ...] = (query, shell)
