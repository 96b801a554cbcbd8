"""Tables of what was measured: all cells, and the bars of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from _bars import Bar
from _cells import OURS, Result

__all__ = ["print_bars", "print_results", "table", "table_of_bars"]


def by_workload(results: Sequence[Result]) -> Iterator[tuple[str, int, list[Result]]]:
    """The results of each workload and size, as they were measured."""
    for workload, x in dict.fromkeys((result.workload, result.x) for result in results):
        yield workload, x, [result for result in results if (result.workload, result.x) == (workload, x)]


def cells_of(result: Result, ours: Result | None) -> list[str]:
    """Its row in a table: rate, ours against it, waits, what went wrong, and what else was measured."""
    ratio = f"{ours.rate / result.rate:.2f}" if ours and result.rate and result is not ours else ""
    waits = "; ".join(
        f"{side} {' / '.join(milliseconds(wait) for wait in waits)}" for side, waits in result.waits.items()
    )
    wrong = [
        f"{count:,} {what}"
        for what, count in (("errors", result.errors), ("lost", result.lost), ("doubled", result.duplicates))
        if count
    ]
    others = [f"{name} {value:,.4g}" for name, value in result.figures.items()]
    return [result.contestant, f"{result.rate:,.0f}", ratio, waits, ", ".join(wrong) or "none", ", ".join(others)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}"


def print_results(results: Sequence[Result]) -> None:
    for workload, x, measured in by_workload(results):
        ours = next((result for result in measured if result.contestant == OURS), None)
        print(f"\n{workload}: {x:,}")
        print(f"  {'':32} {'a second':>11} {'ours ×':>7}  p50 / p99 / p99.9 ms")
        for result in measured:
            name, rate, ratio, waits, wrong, others = cells_of(result, ours)
            extra = "; ".join(part for part in (others, wrong if wrong != "none" else "", result.first_error) if part)
            print(f"  {name:32} {rate:>11} {ratio:>7}  {waits:28} {extra[:120]}".rstrip())


def table(context: dict[str, Any], results: Sequence[Result], bars: Sequence[Bar]) -> str:
    """The bars (bold: missed) and all cells, in Markdown."""
    lines = ["# All figures", ""]
    lines += [f"- {what}: {value}" for what, value in context.items()]
    lines += ["", "## The bars", "", *table_of_bars(bars)]
    for workload, x, measured in by_workload(results):
        ours = next((result for result in measured if result.contestant == OURS), None)
        lines += [
            "",
            f"## {workload}: {x:,}",
            "",
            "| | a second | aiomemdb is × as fast | p50 / p99 / p99.9, ms | errors, lost, doubled | |",
            "|---|---:|---:|---|---|---|",
        ]
        lines += [f"| {' | '.join(cells_of(result, ours))} |" for result in measured]
        lines += [f"\n{result.contestant}: `{result.first_error[:200]}`" for result in measured if result.first_error]
    return "\n".join(lines) + "\n"


def print_bars(bars: Sequence[Bar]) -> None:
    if bars:
        print("\nThe bars")
    for bar in bars:
        print(
            f"  {bar.work:44} {bar.measured:>14}  {bar.value:8.2f} {bar.unit:16} "
            f"{limit_of(bar):12} {'' if bar.holds else 'MISSED':6}  {bar.against}"
        )


def limit_of(bar: Bar) -> str:
    return f"{'at least' if bar.at_least else 'at most'} {bar.bar:.3g}" if bar.bar or not bar.at_least else ""


def table_of_bars(bars: Sequence[Bar]) -> list[str]:
    lines = ["| work | aiomemdb | compared with | | the bar |", "|---|---|---|---|---|"]
    for bar in bars:
        value = f"{bar.value:.2f} {bar.unit}".strip()
        value = value if bar.holds else f"**{value}**"
        lines.append(f"| {bar.work} | {bar.measured} | {bar.against} | {value} | {limit_of(bar)} |")
    return lines
