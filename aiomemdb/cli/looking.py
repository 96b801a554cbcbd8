"""Verbs that look into a memory: entities, facts, texts, answers to questions."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Literal, TypeVar

import typer

from ..errors import NotFound
from ..memory.changes import KINDS
from ..memory.memory import Memory
from ..memory.pages import Page
from ..memory.values import Entity, Episode, Event, Fact
from .options import All, AlsoRead, AsJson, AsOf, KnownAt, Limit, Namespace, Place, Target, Timeout
from .output import Output, plain
from .performing import FOUND, OK, memory, perform

__all__ = ["VERBS", "entity_of"]

T = TypeVar("T")

# How many items one call asks for.
_PAGE = 500


async def _pages(turn: Callable[[str | None, int], Awaitable[Page[T]]], limit: int | None) -> list[T]:
    """All items of a listing, up to ``limit``."""
    items: list[T] = []
    after = None
    while limit is None or len(items) < limit:
        page = await turn(after, _PAGE if limit is None else min(_PAGE, limit - len(items)))
        items += page
        after = page.next
        if after is None:
            break
    return items


def _list(
    file: Target,
    output: Output,
    columns: tuple[str, ...],
    find: Callable[[Memory], Callable[[str | None, int], Awaitable[Page[T]]]],
    *,
    limit: int | None,
    namespace: str,
    also_read: list[str],
    timeout: float,
) -> None:
    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            output.rows(columns, [plain(item) for item in await _pages(find(opened), limit)])

    perform(output, work, timeout=timeout)


async def entity_of(opened: Memory, name: str) -> Entity:
    """The entity of a name, or of an id written as ``#12``. Raises: NotFound."""
    wanted = int(name[1:]) if name.startswith("#") and name[1:].isdigit() else name
    entity = await opened.entity(wanted)
    if entity is None:
        raise NotFound(f"no entity {name!r}: `aiomemdb entities FILE` lists them; `#12` means the entity with id 12")
    return entity


