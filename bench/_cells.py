"""One cell is one contestant in one workload; a run measures all cells in turn, round after round.

Each cell runs in a process of its own, forked from this one, which has imported everything and opened nothing: a
contestant that hangs is killed, its threads end with it, and two SQLite libraries never meet in a process.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from _driving import Sample
from _harness import context

__all__ = ["OURS", "Cell", "Options", "Result", "load_results", "measure_all", "write_results"]

OURS = "aiomemdb"

# No cell takes longer than this beyond its time, in seconds.
AT_MOST = 30.0

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured.

    Attributes:
        rounds: of the cells that bars of the contract compare; most others are in every third one.
        seconds: of each cell.
        quick: does it run?
        full: the sizes that take minutes, too.
    """

    rounds: int = 9
    seconds: float = 0.35
    quick: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One contestant in one workload.

    Attributes:
        workload: for example "storm".
        contestant: its name.
        x: callers, rows or processes; what the workload grows by.
        measure: called in a process of its own.
        every: it is measured in each so manieth round: 1 where a bar of the contract is held against it.
        at_most: seconds after which it is killed.
    """

    workload: str
    contestant: str
    x: int
    measure: Callable[[], Sample]
    every: int = 3
    at_most: float = AT_MOST


@dataclass(frozen=True, slots=True)
class Result:
    """A cell's samples put together: medians, but the sums of errors, lost writes and duplicates."""

    workload: str
    contestant: str
    x: int
    rounds: int
    rate: float
    rates: list[float]
    waits: dict[str, tuple[float, float, float]]
    errors: int
    first_error: str
    lost: int
    duplicates: int
    figures: dict[str, float]

    @property
    def is_flawed(self) -> bool:
        return bool(self.errors or self.lost or self.duplicates)


def measure_all(cells: Sequence[Cell], rounds: int) -> tuple[list[Result], bool]:
    """All in turn, round after round: what disturbs the machine disturbs each alike.

    Returns:
        What was measured, and whether it is all: Ctrl-C ends it with what there is.
    """
    samples: dict[int, list[Sample]] = {number: [] for number in range(len(cells))}
    planned = sum(round_ % cell.every == 0 for round_ in range(rounds) for cell in cells)
    began, measured, complete = time.monotonic(), 0, True
    # What was imported is never collected, and thus not copied into each fork by a collector that looks at it: bare
    # futures are 10 % slower without this.
    gc.collect()
    gc.freeze()
    try:
        for round_ in range(rounds):
            for number, cell in enumerate(cells):
                if round_ % cell.every == 0:
                    _progress(f"round {round_ + 1} of {rounds}: {cell.workload} {cell.x:,}, {cell.contestant}")
                    samples[number].append(_in_a_process(cell))
                    measured += 1
    except KeyboardInterrupt:
        complete = False
    _progress("")
    print(f"{measured} of {planned} cells in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return [_put_together(cells[number], taken) for number, taken in samples.items() if taken], complete


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def _in_a_process(cell: Cell) -> Sample:
    """What it measured; a contestant that fails or hangs has that for its result."""
    result, out = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_serve, args=(cell, out))
    process.start()
    out.close()  # ours: if it dies, that is the end of file
    try:
        if not result.poll(cell.at_most):
            return Sample(errors=1, first_error=f"had not ended after {cell.at_most:g} s")
        sample = result.recv()
        assert isinstance(sample, Sample)
        return sample
    except EOFError:
        return Sample(errors=1, first_error="its process died")
    finally:
        result.close()
        process.kill()
        process.join()


def _serve(cell: Cell, out: Connection) -> None:
    """The whole of a cell's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    if cell.contestant != OURS:
        # What fails in a peer's threads is counted by its callers: it needn't be printed too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        sample = cell.measure()
    except (Exception, SystemExit) as error:
        sample = Sample(errors=1, first_error=f"{type(error).__name__}: {error}")
        if cell.contestant == OURS:
            raise
    finally:
        out.send(sample)
        out.close()
    os._exit(0)  # without waiting for threads that a contestant left


def _put_together(cell: Cell, samples: Sequence[Sample]) -> Result:
    def medians(values: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
        for name in dict.fromkeys(name for value in values for name in value):
            found = [value[name] for value in values if name in value]
            if isinstance(found[0], tuple):
                yield name, tuple(map(statistics.median, zip(*found, strict=True)))
            else:
                yield name, statistics.median(found)

    return Result(
        workload=cell.workload,
        contestant=cell.contestant,
        x=cell.x,
        rounds=len(samples),
        rate=statistics.median(sample.rate for sample in samples),
        rates=[sample.rate for sample in samples],
        waits=dict(medians([sample.waits for sample in samples])),
        errors=sum(sample.errors for sample in samples),
        first_error=next((sample.first_error for sample in samples if sample.first_error), ""),
        lost=sum(sample.lost for sample in samples),
        duplicates=sum(sample.duplicates for sample in samples),
        figures=dict(medians([sample.figures for sample in samples])),
    )


def write_results(folder: Path, part: str, results: Sequence[Result], options: Options) -> None:
    """FOLDER/<part>.json; a later run of the part takes its place, so that a run may be made in slices."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"context": context(), "options": asdict(options), "results": [asdict(result) for result in results]}
    (folder / f"{part}.json").write_text(json.dumps(content, indent=1) + "\n")


def load_results(folder: Path) -> tuple[dict[str, Any], list[Result]]:
    """The context of the parts that were measured (the first of them names the load), and the results of all."""
    contents = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    contents = [content for content in contents if "results" in content]
    if not contents:
        return {}, []
    return contents[0]["context"], [Result(**result) for content in contents for result in content["results"]]
