"""The only room that knows psycopg: how a server is reached, how values cross, what its errors are.

psycopg opens the connection, which knows about hosts in turn, names and TLS, and makes values of Python's into the
server's and back. What runs on the connection is the affair of link.py, by libpq's own calls, each of them a method of
psycopg's: a cursor answers no two statements in one round trip without a task each.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

try:
    import psycopg
    from psycopg import adapt, pq
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.pq import abc
    from psycopg.types import numeric, string
except ImportError as _missing:
    raise ImportError(
        "a postgresql:// target needs the driver psycopg (3.2 or newer): pip install 'aiomemdb[postgres]'"
    ) from _missing

from ..concurrency.job import settle_one
from .watching import Watch, is_ready

__all__ = [
    "Arguments",
    "Dumper",
    "Loader",
    "ServerConnection",
    "ServerResult",
    "cancel",
    "checked_conninfo",
    "error_of",
    "is_end_of_connection",
    "open_connection",
    "pq",
    "psycopg",
    "without_password",
]

#: What the server answers to one statement.
ServerResult: TypeAlias = abc.PGresult
ServerConnection: TypeAlias = abc.PGconn

_AUTO = adapt.PyFormat.AUTO

# In seconds. A server that has vanished without a word is noticed after that long, not after two hours.
_KEEPALIVE: dict[str, object] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^?\s]*@")
_PASSWORD_OPTION = re.compile(r"((?:ssl)?password=)[^&\s]*", re.IGNORECASE)


def without_password(text: str) -> str:
    """The same text; where it holds a URL, without the password in it."""
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def checked_conninfo(target: str) -> dict[str, Any]:
    """What a URL says, by libpq's names.

    Raises:
        ValueError: it can't be read. The message holds no password.
    """
    shown = without_password(target)
    try:
        # A "/" in a password would make its beginning the port, which an error would show.
        if "@" not in target.partition("://")[2].partition("?")[0].partition("/")[2]:
            return dict(conninfo_to_dict(target))
    except psycopg.Error:
        pass
    # Outside of the handler: libpq's own message may hold all of it.
    raise ValueError(
        f"{shown!r} can't be read as a PostgreSQL URL: postgresql://user:password@host:port/database; "
        "special characters of a password are written as %-codes (urllib.parse.quote(password, safe=''))"
    )


async def open_connection(
    conninfo: dict[str, Any], *, name: str, primary: bool, timeout: float
) -> psycopg.AsyncConnection[Any]:
    """A new connection, of the first host in the URL that can be reached and, of the ``primary``, be written to.

    Raises:
        psycopg.Error: none can be reached.
    """
    options = {**_KEEPALIVE, "connect_timeout": max(2, int(timeout)), "application_name": name, **conninfo}
    if primary:
        options.setdefault("target_session_attrs", "read-write")
    options["client_encoding"] = "utf8"
    return await psycopg.AsyncConnection.connect(autocommit=True, prepare_threshold=None, **options)


async def cancel(pgconn: ServerConnection, loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
    """Has the server stop what this connection runs. Returns when the server has heard of it, or can't be reached."""
    try:
        cancelling = pgconn.cancel_conn()
    except psycopg.Error:  # libpq before 17 can only wait for it
        try:
            await loop.run_in_executor(None, pgconn.get_cancel().cancel)
        except psycopg.Error:
            pass
        return
    try:
        cancelling.start()
        while (state := cancelling.poll()) not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
            await _ready(cancelling.socket, loop, watch, to_read=state == pq.PollingStatus.READING)
    except psycopg.Error:
        pass
    finally:
        cancelling.finish()


async def _ready(descriptor: int, loop: asyncio.AbstractEventLoop, watch: Watch, *, to_read: bool) -> None:
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_reader, loop.remove_reader) if to_read else (loop.add_writer, loop.remove_writer)

    def look() -> None:
        if is_ready(descriptor, to_read=to_read):
            settle_one(ready, None)

    add(descriptor, settle_one, ready, None)
    watch.add(look)
    try:
        await ready
    finally:
        watch.looks.discard(look)
        remove(descriptor)


# Values


