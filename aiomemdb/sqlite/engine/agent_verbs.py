"""The verb for SQL of untrusted agents."""

from __future__ import annotations

from collections.abc import Iterable

from ...agents import AgentAnswer, AgentLimits
from ...database import Params
from ..agents.scope import Scope, tables_scope
from ..connection.arguments import checked_params
from .assembly import Assembly

__all__ = ["AgentVerbs"]


class AgentVerbs:
    _assembly: Assembly | None

    def _check(self) -> None:
        raise NotImplementedError

    async def agent_read(
        self,
        sql: str,
        params: Params = (),
        *,
        tables: Iterable[str] | None = None,
        limits: AgentLimits | None = None,
    ) -> AgentAnswer:
        """Answer SQL from an untrusted agent, on connections of its own, of one committed state.

        It takes one SELECT, or WITH and a SELECT. It reads tables and views of the file, FTS5's and ``json_each``
        among them, and uses functions that only compute. All else is refused: other statements, PRAGMAs, the schema,
        temporary tables, virtual tables of other kinds, the tables of the library itself. Its temporary files are
        SQLite's own.

        Args:
            sql: one statement.
            params: as for ``read``.
            tables: the tables and views that it may read; None: all. What a view reads must be among them, too.
            limits: what it may cost; None: ``AgentLimits()``.

        Returns: the answer, cut to the limits.
        Raises, each with a text for the model that wrote the SQL:
            ForbiddenStatement: the SQL is refused, or names what is not there.
            ReadTimeout: the deadline is over. The query was stopped.
            sqlite3.Error: SQLite refuses the SQL, or a value is too large.
        Raises, of the call:
            ValueError, TypeError: there is no such table as ``tables`` names; an argument is of another type.
            AiomemdbError: as ``read``.

        Cancellation: the query is stopped.
        """
        return await self._agent_read(tables_scope(tables), sql, params, limits)

    async def _agent_read(self, scope: Scope, sql: str, params: Params, limits: AgentLimits | None) -> AgentAnswer:
        """For rooms of this package: of another scope."""
        self._check()
        assert self._assembly is not None
        if not isinstance(sql, str):
            raise TypeError(f"sql must be a str, not {type(sql).__name__}")
        if limits is not None and not isinstance(limits, AgentLimits):
            raise TypeError(f"limits={limits!r}: an AgentLimits")
        return await self._assembly.agents.read(scope, sql, checked_params(params), limits or AgentLimits())
