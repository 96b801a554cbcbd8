"""A program that differs, made as small as it can be while it still differs in the same way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from .programs import Job, Other, Program, Together

__all__ = ["shrunk"]

T = TypeVar("T")


async def shrunk(program: Program, differs: Callable[[Program], Awaitable[bool]], *, tries: int) -> Program:
    """Drops whatever is not needed: rounds, jobs, steps, rows, statements of the schema, in so many tries at most."""
    at, has_shrunk = 0, False
    for _ in range(tries):
        smaller = next(islice(_smaller(program), at, None), None)
        if smaller is None:
            if not has_shrunk:
                break
            at, has_shrunk = 0, False
        elif await differs(smaller):
            program, has_shrunk = smaller, True
        else:
            at += 1
    return program


def _smaller(program: Program) -> Iterator[Program]:
    for rounds in _without(program.rounds):
        yield replace(program, rounds=rounds)
    for number, one in enumerate(program.rounds):
        for less in _smaller_round(one):
            yield replace(program, rounds=(*program.rounds[:number], less, *program.rounds[number + 1 :]))
    for schema in _without(program.schema):
        yield replace(program, schema=schema)
    if program.limits:
        yield replace(program, limits={})
    if program.pragmas:
        yield replace(program, pragmas={})


def _smaller_round(one: Together | Other) -> Iterator[Together | Other]:
    if isinstance(one, Other):
        for statements in _without(one.statements):
            yield replace(one, statements=statements)
        if one.process:
            yield replace(one, process=False)
        return
    if one.cancelled is not None:
        yield replace(one, cancelled=None, iterations=0, timeout=None)
    else:
        for jobs in _without(one.jobs):
            yield replace(one, jobs=jobs)
    if one.elsewhere:
        yield replace(one, elsewhere="")
    for watched in _without(one.watched):
        yield replace(one, watched=watched)
    if one.handle:
        yield replace(one, handle=0)
    for number, job in enumerate(one.jobs):
        for less in _smaller_job(job):
            yield replace(one, jobs=(*one.jobs[:number], less, *one.jobs[number + 1 :]))


def _smaller_job(job: Job) -> Iterator[Job]:
    if job.durable:
        yield replace(job, durable=False)
    for steps in _without(job.steps):
        yield replace(job, steps=steps)
    if job.verb in ("write_many", "executemany"):
        for rows in _without(job.params):
            yield replace(job, params=list(rows))
    if job.verb == "write_script" and ";\n" in job.sql:
        for statements in _without(job.sql.split(";\n")):
            yield replace(job, sql=";\n".join(statements))
    for number, step in enumerate(job.steps):
        for less in _smaller_job(step):
            yield replace(job, steps=(*job.steps[:number], less, *job.steps[number + 1 :]))


def _without(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """The items without a half, a quarter, … and at last each one of them."""
    size = len(items)
    while size:
        for start in range(0, len(items), size):
            if len(items) > 1 or size == 1:
                yield (*items[:start], *items[start + size :])
        size //= 2
