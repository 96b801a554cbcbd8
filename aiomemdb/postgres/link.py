"""Link: one connection to a server, and what is sent on it: many statements in one round trip, each with its answer.

It is in libpq's pipeline mode from its beginning to its end. A *request* is a list of commands, and a mark behind them.
The server answers them in order; behind the first that fails nothing is run, and each is answered by ``NOT_RUN``. So
the culprit is named by its place.

Whatever is not the server's word on a live connection is the loss of it (``Lost``), also where it comes as an error: a
server that ends a connection says so first, as the answer to what runs.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from .driver import Arguments, Loader, ServerResult, cancel, error_of, is_end_of_connection, pq, psycopg
from .watching import Watch, is_ready

__all__ = ["FLUSH", "NOT_RUN", "Answer", "Command", "Link", "Lost"]

#: The text of a statement, and its parameters.
Command: TypeAlias = tuple[bytes, Arguments]


class _NotRun:
    def __repr__(self) -> str:
        return "NOT_RUN"


NOT_RUN: Final = _NotRun()
#: No command, and has no answer: the server is to send what it has answered, before it goes on.
FLUSH: Final[Command] = (b"", Arguments((), (), ()))

#: The server's result; its error; or NOT_RUN.
Answer: TypeAlias = ServerResult | psycopg.Error | _NotRun

_FINE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_BYTEA = frozenset([17, 1001])
# psycopg reads their binary form as it reads their text: bool, bytea, "char", name, int8, int2, int4, text, oid,
# float4, float8, bpchar, varchar, uuid, and arrays of them.
_BINARY = _BYTEA | {16, 19, 20, 21, 23, 25, 26, 700, 701, 1042, 1043, 2950}
_BINARY |= {1000, 1003, 1005, 1007, 1009, 1014, 1015, 1016, 1021, 1022, 1028, 2951}


class Lost(Exception):
    """The connection is gone.

    Attributes:
        cause: what libpq or the server said.
        answers: what was answered before.
    """

    def __init__(self, cause: BaseException, answers: Sequence[Answer] = ()) -> None:
        super().__init__(str(cause))
        self.cause: BaseException = cause
        self.answers: Sequence[Answer] = answers


class _Known:
    """A statement that this connection has seen with parameters of these types."""

    __slots__ = ("format", "name")

    def __init__(self) -> None:
        self.name: bytes | None = None  # once it is prepared
        self.format: int = 0


class _Preparing:
    """What was sent is that a statement be prepared, or (None) forgotten."""

    __slots__ = ("known",)

    def __init__(self, known: _Known | None) -> None:
        self.known: _Known | None = known


_MARK: Final = object()


class Link:
    """
    Attributes:
        lost: why it is gone, or None.
        is_ending: what runs here is being stopped.
        loader: makes its rows Python's.
        pid: of the server's process.
    """

    def __init__(
        self,
        connection: psycopg.AsyncConnection[Any],
        loop: asyncio.AbstractEventLoop,
        watch: Watch,
        *,
        statement_cache: int,
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.loader: Loader = Loader(connection)
        self.lost: Lost | None = None
        self.is_ending: bool = False
        self._connection = connection
        self._watch = watch
        self._look = self._look_at_socket  # one object, by which it is taken out
        self._pgconn = pgconn = connection.pgconn
        self.pid: int = pgconn.backend_pid
        self.server_version: int = pgconn.server_version
        self._statement_cache = statement_cache
        self._known: OrderedDict[tuple[bytes, tuple[int, ...]], _Known] = OrderedDict()
        self._made = 0
        self._request: asyncio.Future[list[Answer]] | None = None
        self._kinds: list[object] = []
        self._at = 0
        self._unprepared: psycopg.Error | None = None
        self._result: ServerResult | None = None
        self._answers: list[Answer] = []
        self._writing = False
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        self._descriptor = pgconn.socket
        loop.add_reader(self._descriptor, self._readable)

    def __repr__(self) -> str:
        return f"<Link pid={self.pid} {'lost' if self.lost else 'busy' if self._request else 'idle'}>"

    @property
    def is_busy(self) -> bool:
        return self._request is not None

    def status(self, name: bytes) -> str | None:
        """A setting that the server reports, as it is now."""
        value = self._pgconn.parameter_status(name)
        return None if value is None else value.decode()

    @property
    def host(self) -> str:
        """Where the server is, for messages."""
        pgconn = self._pgconn
        return f"{pgconn.host.decode() or 'localhost'}:{pgconn.port.decode()}"

    # Sending

    def ask(self, commands: Sequence[Command]) -> asyncio.Future[list[Answer]]:
        """Sends a request, one at a time; returns the future of its answers, which raises Lost."""
        assert self._request is None, "one request at a time"
        request: asyncio.Future[list[Answer]] = self.loop.create_future()
        if self.lost is not None:
            request.set_exception(self.lost)
            return request
        self._request, self._kinds, self._answers, self._at = request, [], [], 0
        self._result = self._unprepared = None
        try:
            for command in commands:
                if command is FLUSH:
                    self._pgconn.send_flush_request()
                else:
                    self._send(command)
            self._pgconn.pipeline_sync()
            self._kinds.append(_MARK)
            self._flush()
            self._watch.add(self._look)
        except psycopg.Error as error:
            self._lose(error)
        return request

    def _send(self, command: Command) -> None:
        sql, (values, types, formats) = command
        pgconn, known = self._pgconn, None
        if self._statement_cache:
            key = (sql, types)
            known = self._known.get(key)
            if known is None:
                # Prepared when it comes again: many texts come once.
                self._known[key] = _Known()
                if len(self._known) > self._statement_cache:
                    self._forget_oldest()
            elif known.name is None:
                self._known.move_to_end(key)
                self._made += 1
                name = b"aiomemdb_%d" % self._made
                pgconn.send_prepare(name, sql, types)
                self._kinds.append(_Preparing(known))
                known.name = name
            else:
                self._known.move_to_end(key)
        if known is not None and known.name is not None:
            pgconn.send_query_prepared(known.name, values, formats, known.format)
        else:
            pgconn.send_query_params(sql, values, types, formats, 0)
        self._kinds.append(known)

    def _forget_oldest(self) -> None:
        _, known = self._known.popitem(last=False)
        if known.name is not None:
            # In a part that fails it is not run: the server then keeps what is never asked for again.
            self._pgconn.send_query_params(b"DEALLOCATE " + known.name, None)
            self._kinds.append(_Preparing(None))

    def forget_statements(self) -> None:
        """The schema has changed: what was prepared returns other columns now."""
        self._known.clear()

    def _flush(self) -> None:
        if self._pgconn.flush():
            if not self._writing:
                self._writing = True
                self.loop.add_writer(self._descriptor, self._writable)
        elif self._writing:
            self._writing = False
            self.loop.remove_writer(self._descriptor)

    def _writable(self) -> None:
        try:
            self._flush()
        except psycopg.Error as error:
            self._lose(error)

    # Receiving

    def _readable(self) -> None:
        pgconn, error = self._pgconn, None
        try:
            pgconn.consume_input()
        except psycopg.Error as failed:  # what came before is there
            error = failed
        try:
            self._receive()
        except psycopg.Error as failed:
            error = error or failed
        if error is not None or pgconn.status == pq.ConnStatus.BAD:
            self._lose(error or psycopg.OperationalError("the connection is lost"))
        elif self._request is not None and self._at == len(self._kinds):
            request, self._request = self._request, None
            self._watch.looks.discard(self._look)
            if not request.done():
                request.set_result(self._answers)

    def _look_at_socket(self) -> None:
        if self._descriptor >= 0 and is_ready(self._descriptor):
            self._readable()

    def _receive(self) -> None:
        pgconn, kinds = self._pgconn, self._kinds
        is_busy, get_result = pgconn.is_busy, pgconn.get_result
        at, end = self._at, len(kinds)
        try:
            while at < end and not is_busy():
                result = get_result()
                if result is None:
                    if self._result is None:  # nothing more has come
                        return
                    self._answered(kinds[at], self._result)
                    self._result = None
                    at += 1
                elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                    at += 1
                else:
                    self._result = result
        finally:
            self._at = at
        if at == end and self._request is None:
            while not is_busy() and get_result() is not None:
                pass

    def _answered(self, kind: object, result: ServerResult) -> None:
        status = result.status
        if isinstance(kind, _Preparing):
            if status not in _FINE:
                if kind.known is not None:
                    kind.known.name = None
                if status != pq.ExecStatus.PIPELINE_ABORTED:
                    self._unprepared = self._refused(result)
        elif status in _FINE:
            if isinstance(kind, _Known) and not kind.format and status == pq.ExecStatus.TUPLES_OK:
                types = {result.ftype(column) for column in range(result.nfields)}
                kind.format = int(not types.isdisjoint(_BYTEA) and types <= _BINARY)
            self._answers.append(result)
        elif status == pq.ExecStatus.PIPELINE_ABORTED:
            error, self._unprepared = self._unprepared, None
            self._answers.append(error or NOT_RUN)
        else:
            self._answers.append(self._refused(result))

    def _refused(self, result: ServerResult) -> psycopg.Error:
        error = error_of(result)
        if is_end_of_connection(error):
            raise error
        return error

    # The end

    def _lose(self, error: BaseException) -> None:
        if self.lost is None:
            self.lost = Lost(error, tuple(self._answers))
        self.close()

    def close(self) -> None:
        """Ends it now; what is asked is lost. In a transaction the server rolls back."""
        if self.lost is None:
            self.lost = Lost(psycopg.OperationalError("the connection was closed"), tuple(self._answers))
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                self.loop.remove_reader(descriptor)
                self.loop.remove_writer(descriptor)
            except RuntimeError:  # the loop is closed
                pass
            self._pgconn.finish()
        request, self._request = self._request, None
        self._watch.looks.discard(self._look)
        if request is not None and not request.done():
            try:
                request.set_exception(self.lost)
            except RuntimeError:  # the loop is closed
                pass
            request.exception()  # it may have no caller any more

    async def stop(self) -> None:
        """Has the server stop what runs here; what is asked is answered all the same. Returns when it has heard."""
        if self.lost is None:
            await cancel(self._pgconn, self.loop, self._watch)

    async def destroy(self) -> None:
        """Has the server stop what it runs here, and closes."""
        self.is_ending = True
        if self.lost is None:
            if self._request is not None:
                await self.stop()
            self.close()

    def leave_to_parent(self) -> None:
        """In a forked child: the socket is the parent's, and not a byte goes through it."""
        self.lost = Lost(psycopg.OperationalError("this is a forked child"))
        self._descriptor = -1
        self._request = None
