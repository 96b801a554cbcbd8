"""Our own seven tools. What they answer is text for a model: ids and times in it are what other tools take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..errors import AiomemdbError, NotFound
from ..memory.answers import Graph
from ..memory.memory import Memory
from ..memory.prompt import estimate_tokens, one_line
from ..memory.values import Entity, Episode, Fact, Statement
from .service import Answer, Client

__all__ = ["DELETING", "TOOLS", "WRITING"]

WRITING = frozenset(("remember", "correct", "forget"))
DELETING = frozenset(("forget",))

_Asked = Mapping[str, Any]
_Rows = Sequence[Sequence[Any]]


async def _recall(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    budget = min(asked.get("budget", most), most)
    found = await memory.recall(
        asked["question"],
        limit=asked.get("limit", 10),
        budget=budget,
        as_of=_time(asked, "as_of"),
        known_at=_time(asked, "known_at"),
    )
    if not found.found:
        return Answer("Nothing fits. Ask in other words, or call overview to see what there is.")
    return Answer(found.to_prompt(budget))


async def _remember(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    statements = [_statement(fact) for fact in asked.get("facts", ())]
    stored = await memory.remember(
        asked["text"],
        statements,
        session=asked.get("session"),
        key=asked.get("key"),
        occurred_at=_time(asked, "occurred_at"),
    )
    said = "Remembered as" if stored.created else "Known already as"
    return _lines([f"{said} [episode {stored.episode.id}].", *map(_shown, stored.facts)], most, "call recall for them")


def _statement(fact: _Asked) -> Statement:
    return Statement(
        subject=fact["subject"],
        predicate=fact["predicate"],
        object=fact.get("object"),
        value=fact.get("value"),
        valid_at=_time(fact, "valid_at"),
        invalid_at=_time(fact, "invalid_at"),
    )


async def _correct(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    new_object, new_value = asked.get("new_object"), asked.get("new_value")
    if new_object is not None and new_value is not None:
        raise ValueError("new_object or new_value, not both")
    since, reason = _time(asked, "since"), asked.get("reason", "")
    async with memory.db.transaction() as tx:
        within = memory.within(tx)
        old = await _fact_named(within, asked)
        if since is None:
            await within.retract(old, reason)
        else:
            await _ended(within, old, since, reason)
        if new_object is None and new_value is None:
            what = "Taken back" if since is None else f"Ended at {since.isoformat()}"
            return Answer(f"{what}: {_named(old)}")
        [subject] = await _entities_of(within, [old.subject])
        new = await within.add_fact(
            subject,
            old.predicate,
            new_object,
            value=new_value,
            quote=reason or None,
            valid_at=since or old.valid_at,
            invalid_at=old.invalid_at if since is None or (old.invalid_at or since) > since else None,
        )
    return Answer(f"{_shown(new)}\nin the place of\n{_shown(old)}")


async def _ended(memory: Memory, fact: Fact, since: datetime, reason: str) -> None:
    """The fact held until then."""
    if fact.valid_at is not None and fact.valid_at >= since:
        raise ValueError(f"[fact {fact.id}] holds only since {fact.valid_at.isoformat()}: since must be later")
    ends = [fact.subject] if fact.object is None else [fact.subject, fact.object]
    entities = {entity.id: entity for entity in await _entities_of(memory, ends)}
    await memory.add_fact(
        entities[fact.subject],
        fact.predicate,
        None if fact.object is None else entities[fact.object],
        value=fact.value,
        text=fact.text,
        quote=reason or None,
        valid_at=fact.valid_at,
        invalid_at=since,
    )


async def _fact_named(memory: Memory, asked: _Asked) -> Fact:
    """Raises: NotFound; ValueError: several fit, or too little is said."""
    if "fact" in asked:
        fact = await memory.fact(asked["fact"])
        if fact is None or fact.expired_at is not None:
            gone = "is believed no longer" if fact is not None else "is not there"
            raise NotFound(f"[fact {asked['fact']}] {gone}: call recall for what is")
        return fact
    if "subject" not in asked or "predicate" not in asked:
        raise ValueError("name the fact by its id (fact), or by subject, predicate and object or value")
    found = await memory.facts(
        asked["subject"], asked["predicate"], asked.get("object"), value=asked.get("value"), limit=20
    )
    if not found:
        raise NotFound("no fact that is believed fits: call recall, and name it by its id")
    if len(found) > 1:
        raise ValueError("\n".join(["several facts fit: name one by its id (fact)", *map(_shown, found)]))
    return found[0]


async def _entities_of(memory: Memory, ids: Iterable[int]) -> list[Entity]:
    found = [await memory.entity(id) for id in ids]
    return [entity for entity in found if entity is not None]


async def _path(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    facts = await memory.path(
        asked["source"], asked["target"], max_hops=asked.get("max_hops", 4), as_of=_time(asked, "as_of")
    )
    if facts is None:
        return Answer(f"No chain of at most {asked.get('max_hops', 4)} facts leads there.")
    return _lines([_shown(fact) for fact in facts] or ["Both are the same entity."], most, "lower max_hops")


async def _history(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    target = await _target(memory, asked)
    limit = asked.get("limit", 50)
    events = await memory.history(target, limit=limit)
    lines = [_named(target)]
    for event in events:
        more = [f"by {event.agent}" if event.agent else "", f"now [{event.kind} {event.other}]" if event.other else ""]
        more.append(f'"{one_line(event.reason)}"' if event.reason else "")
        lines.append(" ".join([f"- {event.at.isoformat(timespec='seconds')} {event.operation}", *filter(None, more)]))
    if isinstance(target, Fact):
        for each in await memory.evidence(target, limit=20):
            source = f"[episode {each.episode}]" if each.episode else f"{each.agent or 'an agent'} itself"
            lines.append(f"- said by {source}" + (f': "{one_line(each.quote)}"' if each.quote else ""))
    if isinstance(target, Entity):
        lines += [_shown(fact) for fact in await memory.facts(target, limit=limit)]
    return _lines(lines, most, "raise limit for more" if events.next else "")


async def _target(memory: Memory, asked: _Asked) -> Entity | Fact | Episode:
    """Raises: NotFound; ValueError: not exactly one is named."""
    named = [kind for kind in ("entity", "fact", "episode") if kind in asked]
    if len(named) != 1:
        raise ValueError("give exactly one of entity, fact and episode")
    [kind] = named
    which = asked[kind]
    found: Entity | Fact | Episode | None
    if kind == "entity":
        found = await memory.entity(which)
    else:
        found = await (memory.fact(which) if kind == "fact" else memory.episode(which))
    if found is None:
        raise NotFound(f"there is no {kind} {which!r}: call recall or overview for what there is")
    return found


_TYPES = "SELECT ifnull(type, 'no type'), count(*) FROM entities GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
_CONNECTED = (
    "SELECT e.name, e.type, count(*) FROM (SELECT subject_id AS id FROM facts UNION ALL SELECT object_id FROM facts "
    "WHERE object_id IS NOT NULL) f JOIN entities e ON e.id = f.id GROUP BY e.id ORDER BY 3 DESC, e.id LIMIT 10"
)
_RECENT = "SELECT id, text, created_at, agent FROM facts ORDER BY id DESC LIMIT 10"


# Entities and facts that an overview counts itself, where it can't ask in SQL.
_MOST_OF_A_GRAPH = 20_000


def _of_the_graph(graph: Graph) -> tuple[_Rows, _Rows, _Rows]:
    """What the three questions in SQL answer."""
    types = Counter(entity.type or "no type" for entity in graph.entities)
    links = Counter(end for fact in graph.facts for end in (fact.subject, fact.object) if end is not None)
    entities = {entity.id: entity for entity in graph.entities}
    connected = sorted(((entities[id], count) for id, count in links.items() if id in entities), key=_best_first)[:10]
    newest = sorted(graph.facts, key=lambda fact: (fact.created_at, fact.id), reverse=True)[:10]
    return (
        sorted(types.items(), key=lambda each: (-each[1], each[0]))[:20],
        [(entity.name, entity.type, count) for entity, count in connected],
        [(fact.id, fact.text, fact.created_at.strftime("%Y-%m-%d %H:%M:%S"), fact.agent) for fact in newest],
    )


def _best_first(each: tuple[Entity, int]) -> tuple[int, int]:
    return -each[1], each[0].id


async def _overview(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    counts = await memory.counts()
    lines = [
        f"{counts.entities:,} entities, {counts.facts:,} facts that are believed ({counts.expired_facts:,} that were), "
        f"{counts.episodes:,} texts"
    ]
    types: _Rows
    connected: _Rows
    recent: _Rows
    try:
        types, connected, recent = [(await memory.agent_read(sql)).rows for sql in (_TYPES, _CONNECTED, _RECENT)]
    except AiomemdbError:  # no SQL for agents on this engine, or the memory is too large for its limits
        if counts.facts + counts.entities > _MOST_OF_A_GRAPH:
            return Answer(lines[0])
        types, connected, recent = _of_the_graph(await memory.graph(implied=True))
    if types:
        lines.append("Types: " + ", ".join(f"{one_line(type)} {count:,}" for type, count in types))
    if connected:
        lines.append("Connected best:")
        lines += [
            f"- {one_line(name)}{f' ({one_line(type)})' if type else ''}, {n:,} facts" for name, type, n in connected
        ]
    if recent:
        lines.append("New:")
        lines += [
            f"- {one_line(text)} [fact {id}] {at}{f' by {one_line(agent)}' if agent else ''}"
            for id, text, at, agent in recent
        ]
    return _lines(lines, most, "call recall for more")


async def _forget(memory: Memory, asked: _Asked, client: Client, most: int) -> Answer:
    target = await _target(memory, asked)
    if await client.ask(f"Delete for good: {_named(target)}?") is False:
        return Answer("The person said no: nothing was deleted.", failed=True)
    gone = await memory.forget(target)
    return Answer(f"Deleted for good: {_named(target)}, with {gone.facts:,} facts and {gone.episodes:,} texts")


def _named(target: Entity | Fact | Episode) -> str:
    if isinstance(target, Entity):
        return f"{one_line(target.name)}{f' ({one_line(target.type)})' if target.type else ''} [entity {target.id}]"
    if isinstance(target, Fact):
        return _shown(target).removeprefix("- ")
    text = one_line(target.content)
    return f"{text[:200]}{'…' if len(text) > 200 else ''} [episode {target.id}]"


def _shown(fact: Fact) -> str:
    """A fact as a line, with its id."""
    begin = f"from {fact.valid_at.isoformat()}" if fact.valid_at else ""
    end = f"until {fact.invalid_at.isoformat()}" if fact.invalid_at else ""
    period = f" ({' '.join(filter(None, (begin, end)))})" if begin or end else ""
    return f"- {one_line(fact.text)}{period} [fact {fact.id}]"


def _lines(lines: Iterable[str], most: int, more: str) -> Answer:
    """As many as may be in an answer, and what was left out; ``more`` says how to get it."""
    shown: list[str] = []
    left_out, room = 0, most - 20
    for line in lines:
        size = estimate_tokens(line) + 1
        if left_out or size > room:
            left_out += 1
            continue
        room -= size
        shown.append(line)
    if left_out:
        shown.append(f"({left_out:,} lines are left out{f': {more}' if more else ''})")
    return Answer("\n".join(shown))


def _time(asked: _Asked, name: str) -> datetime | None:
    """Raises: ValueError."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}: write ISO 8601, such as 2026-03-01 or 2026-03-01T12:00:00Z") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


TOOLS: Mapping[str, Callable[[Memory, _Asked, Client, int], Awaitable[Answer]]] = {
    "recall": _recall,
    "remember": _remember,
    "correct": _correct,
    "path": _path,
    "history": _history,
    "overview": _overview,
    "forget": _forget,
}
