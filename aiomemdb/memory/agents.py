"""The verb for SQL of untrusted agents."""

from __future__ import annotations

from ..agents import AgentAnswer, AgentLimits
from ..database import Params
from .view import View, observed

__all__ = ["AgentVerbs"]


class AgentVerbs(View):
    @observed("search_memory")
    async def agent_read(self, sql: str, params: Params = (), *, limits: AgentLimits | None = None) -> AgentAnswer:
        """Answer SQL from an untrusted agent, which sees the namespaces that this view reads, and nothing else.

        It sees these views. Times are texts in UTC, as ``datetime('now')`` returns them; NULL is unbounded.

        - ``entities``: id, namespace, name, type, description, attributes, created_at, agent.
        - ``aliases``: namespace, alias (normalised), entity_id, entity.
        - ``facts``, believed now: id, namespace, subject, subject_id, predicate, object, object_id, value (JSON), text,
          valid_at, invalid_at, created_at, agent.
        - ``fact_history``, those that are believed no longer too: the same, and expired_at, superseded_by.
        - ``episodes``, the latest versions: id, namespace, key, version, session, seq, source, content, metadata,
          occurred_at, created_at, agent.
        - ``evidence``: fact_id, episode_id, quote, confidence, created_at, agent.

        ``search_facts('words')`` and ``search_episodes('words')`` return the ids of those in which most of the words
        are, as a JSON array, the newest first, at most 200::

            SELECT f.text FROM json_each(search_facts('berlin wall')) s JOIN facts f ON f.id = s.value ORDER BY s.key

        By no statement does anything of another namespace come out, nor a text that was replaced or forgotten, except
        how many rows a table has, and, by the time that a search takes, whether a word is common in the file.

        Args:
            sql: one SELECT, or WITH and a SELECT.
            params: a sequence for ``?``, or a mapping for ``:name``.
            limits: what it may cost; None: ``AgentLimits()``.

        Returns: the answer, cut to the limits.
        Raises: what the ``agent_read`` of the database raises; AiomemdbError: in a transaction, or the memory's
            engine has no SQL for agents.

        Cancellation: the query is stopped.
        """
        return await self._core.store.agent_read(self._scope.readable, sql, params, limits)
