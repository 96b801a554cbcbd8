"""The figures of the documentation: each block of a page is written from bench/results, and never by hand.

A page has a block between ``<!-- NAME: make bench-report -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from _bars import Bar, bars_of
from _cells import OURS, Result, load_results
from _report import table_of_bars

__all__ = ["PAGES", "written"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results"
PAGES = (
    ROOT / "README.md",
    ROOT / "docs/measured/speed.md",
    ROOT / "docs/measured/recall.md",
    ROOT / "docs/measured/reliability.md",
)

_BLOCK = re.compile(r"(<!-- ([a-z ]+): make bench-report -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_ROW = "| {} |"


def written(page: Path) -> str:
    """The text of a page, each of its blocks as the results have it."""
    return _BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]]()}\n{block[4]}", page.read_text())


# -- what is stored -------------------------------------------------------------------------------------------


def _stored(name: str) -> tuple[dict[str, str], Any]:
    content = json.loads((RESULTS / f"{name}.json").read_text())
    return content["context"], content["figures"]


def _measured_on(context: Mapping[str, str]) -> str:
    return "Measured on: " + "; ".join(context.values()) + "."


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = [_ROW.format(" | ".join(columns)), "|" + "---|" * len(columns)]
    return "\n".join([*head, *(_ROW.format(" | ".join(row)) for row in rows)]).replace("|  |", "| |")


def _picture(name: str, what: str) -> str:
    folder = "../../bench/results"
    return (
        f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{folder}/{name}-dark.svg">\n'
        f'  <img alt="{what}" src="{folder}/{name}-light.svg">\n</picture>'
    )


# -- speed ----------------------------------------------------------------------------------------------------


def _cells() -> tuple[dict[str, str], list[Result]]:
    return load_results(RESULTS)


def _bars() -> list[Bar]:
    return bars_of(_cells()[1])


def _rate(results: Sequence[Result], workload: str, contestant: str, x: int) -> float:
    [rate] = [each.rate for each in results if (each.workload, each.contestant, each.x) == (workload, contestant, x)]
    return rate


def _digits(value: float, digits: int) -> str:
    """So many digits of it that count, without an exponent."""
    return f"{float(f'{value:.{digits}g}'):,.10g}"


def _rounded(rate: float) -> str:
    return f"{round(rate, -3):,.0f}"


def _storm() -> str:
    """What the plot of the storm shows at 1,000 callers."""
    results = [each for each in _cells()[1] if each.workload == "storm" and each.x == 1_000]
    ours = _rate(results, "storm", OURS, 1_000)
    next_ = max(each.rate for each in results if each.contestant != OURS)
    return f"Writes a second by callers: aiomemdb reaches {_rounded(ours)} at 1,000 callers, the next {_rounded(next_)}"


def front() -> str:
    """The three figures of the README, and its plot."""
    results = _cells()[1]
    bars = {bar.name: bar for bar in _bars()}
    storm = "1,000 tasks, 20 inserts each"
    ours, peer = (
        _rate(results, storm + full, who, 1_000) for who, full in ((OURS, ""), ("aiosqlite, one shared", ", full"))
    )
    many, one = (_rate(results, "writes of many processes", OURS, count) for count in (50, 1))
    processes = "50 processes of 20 callers"
    wait, errors = bars[f"{processes}, against the longest wait"], bars[f"{processes}, against errors"]
    cuts, _, lost = _stored("reliability")[1]["power_cut"][0].partition(" cuts")
    assert "full: 0 lost" in lost
    rows = [
        [
            "1,000 tasks insert rows",
            f"{1e6 / ours:.1f} µs a write",
            f"aiosqlite, one connection and a commit each: {1e6 / peer:.0f} µs",
        ],
        [
            "50 processes of 20 callers write one file",
            f"{_rounded(many)} writes/s, {errors.value:.0f} errors, longest wait {wait.value:.2f} s",
            f"one process: {_rounded(one)} writes/s",
        ],
        [
            f"{cuts} power cuts at each durability",
            "0 acknowledged durable writes lost",
            "with syncs switched off, the same test fails",
        ],
    ]
    plot = (
        '<picture><source media="(prefers-color-scheme: dark)" srcset="bench/results/storm-dark.svg">'
        f'<img alt="{_storm()}" src="bench/results/storm-light.svg"></picture>'
    )
    return f"{_table(('work', 'aiomemdb', 'beside it'), rows)}\n\n{plot}"


def plots() -> str:
    return "\n\n".join(
        [
            _measured_on(_cells()[0]),
            _picture("storm", _storm()),
            _picture("waits", "The slowest of a hundred writes, by callers"),
            _picture("reads", "Point reads a second, by callers"),
            _picture("processes", "Writes a second of 1 to 50 processes"),
            _picture("rows", "Writes a second, by rows in the table"),
        ]
    )


def bars() -> str:
    return "\n".join(table_of_bars(_bars()))


def repeated() -> str:
    """The bars that earlier runs also have."""
    _, runs = _stored("earlier_runs")
    rows = [
        [bar.name, f"{bar.value:.2f}", *(f"{run[bar.name]:.2f}" for run in runs)]
        for bar in _bars()
        if all(bar.name in run for run in runs)
    ]
    return _table(("work", "this run", *("another run" for _ in runs)), rows)


def memory() -> str:
    context, rates = _stored("memory")
    size = f"{rates['entities']:,}"

    def line(work: str, name: str, peer: str, theirs: str) -> list[str]:
        ratio = rates[name] / rates[theirs]
        return [
            work,
            f"{rates[name]:,.0f}/s" if work else "",
            f"{peer}: {_digits(rates[theirs], 4)}/s",
            f"{_digits(ratio, 2)} × its rate",
        ]

    rows = [
        line(f"names that are known, {size} in the file", "known", "membox's", "known_membox"),
        line("", "known", "by its 16 threads alone, without an event loop", "known_membox_alone"),
        line("new names, no embedder", "new", "membox's", "new_membox"),
        line(
            f"new names, packaged embedder, {size} entities there",
            "embedded",
            "membox's, which compares with each in turn",
            "embedded_membox",
        ),
        line(
            "`remember` of real texts (78 words, 9 facts)",
            "remember",
            "the same rows in plain sqlite3, one by one, 100 texts a commit",
            "remember_plain",
        ),
        [
            "16 tasks that state facts, while 100 others wait for an embedder that takes 1 s",
            f"99 % within {1e3 * rates['stated_beside']:.0f} ms",
            "without those",
            f"{rates['stated_beside'] / rates['stated']:.2f} × as long",
        ],
    ]
    return f"{_measured_on(context)}\n\n{_table(('work', 'aiomemdb', 'compared with', 'ratio'), rows)}"


# -- recall ---------------------------------------------------------------------------------------------------

_EMBEDDERS = {"none": "none", "packaged": "packaged", "minilm": "MiniLM"}
_SETS = {
    "MuSiQue with facts": "MuSiQue with facts: 100 questions of several hops, 1,890 passages, 17,038 facts",
    "MuSiQue, mentions alone": "MuSiQue with mentions alone: the passages name entities, no facts",
    "LoCoMo": "LoCoMo: 760 questions on five long conversations",
    "CMRC": "CMRC: 424 Chinese paragraphs, one question each",
}


def recall() -> str:
    context, sets = _stored("recall")

    def cell(cells: Mapping[str, Mapping[str, float]], strategy: str, depth: str) -> str:
        values = [cells.get(f"{embedder} episode {strategy}") for embedder in _EMBEDDERS]
        return " / ".join(f"{value[depth]:.1f}" if value else "–" for value in values) if any(values) else ""

    rows = [
        [what, *(cell(sets[name], strategy, depth) for strategy in ("expand", "ppr") for depth in ("R@5", "R@10"))]
        for name, what in _SETS.items()
    ]
    columns = ("", *(f'`"{strategy}"`, {depth}' for strategy in ("expand", "ppr") for depth in ("R@5", "R@10")))
    return f"{_measured_on(context)}\n\n{_table(columns, rows)}"


def foreign() -> str:
    context, found = _stored("recall_foreign")
    rows = [
        [
            _EMBEDDERS[embedder],
            threshold if float(threshold) else "none",
            *(f"{figures[what]:g}" for what in ("own", "foreign", "nameless", "R@5", "R@10")),
        ]
        for embedder, thresholds in found.items()
        for threshold, figures in thresholds.items()
    ]
    columns = ("embedder", "`min_score=`", "its own", "of others", "of others, without names", "R@5", "R@10")
    return f"{_measured_on(context)}\n\n{_table(columns, rows)}"


def growth() -> str:
    context, found = _stored("recall_growth")
    sizes = [size for size in found if size.isdigit()]

    def row(what: str, column: str, vectors: str = "") -> list[str]:
        values = (found.get(size + vectors, {}).get(column) for size in sizes)
        return [what, *(f"{value:.0f}" if value else "" for value in values)]

    rows = [
        row('`"expand"`, idle', "expand p50"),
        row('`"expand"`, beside', "beside p50"),
        row('`"ppr"`, idle', "ppr p50"),
        row('`"hybrid"`, idle', "hybrid p50"),
        row('`"expand"` with the packaged vectors, idle', "expand p50", " vectors"),
    ]
    columns = ("facts", *(f"{int(size):,}" for size in sizes))
    plot = _picture("recall_growth", "The median of one recall in ms, by how many facts there are")
    return f"{_measured_on(context)}\n\n{_table(columns, rows)}\n\n{plot}"


def cost() -> str:
    context, found = _stored("recall_growth_counts")
    counted = ("CPU", "CPU of SQLite", "statements", "hops", "rooms")
    rows = [
        [f"{int(size):,}", f'`"{strategy}"`{since}', *(f"{figures[what]:.0f}" for what in counted)]
        for (size, strategy, since), figures in ((_counted(name), figures) for name, figures in found.items())
    ]
    columns = ("facts", "", "CPU, ms", "of that SQLite's", "statements", "hops to a thread", "entries of rooms")
    return f"{_measured_on(context)}\n\n{_table(columns, rows)}"


def _counted(name: str) -> tuple[str, str, str]:
    size, _, strategy = name.removeprefix("growth-").partition(" ")
    strategy, comma, since = strategy.partition(",")
    return size, strategy, comma + since


# -- reliability ----------------------------------------------------------------------------------------------


def campaigns() -> str:
    context, found = _stored("reliability")
    rows = [[name.replace("_", " "), line] for name, lines in found.items() for line in lines]
    return f"{_measured_on(context)}\n\n{_table(('campaign', 'what it did'), rows)}"


BLOCKS: dict[str, Callable[[], str]] = {
    "front": front,
    "plots": plots,
    "bars": bars,
    "repeated": repeated,
    "memory": memory,
    "recall": recall,
    "foreign": foreign,
    "growth": growth,
    "cost": cost,
    "campaigns": campaigns,
}