class Arguments(NamedTuple):
    """Parameters as the server gets them: no caller can change them any more."""

    values: Sequence[Any]
    types: tuple[int, ...]
    formats: Sequence[int]


NOTHING = Arguments((), (), ())


class _Integer(adapt.Dumper):
    """An int is an int4, or an int8 where it needs one. psycopg's own begins with int2: each statement of n numbers
    would be prepared in up to 3 to the power of n ways.
    """

    oid = 0
    _int4: adapt.Dumper = numeric.Int4BinaryDumper(numeric.Int4)
    _int8: adapt.Dumper = numeric.Int8BinaryDumper(numeric.Int8)
    _numeric: adapt.Dumper = numeric.IntNumericBinaryDumper(numeric.IntNumeric)

    def get_key(self, obj: int, format: adapt.PyFormat) -> Any:
        return self.upgrade(obj, format).cls

    def upgrade(self, obj: int, format: adapt.PyFormat) -> Any:
        if -(2**31) <= obj < 2**31:
            return self._int4
        return self._int8 if -(2**63) <= obj < 2**63 else self._numeric

    def dump(self, obj: Any) -> bytes:
        raise TypeError("it is made by the class that get_key names")


class _IntegerText(_Integer):
    """The same within an array of values that have no binary form."""

    _int4 = numeric.Int4Dumper(numeric.Int4)
    _int8 = numeric.Int8Dumper(numeric.Int8)
    _numeric = numeric.IntNumericDumper(numeric.IntNumeric)


_IntegerText.format = pq.Format.TEXT
_Integer.format = pq.Format.BINARY


class _BytesText(adapt.Dumper):
    """Within an array. psycopg's own escapes for a connection, and without one as old servers wanted it."""

    format = pq.Format.TEXT
    oid = 17

    def dump(self, obj: Any) -> bytes:
        return b"\\x" + bytes(obj).hex().encode()


class _Context:
    connection = None

    def __init__(self) -> None:
        self.adapters = adapt.AdaptersMap(psycopg.adapters)
        self.adapters.register_dumper(int, _IntegerText)
        self.adapters.register_dumper(int, _Integer)
        for kind in (bytes, bytearray, memoryview):
            self.adapters.register_dumper(kind, _BytesText)
            self.adapters.register_dumper(kind, string.BytesBinaryDumper)


class Dumper:
    """Makes parameters of one database the server's, at the call: what can't be made so is an error there."""

    def __init__(self) -> None:
        self._transformer = adapt.Transformer(_Context())
        self._formats: dict[int, list[adapt.PyFormat]] = {}

    def dump(self, params: Sequence[Any]) -> Arguments:
        """
        Raises:
            psycopg.Error: a value that the server has no form of; psycopg says which.
        """
        count = len(params)
        if not count:
            return NOTHING
        formats = self._formats.get(count)
        if formats is None:
            formats = self._formats[count] = [_AUTO] * count
        transformer = self._transformer
        values = transformer.dump_sequence(params, formats)
        # A buffer of the caller's may be among them, or one that the next value overwrites.
        values = [value if value is None or type(value) is bytes else bytes(value) for value in values]
        assert transformer.types is not None and transformer.formats is not None
        return Arguments(values, transformer.types, transformer.formats)


class Loader:
    """Makes the rows of one connection Python's."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._transformer = adapt.Transformer(connection)

    def rows(self, result: ServerResult, make_row: Callable[[Sequence[Any]], Any], limit: int | None = None) -> Any:
        transformer = self._transformer
        transformer.set_pgresult(result)
        count = result.ntuples if limit is None else min(limit, result.ntuples)
        rows = transformer.load_rows(0, count, make_row)
        transformer.set_pgresult(None)
        return rows


# Errors


def error_of(result: ServerResult) -> psycopg.Error:
    """What the server says is wrong."""
    return psycopg.errors.error_from_result(result, encoding="utf-8")


def is_end_of_connection(error: psycopg.Error) -> bool:
    """Whether the server has ended the connection with these words; or they are libpq's, which has lost it."""
    return error.sqlstate is None or error.diag.severity_nonlocalized in ("FATAL", "PANIC")
