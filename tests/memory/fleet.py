"""Processes that work on one memory at once: started together, they report what they saw."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import aiomemdb

_LIMIT = 50.0
_HERE = "here"


def run_together(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Runs ``await work(meet, *arguments)`` in a process each; returns what each returned.

    ``meet()`` blocks until all have come to the same place. Processes that hang are killed.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for own in arguments:
        ours, theirs = context.Pipe()
        process = context.Process(target=_main, args=(theirs, work, own))
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        return _conduct(pipes)
    finally:
        for process, pipe in zip(processes, pipes, strict=True):
            pipe.close()
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _conduct(pipes: list[Connection]) -> list[Any]:
    """Lets all go on when all have met, until each has reported."""
    deadline, met, results = time.monotonic() + _LIMIT, set[Connection](), dict[Connection, Any]()
    while len(results) < len(pipes):
        ready = wait([pipe for pipe in pipes if pipe not in met and pipe not in results], deadline - time.monotonic())
        assert ready, "the processes did not meet or report in time"
        for pipe in ready:
            assert isinstance(pipe, Connection)
            said = pipe.recv()
            if isinstance(said, BaseException):
                raise said
            if said == _HERE:
                met.add(pipe)
            else:
                results[pipe] = said[0]
        if len(met) == len(pipes):
            for pipe in pipes:
                pipe.send(None)
            met.clear()
    return [results[pipe] for pipe in pipes]


def _main(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    def meet() -> None:
        pipe.send(_HERE)
        pipe.recv()

    async def run() -> Any:
        return await asyncio.wait_for(work(meet, *arguments), _LIMIT)

    try:
        pipe.send((aiomemdb.run(run()),))
    except BaseException as error:
        pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))
