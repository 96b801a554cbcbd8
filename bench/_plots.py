"""Plots of what grows: throughput and the slowest waits against callers, processes and rows; light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from _cells import OURS, Result

__all__ = ["draw_plots"]


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
    for plot in PLOTS:
        measured = [result for result in results if result.workload == plot.workload]
        if len({result.x for result in measured}) < 2:
            continue
        for theme in THEMES:
            figure = pyplot.figure(figsize=(9, 4.8), facecolor=theme.paper)
            draw(figure, plot, theme, measured)
            path = folder / f"{plot.name}-{theme.name}.svg"
            figure.savefig(path, facecolor=theme.paper, bbox_inches="tight", metadata={"Date": None})
            pyplot.close(figure)


def draw(figure: object, plot: Plot, theme: Theme, results: Sequence[Result]) -> None:
    axes = figure.add_subplot(facecolor=theme.paper)  # type: ignore[attr-defined]
    contestants = list(dict.fromkeys(result.contestant for result in results))
    for number, contestant in enumerate(sorted(contestants, key=lambda name: name == OURS)):
        points = sorted(
            (result.x, value, result.is_flawed)
            for result in results
            if result.contestant == contestant and (value := plot.value(result)) is not None
        )
        if not points:
            continue
        ours = contestant == OURS
        color = theme.ours if ours else theme.peers[number % len(theme.peers)]
        across, up, flawed = zip(*points, strict=True)
        axes.plot(
            across, up,
            color=color, label=contestant, marker="o" if ours else MARKS[number % len(MARKS)],
            linewidth=3 if ours else 1.3, markersize=7 if ours else 4.5, zorder=3 if ours else 2,
        )  # fmt: skip
        for x, y, wrong in zip(across, up, flawed, strict=True):
            if wrong:
                axes.annotate("errors", (x, y), (4, 4), textcoords="offset points", color=color, fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel=plot.across, ylabel=plot.up)
    axes.set_title(plot.title, color=theme.ink, loc="left", fontsize=12)
    axes.grid(color=theme.grid, linewidth=0.6)
    axes.set_xticks(sorted({result.x for result in results}))
    axes.xaxis.set_major_formatter(lambda value, position: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:,.10g}")
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