def entities(
    file: Place,
    type: Annotated[str | None, typer.Option("--type", help="Of this type alone.")] = None,
    limit: Limit = 100,
    everything: All = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006 (typer's way to say: may repeat)
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """List entities."""

    def find(opened: Memory) -> Callable[[str | None, int], Awaitable[Page[Entity]]]:
        return lambda after, size: opened.entities(type=type, after=after, limit=size)

    _list(
        file,
        Output(as_json),
        ("id", "name", "type", "description", "agent"),
        find,
        limit=None if everything else limit,
        namespace=namespace,
        also_read=also_read,
        timeout=timeout,
    )


def facts(
    file: Place,
    subject: Annotated[str | None, typer.Option("--subject", help="An entity's name.")] = None,
    predicate: Annotated[str | None, typer.Option("--predicate", help="Such as 'lives in'.")] = None,
    object: Annotated[str | None, typer.Option("--object", help="An entity's name.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    limit: Limit = 100,
    everything: All = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """List facts that are believed, or were believed at a time."""

    def find(opened: Memory) -> Callable[[str | None, int], Awaitable[Page[Fact]]]:
        return lambda after, size: opened.facts(
            subject, predicate, object, as_of=as_of, known_at=known_at, after=after, limit=size
        )

    _list(
        file,
        Output(as_json),
        ("id", "text", "valid_at", "invalid_at", "agent"),
        find,
        limit=None if everything else limit,
        namespace=namespace,
        also_read=also_read,
        timeout=timeout,
    )


def episodes(
    file: Place,
    session: Annotated[str | None, typer.Option("--session", help="Of this session, in its order.")] = None,
    limit: Limit = 100,
    everything: All = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """List texts."""

    def find(opened: Memory) -> Callable[[str | None, int], Awaitable[Page[Episode]]]:
        return lambda after, size: opened.episodes(session=session, after=after, limit=size)

    _list(
        file,
        Output(as_json),
        ("id", "key", "session", "agent", "content"),
        find,
        limit=None if everything else limit,
        namespace=namespace,
        also_read=also_read,
        timeout=timeout,
    )


def recall(
    file: Place,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In plain words.", show_default=False)],
    limit: Limit = 10,
    budget: Annotated[
        int | None, typer.Option("--budget", min=0, help="Print a prompt of at most so many tokens.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option("--min-score", min=0, max=1, help="Leave out hits below this score; begin with 0.4.")
    ] = None,
    strategy: Annotated[
        Literal["expand", "ppr", "hybrid"], typer.Option("--strategy", help="How links count.")
    ] = "expand",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    fail_empty: Annotated[bool, typer.Option("--fail-empty", help="Exit with 1 if nothing is found.")] = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Ask a question; print what the memory knows, best first."""
    output = Output(as_json)

    async def work() -> int:
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            found = await opened.recall(
                question,
                limit=limit,
                budget=budget,
                min_score=min_score,
                as_of=as_of,
                known_at=known_at,
                strategy=strategy,
            )
        if budget is not None and not as_json:
            output.text(found.to_prompt(budget))
        else:
            hits = [
                {**plain(hit), "text": hit.lines()[0].removeprefix("- "), "score": round(hit.score, 3)} for hit in found
            ]
            output.rows(("score", "kind", "text"), hits)
            output.note(f"{len(found)} of {found.found} found")
        return FOUND if fail_empty and not found.hits else OK

    perform(output, work, timeout=timeout)


def path(
    file: Place,
    source: Annotated[str, typer.Argument(metavar="FROM", help="An entity's name, or #id.", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="TO", help="An entity's name, or #id.", show_default=False)],
    max_hops: Annotated[int, typer.Option("--max-hops", min=1, help="The longest chain.")] = 4,
    as_of: AsOf = None,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Show the shortest chain of facts between two entities; exit status 1 if there is none."""
    output = Output(as_json)

    async def work() -> int:
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            ends = [await entity_of(opened, name) for name in (source, target)]
            chain = await opened.path(*ends, max_hops=max_hops, as_of=as_of)
        if chain is None:
            output.note(f"no chain of at most {max_hops} facts")
            return FOUND
        output.rows(("id", "text"), [plain(fact) for fact in chain])
        return OK

    perform(output, work, timeout=timeout)


def history(
    file: Place,
    kind: Annotated[Literal["entity", "fact", "episode"], typer.Argument(help="What it is.", show_default=False)],
    which: Annotated[str, typer.Argument(metavar="WHICH", help="An id; or an entity's name.", show_default=False)],
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Show what was done to an entity, a fact or a text, when and by which agent."""
    output = Output(as_json)

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            target = await item_of(opened, kind, which)
            events = await _pages(lambda after, size: opened.history(target, after=after, limit=size), None)
        output.rows(("at", "operation", "other", "agent", "reason"), [plain(event) for event in events])

    perform(output, work, timeout=timeout)


async def item_of(opened: Memory, kind: str, which: str) -> Entity | Fact | Episode:
    """Raises: NotFound; ValueError: no id."""
    if kind == "entity":
        return await entity_of(opened, which)
    number = which.removeprefix("#")
    if not number.isdigit():
        raise ValueError(f"{which!r} is not the id of a {kind}")
    found = await (opened.fact(int(number)) if kind == "fact" else opened.episode(int(number)))
    if found is None:
        raise NotFound(f"no {kind} with id {number}")
    return found


def counts(file: Place, namespace: Namespace = "default", as_json: AsJson = False, timeout: Timeout = 30.0) -> None:
    """Count what a namespace of a memory has of each kind."""
    output = Output(as_json)

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace) as opened:
            output.document(asdict(await opened.counts()))

    perform(output, work, timeout=timeout)


def tail(
    file: Place,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="POSITION", help="Begin behind this change, or at the 'start'; default: now."),
    ] = None,
    kinds: Annotated[list[str], typer.Option("--kind", help=f"Of {', '.join(KINDS)}; may repeat; default: all.")] = [],  # noqa: B006
    count: Annotated[int | None, typer.Option("--count", min=1, help="End after so many changes.")] = None,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Follow what is done in a memory, by all processes, as it is committed, until Ctrl-C."""
    output = Output(as_json)

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            shown = 0
            async with aclosing(opened.changes(after, kinds=kinds or KINDS)) as changes:
                async for change in changes:
                    if as_json:
                        output.document({**plain(change.event), "item": change.item, "position": change.position})
                    else:
                        output.line(change.event.at, *_words(change.event), _text_of(change.item))
                    sys.stdout.flush()  # a program behind a pipe is waiting for it
                    shown += 1
                    if shown == count:
                        return

    perform(output, work, timeout=None)


def _words(event: Event) -> tuple[str, str, str]:
    return event.operation, f"{event.kind} {event.ref}", event.agent or ""


def _text_of(item: Entity | Fact | Episode | None) -> str:
    if isinstance(item, Entity):
        return item.name
    if isinstance(item, Fact):
        return item.text
    return item.content if isinstance(item, Episode) else ""


VERBS: tuple[Callable[..., None], ...] = (entities, facts, episodes, recall, path, history, counts, tail)
