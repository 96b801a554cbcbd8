"""Plots of what grows: throughput and waits against callers, processes and rows; light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _cells import OURS, Result

__all__ = ["draw_lines", "draw_plots"]


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture: a line for each contestant, through the sizes at which it was measured."""

    name: str
    title: str
    workload: str
    across: str
    up: str
    value: Callable[[Result], float | None]


@dataclass(frozen=True, slots=True)
class Theme:
    name: str
    paper: str
    ink: str
    grid: str
    ours: str
    peers: tuple[str, ...]


def rate(result: Result) -> float | None:
    return result.rate or None


def p99(side: str) -> Callable[[Result], float | None]:
    def of(result: Result) -> float | None:
        # Where nothing came back in time, the few waits that ended later would flatter.
        return result.waits[side][1] * 1e3 if side in result.waits and result.rate else None

    return of


PLOTS = (
    Plot("storm", "Awaited inserts, by callers", "storm", "tasks that write", "writes a second", rate),
    Plot("waits", "The slowest of a hundred writes, by callers", "storm", "tasks that write", "p99, ms", p99("write")),
    Plot("reads", "Point reads, by callers", "point reads", "tasks that read", "reads a second", rate),
    Plot(
        "processes",
        "Processes of 20 callers on one file",
        "writes of many processes",
        "processes",
        "writes a second",
        rate,
    ),
    Plot("rows", "1,000 tasks insert, by rows there", "storm by rows", "rows in the table", "writes a second", rate),
)

THEMES = (
    Theme(
        "light", "#ffffff", "#1f2328", "#d1d9e0", "#0969da",
        ("#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#cf222e", "#57606a", "#bf3989", "#116329", "#0a7ea4", "#6e7781"),
    ),
    Theme(
        "dark", "#0d1117", "#e6edf3", "#30363d", "#58a6ff",
        ("#ffa657", "#3fb950", "#bc8cff", "#d29922", "#ff7b72", "#8b949e", "#f778ba", "#7ee787", "#56d4dd", "#b1bac4"),
    ),
)  # fmt: skip

MARKS = "os^Dv<>PXp"


def draw_plots(folder: Path, results: Sequence[Result]) -> None:
    """FOLDER/<plot>-light.svg and -dark.svg of what was measured; says so where matplotlib is missing."""
    for plot in PLOTS:
        measured = [result for result in results if result.workload == plot.workload]
        if len({result.x for result in measured}) < 2:
            continue
        lines: dict[str, list[tuple[float, float]]] = {}
        flawed: dict[str, list[tuple[float, float]]] = {}
        for result in measured:
            value = plot.value(result)
            if value is not None:
                lines.setdefault(result.contestant, []).append((result.x, value))
                if result.is_flawed:
                    flawed.setdefault(result.contestant, []).append((result.x, value))
        ours_last = {name: sorted(lines[name]) for name in sorted(lines, key=lambda name: name == OURS)}
        for theme, axes in _pictures(folder / plot.name, plot.title, plot.across, plot.up, ours_last):
            for number, (name, points) in enumerate(ours_last.items()):
                ours = name == OURS
                color = theme.ours if ours else theme.peers[number % len(theme.peers)]
                axes.plot(
                    *zip(*points, strict=True),
                    color=color, label=name, marker="o" if ours else MARKS[number % len(MARKS)],
                    linewidth=3 if ours else 1.3, markersize=7 if ours else 4.5, zorder=3 if ours else 2,
                )  # fmt: skip
                for point in flawed.get(name, ()):
                    axes.annotate("errors", point, (4, 4), textcoords="offset points", color=color, fontsize=7)


def draw_lines(
    path: Path, title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]], dashed: str
) -> None:
    """PATH-light.svg and PATH-dark.svg: each line through (x, y), by x; those with ``dashed`` in their name are dashed,
    in the colour of the line that is called so without it."""
    for theme, axes in _pictures(path, title, across, up, lines):
        colors = dict(zip(dict.fromkeys(name.replace(dashed, "") for name in lines), _colors(theme), strict=False))
        for number, (name, points) in enumerate(lines.items()):
            axes.plot(
                *zip(*points, strict=True),
                color=colors[name.replace(dashed, "")], label=name, marker=MARKS[number % len(MARKS)],
                linestyle="--" if dashed in name else "-", linewidth=2, markersize=5,
            )  # fmt: skip


def _colors(theme: Theme) -> tuple[str, ...]:
    return (theme.ours, *theme.peers)


def _pictures(
    path: Path, title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]
) -> Iterator[tuple[Theme, Any]]:
    """For each theme the axes to draw upon, both logarithmic; then a legend, and it is saved."""
    try:
        # Here, as it starts threads: cells are forked from a process that has none.
        import matplotlib
        from matplotlib import pyplot
    except ImportError:
        print("no plots: matplotlib is not installed (the extra `bench` has it)")
        return
    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "aiomemdb", "svg.fonttype": "none", "font.family": "sans-serif"})
    for theme in THEMES:
        figure = pyplot.figure(figsize=(9, 4.8), facecolor=theme.paper)
        axes = figure.add_subplot(facecolor=theme.paper)
        yield theme, axes
        axes.set(xscale="log", yscale="log", xlabel=across, ylabel=up)
        axes.set_title(title, color=theme.ink, loc="left", fontsize=12)
        axes.grid(color=theme.grid, linewidth=0.6)
        axes.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
        axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, position: f"{value:,.10g}")
        heights = [y for points in lines.values() for _, y in points]
        if max(heights) < 30 * min(heights):  # else the powers of ten say enough
            axes.yaxis.set_minor_formatter(lambda y, position: f"{y:,.10g}" if f"{y:e}"[0] in "235" else "")
        axes.xaxis.set_minor_locator(type(axes.xaxis.get_minor_locator())(subs=[]))
        axes.tick_params(which="both", colors=theme.ink)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_color(theme.ink)
        for side, spine in axes.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(theme.grid)
        legend = axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, reverse=True, fontsize=9)
        for text in legend.get_texts():
            text.set_color(theme.ink)
        target = path.with_name(f"{path.name}-{theme.name}.svg")
        figure.savefig(target, facecolor=theme.paper, bbox_inches="tight", metadata={"Date": None})
        pyplot.close(figure)
