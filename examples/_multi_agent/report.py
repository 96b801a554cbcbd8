"""What the demo says when a part of it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from _multi_agent.graph import Graph, Outcome, Verdict
from _multi_agent.screen import Screen
from _multi_agent.source import Skipped

Result = tuple[str, Outcome, Verdict]

LEGEND = """\
The first line parsed the files itself and answered questions meanwhile; the others got them parsed, for
{seconds:g} s at most. aiomemdb writes a memory: docstrings, evidence and word indexes too. aiosqlite: a
connection per agent; shared: one for all. All use WAL and synchronous=NORMAL. One file in 40 is dropped
halfway and written again; a file that failed is not tried again. done: files reported as written. lost:
entities and links of theirs that are missing. duplicates: rows that repeat another. stray: rows that no file
reported as written accounts for."""


def say_skipped(screen: Screen, skipped: Sequence[Skipped]) -> None:
    if skipped:
        reasons = Counter(file.reason for file in skipped).most_common()
        screen.say(
            f"{len(skipped):,} skipped: " + ", ".join(f"{reason} {count:,}" for reason, count in reasons),
        )


def say_verdict(screen: Screen, truth: Graph, verdict: Verdict) -> None:
    screen.say(
        f"One thread and plain dicts found {len(truth.entities):,} entities and {len(truth.links):,} links: "
        f"the database holds {'exactly these' if verdict.perfect else 'SOMETHING ELSE'}. "
        f"integrity_check: {verdict.integrity}.",
    )


def say_results(screen: Screen, results: Sequence[Result], files: int, seconds: float) -> None:
    """Every way of writing in a row, then what went wrong, in words."""
    table = Table(box=SIMPLE_HEAD)
    table.add_column(f"{files:,} files", no_wrap=True)
    for heading in ("done", "errors", "lost", "duplicates", "stray", "time"):
        table.add_column(heading, justify="right")
    for name, outcome, verdict in results:
        counts = (outcome.errors.total(), verdict.lost, verdict.duplicates, verdict.stray)
        table.add_row(
            escape(name),
            f"{len(outcome.done):,}",
            *(f"[red]{count:,}[/red]" if count else "0" for count in counts),
            f"{outcome.seconds:.1f} s",
            style="green" if len(outcome.done) == files and not any(counts) else "",
        )
    screen.console.print(table)
    screen.say(LEGEND.format(seconds=seconds))
    for name, outcome, verdict in results:
        for message, count in outcome.errors.most_common(3):
            screen.say(f"{name}: {count:,} times {message}")
        for example in verdict.examples:
            screen.say(f"{name}: for example {example}")
