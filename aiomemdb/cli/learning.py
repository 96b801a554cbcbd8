"""Verbs that write to a memory: remember, merge, retract, forget."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from ..errors import NotFound
from ..memory.values import Fact, Statement
from .looking import entity_of, item_of
from .options import Agent, AsJson, Namespace, Place, Timeout, Yes
from .output import Output, plain
from .performing import INTERRUPTED, USAGE, memory, perform

__all__ = ["VERBS"]


def _statement(text: str) -> Statement:
    """``subject | predicate | object``, or ``subject | predicate = value``."""
    parts = [part.strip() for part in text.split("|")]
    if len(parts) == 3 and all(parts):
        return Statement(subject=parts[0], predicate=parts[1], object=parts[2])
    if len(parts) == 2 and all(parts) and "=" in parts[1]:
        predicate, _, value = parts[1].partition("=")
        if predicate.strip() and value.strip():
            return Statement(subject=parts[0], predicate=predicate.strip(), value=value.strip())
    raise typer.BadParameter(f"{text!r}: write 'subject | predicate | object', or 'subject | predicate = value'")


def remember(
    file: Place,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A text; - reads standard input.", show_default=False)],
    fact: Annotated[
        list[Statement],
        typer.Option(
            "--fact",
            parser=_statement,
            metavar="'A | b | C'",
            help="A fact drawn from it: subject | predicate | object; may repeat.",
        ),
    ] = [],  # noqa: B006 (typer's way to say: may repeat)
    mention: Annotated[list[str], typer.Option("--mention", help="An entity that it mentions; may repeat.")] = [],  # noqa: B006
    key: Annotated[str | None, typer.Option("--key", help="Its own key: the same text again changes nothing.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="The conversation that it belongs to.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Store it as the next version of the text with its key.")
    ] = False,
    agent: Agent = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Store a text, with the facts drawn from it; make the memory if there is none."""
    output = Output(as_json)
    content = sys.stdin.read() if text == "-" else text

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, agent=agent, writes=True) as opened:
            stored = await opened.remember(content, fact, mentions=mention, key=key, session=session, replace=replace)
        if as_json:
            output.document(plain(stored))
        else:
            output.document({"episode": stored.episode.id, "created": stored.created})
            output.rows(("id", "text"), [plain(each) for each in stored.facts])

    perform(output, work, timeout=timeout)


def merge(
    file: Place,
    keep: Annotated[
        str, typer.Argument(metavar="KEEP", help="The entity that stays: a name, or #id.", show_default=False)
    ],
    duplicate: Annotated[str, typer.Argument(metavar="DUPLICATE", help="The other one.", show_default=False)],
    agent: Agent = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
    timeout: Timeout = 60.0,
) -> None:
    """Make two entities one."""
    output = Output(as_json)

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, agent=agent, writes=True) as opened:
            both = [await entity_of(opened, name) for name in (keep, duplicate)]
            output.document(plain(await opened.merge(*both)))

    perform(output, work, timeout=timeout)


def retract(
    file: Place,
    fact: Annotated[int, typer.Argument(metavar="FACT", help="The fact's id.", show_default=False)],
    reason: Annotated[str, typer.Option("--reason", help="Kept in its history.")] = "",
    agent: Agent = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
    timeout: Timeout = 30.0,
) -> None:
    """Stop believing a fact; its history stays."""
    output = Output(as_json)

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, agent=agent, writes=True) as opened:
            found = await opened.fact(fact)
            if not isinstance(found, Fact):
                raise NotFound(f"no fact with id {fact}")
            output.document(plain(await opened.retract(found, reason)))

    perform(output, work, timeout=timeout)


def forget(
    file: Place,
    kind: Annotated[Literal["entity", "fact", "episode"], typer.Argument(help="What it is.", show_default=False)],
    which: Annotated[str, typer.Argument(metavar="WHICH", help="An id; or an entity's name.", show_default=False)],
    yes: Yes = False,
    agent: Agent = None,
    namespace: Namespace = "default",
    as_json: AsJson = False,
    timeout: Timeout = 600.0,
) -> None:
    """Delete an entity, a fact or a text for good; it asks first."""
    output = Output(as_json)
    if not yes:
        _ask(output, f"Delete {kind} {which} for good?")

    async def work() -> None:
        async with memory(file, timeout=timeout, namespace=namespace, agent=agent, writes=True) as opened:
            output.document(asdict(await opened.forget(await item_of(opened, kind, which))))

    perform(output, work, timeout=timeout)


def _ask(output: Output, question: str) -> None:
    if not sys.stdin.isatty():
        output.error(ValueError(), "this deletes for good: give --yes where no terminal can be asked")
        raise typer.Exit(USAGE)
    try:
        sure = typer.confirm(question, err=True)
    except typer.Abort:
        sure = False
    if not sure:
        raise typer.Exit(INTERRUPTED)


VERBS: tuple[Callable[..., None], ...] = (remember, merge, retract, forget)
