"""Forgetting, in two steps. The audit keeps operation, kind and id, never content.

1. One job hides what is forgotten: it moves to a namespace that has no name, which no question finds. Its words, and
   what belongs to it alone, stay where they were, and are found by it.
2. Further jobs delete that namespace's rows in slices, and at last the namespace. After a crash the next process that
   opens the memory goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from ...deciding.documents import KnownTexts
from ...deciding.moment import Moment, moment_of
from ...deciding.requests import Changes, FactsOnlyBy, FactsWith, Hide, HideNamespace, State, Versions
from ...drafts import Scope
from ...values import Forgotten
from . import loading
from .applying import write_changes
from .asking import Asking
from .statements import Statement, insert, statement
from .states import PostgresState
from .words import reindex, without_words
from .world import World

__all__ = [
    "delete_slice",
    "forgotten_namespaces",
    "hide",
    "hide_namespace",
    "load_facts_only_by",
    "load_facts_with",
    "load_versions",
]

# Rows that one job deletes: some milliseconds, so that other writers get their turns.
_SLICE = 500
_HERE = "namespace = ANY (:here::bigint[])"
_LISTED = "ANY (:ids::bigint[])"


async def load_versions(world: World, request: Versions) -> list[int]:
    rows = await world.asking.rows(
        "SELECT o.id FROM aiomemdb.episode p JOIN aiomemdb.episode o ON o.namespace = p.namespace "
        "AND (o.id = p.id OR (md5(o.key) = md5(p.key) AND o.key = p.key)) "
        "WHERE p.namespace = :space::bigint AND p.id = :id::bigint ORDER BY o.id",
        space=world.spaces[request.namespace],
        id=request.episode,
    )
    return [row[0] for row in rows]


async def load_facts_only_by(world: World, request: FactsOnlyBy) -> list[int]:
    rows = await world.asking.rows(
        f"SELECT DISTINCT v.fact FROM aiomemdb.fact_evidence v WHERE v.{_HERE} AND v.episode = {_LISTED} "
        "AND NOT EXISTS (SELECT 1 FROM aiomemdb.fact_evidence o WHERE o.namespace = v.namespace AND o.fact = v.fact "
        "AND coalesce(o.episode, 0) <> ALL (:ids::bigint[])) ORDER BY v.fact",
        here=list(world.spaces.values()),
        ids=list(request.episodes),
    )
    return [row[0] for row in rows]


async def load_facts_with(world: World, request: FactsWith) -> list[int]:
    rows = await world.asking.rows(
        f"SELECT f.id FROM aiomemdb.fact f WHERE f.{_HERE} AND (f.subject = {_LISTED} OR f.object = {_LISTED}) "
        f"{'AND f.expired_at IS NULL ' if request.believed else ''}ORDER BY f.id",
        here=list(world.spaces.values()),
        ids=list(request.entities),
    )
    return [row[0] for row in rows]


def _part(hidden: int) -> str:
    """The key in memory_meta of a hidden namespace that is a part of another: [the other one's id, who forgot it]."""
    return f"forgotten {hidden}"


async def hide(world: World, request: Hide) -> tuple[Forgotten, int | None]:
    """Move rows to a namespace without a name, and delete a first slice of it. Only what would be found there all the
    same is deleted at once.

    Returns: how many rows went, and the namespace in which the others wait, or None.
    """
    asking, moment, counts = world.asking, request.moment, Counter[str]()
    await world.give_events(1)
    [[hidden]] = await asking.rows("INSERT INTO aiomemdb.memory_namespace (name) VALUES (NULL) RETURNING id")
    space = world.spaces[moment.namespace]
    given = {
        "here": [space],
        "hidden": hidden,
        "at": moment.at,
        "event": world.events[0],
        "kind": request.kind,
        "ids": list(request.ids),
        "facts": list(request.facts),
    }
    is_entity, is_text = request.kind == "entity", request.kind == "episode"
    # Facts may be stated anew while these wait: none of these is believed.
    statements = [
        insert("memory_meta", "key value", [(_part(hidden), json.dumps([space, moment.agent]))]),
        *without_words("fact", [space], request.facts),
        *(without_words(request.kind, [space], request.ids) if request.ids else []),
        statement(
            "UPDATE aiomemdb.fact SET namespace = :hidden::bigint, words = '{}', length = 0, "
            "expired_at = coalesce(expired_at, :at::bigint), expired_event = coalesce(expired_event, :event::bigint) "
            f"WHERE {_HERE} AND id = ANY (:facts::bigint[])",
            given,
        ),
    ]
    if is_entity:
        statements.append(
            statement(
                "UPDATE aiomemdb.entity SET namespace = :hidden::bigint, words = '{}', length = 0 "
                f"WHERE {_HERE} AND (id = {_LISTED} OR merged_into = {_LISTED})",
                given,
            )
        )
    elif is_text:
        statements.append(
            statement(
                "UPDATE aiomemdb.episode SET namespace = :hidden::bigint, words = '{}', length = 0 "
                f"WHERE {_HERE} AND id = {_LISTED}",
                given,
            )
        )
    statements += [
        statement(
            "DELETE FROM aiomemdb.vector WHERE model IN (SELECT id FROM aiomemdb.vector_model) "
            f"AND {_HERE} AND kind = :kind::text AND ref = {_LISTED}",
            given,
        ),
        # Reasons are words.
        statement(
            f"UPDATE aiomemdb.memory_event SET reason = NULL WHERE {_HERE} AND reason IS NOT NULL AND "
            f"((kind = :kind::text AND :kind::text <> 'fact' AND ref = {_LISTED}) "
            "OR (kind = 'fact' AND ref = ANY (:facts::bigint[])))",
            given,
        ),
    ]
    if is_entity:
        # With those that were merged into them: they are not in the index of words, being believed no longer.
        merged = await asking.rows(
            f"SELECT id FROM aiomemdb.entity WHERE {_HERE} AND merged_into = {_LISTED} ORDER BY id",
            here=[space],
            ids=list(request.ids),
        )
        if merged:
            await asking.all(without_words("entity", [space], [row[0] for row in merged]))
        counts["aliases"] = await asking.count(
            f"DELETE FROM aiomemdb.entity_alias WHERE {_HERE} AND entity = {_LISTED}",
            here=[space],
            ids=list(request.ids),
        )
    elif is_text:
        # Of facts that stay.
        of = f"v.{_HERE} AND v.episode = {_LISTED} AND v.fact <> ALL (:facts::bigint[])"
        quoted = await asking.rows(
            f"SELECT DISTINCT v.fact FROM aiomemdb.fact_evidence v WHERE {of} AND v.quote IS NOT NULL ORDER BY v.fact",
            **{name: given[name] for name in ("here", "ids", "facts")},
        )
        counts["evidence"] = await asking.count(
            f"DELETE FROM aiomemdb.fact_evidence v WHERE {of}",
            **{name: given[name] for name in ("here", "ids", "facts")},
        )
        if quoted:
            await reindex(asking, "fact", [space], [row[0] for row in quoted])
    await asking.all(statements)
    forgotten, done = await _Slice(asking, hidden, [space], moment).run()
    return forgotten + Forgotten(**counts), None if done else hidden


async def hide_namespace(world: World, request: HideNamespace) -> int:
    """Take its name from a namespace, so that nothing finds it."""
    id = world.spaces[request.namespace]
    for sql in (
        "UPDATE aiomemdb.memory_namespace SET name = NULL WHERE id = :id::bigint",
        "UPDATE aiomemdb.memory_event SET reason = NULL WHERE namespace = :id::bigint AND reason IS NOT NULL",
    ):
        await world.asking.count(sql, id=id)
    return id


async def forgotten_namespaces(asking: Asking) -> list[int]:
    """Those with rows that were not deleted yet, perhaps by a process that died."""
    rows = await asking.rows("SELECT id FROM aiomemdb.memory_namespace WHERE name IS NULL ORDER BY id")
    return [row[0] for row in rows]


async def delete_slice(world: World, hidden: int) -> tuple[Forgotten, bool]:
    """Delete a slice of a hidden namespace; return what went, and whether nothing of it is left."""
    asking = world.asking
    world.wrote = True
    rows = await asking.rows("SELECT value FROM aiomemdb.memory_meta WHERE key = :key::text", key=_part(hidden))
    of, agent = json.loads(rows[0][0]) if rows else (hidden, None)
    # Both namespaces are the job's alone, in the order of ids; their names may be gone.
    locked = await asking.rows(
        f"SELECT id, last_at, {loading.NOW} AS now FROM aiomemdb.memory_namespace WHERE id = ANY (:ids::bigint[]) "
        "ORDER BY id FOR UPDATE",
        ids=[hidden, of],
    )
    last = {row["id"]: row["last_at"] for row in locked}
    if hidden not in last:  # another process was first
        return Forgotten(), True
    if not rows:
        return await _Slice(asking, hidden, [hidden], None).run()
    moment = moment_of(Scope("", agent), locked[0]["now"])
    deleted = await _Slice(asking, hidden, [of], moment).run()
    if of in last:
        world.spaces = {"": of}
        state = State(0, 0, 0, 0, PostgresState(0), KnownTexts(), {}, last_at_of={"": last[of]})
        await write_changes(world, Changes(state, [moment]))
    return deleted


class _Slice:
    """Deletes rows, and first what belongs to them, until none is left or there were enough for one job.

    Args:
        hidden: the namespace in which the rows are.
        of: the namespace in which what belongs to them is.
        part: where that is another one: the audit has a line for each fact. A namespace that was forgotten as a whole
            has a single one.
    """

    def __init__(self, asking: Asking, hidden: int, of: Sequence[int], part: Moment | None) -> None:
        self.asking = asking
        self.hidden = hidden
        self.of = list(of)
        self.part = part
        self.left = _SLICE
        self.counts: Counter[str] = Counter()

    async def run(self) -> tuple[Forgotten, bool]:
        done = await self._facts() and await self._episodes() and await self._entities()
        if done and self.part is None:
            for table, counted in (("vector", None), ("entity_alias", "aliases"), ("mention", "mentions")):
                done = done and await self._rows(counted, table, "TRUE", [])
        if done:
            await self.asking.all([*self._last()])
        return Forgotten(**self.counts), done

    def _last(self) -> list[Statement]:
        given = {"id": self.hidden, "key": _part(self.hidden)}
        return [
            statement("DELETE FROM aiomemdb.memory_words WHERE namespace = :id::bigint", given),
            statement("DELETE FROM aiomemdb.memory_meta WHERE key = :key::text", given),
            statement("DELETE FROM aiomemdb.memory_namespace WHERE id = :id::bigint", given),
        ]

    async def _facts(self) -> bool:
        while ids := await self._some("fact"):
            if not await self._rows("evidence", "fact_evidence", f"t.fact = {_LISTED}", ids):
                return False
            await self._vectors("fact", ids)
            if self.part is not None:
                for id in ids:
                    self.part.note("forget", "fact", id)
            await self._gone("facts", "fact", ids)
        return self.left > 0

    async def _episodes(self) -> bool:
        while ids := await self._some("episode"):
            # The evidence is that of facts which were hidden before.
            if not (
                await self._rows("evidence", "fact_evidence", f"t.episode = {_LISTED}", ids)
                and await self._rows("mentions", "mention", f"t.episode = {_LISTED}", ids)
            ):
                return False
            await self._vectors("episode", ids)
            await self._gone("episodes", "episode", ids)
        return self.left > 0

    async def _entities(self) -> bool:
        while ids := await self._some("entity"):
            if not (
                await self._rows("mentions", "mention", f"t.entity = {_LISTED}", ids)
                and await self._rows("aliases", "entity_alias", f"t.entity = {_LISTED}", ids)
                and await self._rows(None, "entity_similar", f"t.a = {_LISTED}", ids)
                and await self._rows(None, "entity_similar", f"t.b = {_LISTED}", ids)
            ):
                return False
            await self._vectors("entity", ids)
            await self._gone("entities", "entity", ids)
        return self.left > 0

    async def _some(self, table: str) -> list[int]:
        """The ids of the next rows."""
        if self.left <= 0:
            return []
        rows = await self.asking.rows(
            f"SELECT id FROM aiomemdb.{table} WHERE namespace = :hidden::bigint ORDER BY id LIMIT :left::int",
            hidden=self.hidden,
            left=self.left,
        )
        return [row[0] for row in rows]

    async def _vectors(self, kind: str, ids: Sequence[int]) -> None:
        await self.asking.count(
            "DELETE FROM aiomemdb.vector WHERE model IN (SELECT id FROM aiomemdb.vector_model) "
            f"AND {_HERE} AND kind = :kind::text AND ref = {_LISTED}",
            here=self.of,
            kind=kind,
            ids=list(ids),
        )

    async def _gone(self, counted: str, table: str, ids: Sequence[int]) -> None:
        results = await self.asking.all(
            [
                *without_words(table, [self.hidden], ids),
                statement(
                    f"DELETE FROM aiomemdb.{table} WHERE namespace = :hidden::bigint AND id = {_LISTED}",
                    {"hidden": self.hidden, "ids": list(ids)},
                ),
            ]
        )
        deleted = results[-1].count
        self.left -= deleted
        self.counts[counted] += deleted

    async def _rows(self, counted: str | None, table: str, where: str, ids: Sequence[int]) -> bool:
        """Delete what belongs to rows; return whether nothing of it is left."""
        key = _KEYS[table]
        deleted = await self.asking.count(
            f"DELETE FROM aiomemdb.{table} WHERE ({key}) IN (SELECT {key} FROM aiomemdb.{table} t "
            f"WHERE t.{_HERE} AND {where} LIMIT :left::int)",
            here=self.of,
            ids=list(ids),
            left=self.left,
        )
        self.left -= deleted
        if counted is not None:
            self.counts[counted] += deleted
        return self.left > 0


_KEYS = {
    "fact_evidence": "namespace, id",
    "mention": "namespace, entity, episode",
    "entity_alias": "namespace, key, type",
    "entity_similar": "namespace, a, b",
    "vector": "namespace, model, kind, ref",
}
