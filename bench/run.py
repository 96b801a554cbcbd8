"""Every workload, every contestant: one run, contestants in turn, medians and ratios; see bench/README.md.

    python bench/run.py [--quick | --full] [--only storm reads …] [--report]

Each part writes bench/results/<part>.json, so that a run may be made in slices; the tables and plots are made from
all that is there. Ctrl-C ends a run with what it has. The exit code is 1 if aiomemdb erred, or lost or doubled a write;
what a peer does is a result. No time is judged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from _bars import Bar, bars_of
from _cells import OURS, Options, load_results, measure_all, write_results
from _harness import context
from _plots import draw_plots
from _report import print_bars, print_results, table
from workloads import PARTS

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", help="only those with a name that begins so")
    parser.add_argument("--quick", action="store_true", help="a little of each, one round: does it run?")
    parser.add_argument("--full", action="store_true", help="the sizes that take minutes, too")
    parser.add_argument("--report", action="store_true", help="measure nothing: tables and plots of what is there")
    parser.add_argument("--rounds", type=int, default=9, help="of the cells that bars compare; others: every third")
    parser.add_argument("--seconds", type=float, default=0.35, help="of each cell")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    chosen = parser.parse_args()
    options = Options(
        rounds=1 if chosen.quick else chosen.rounds,
        seconds=0.1 if chosen.quick else chosen.seconds,
        quick=chosen.quick,
        full=chosen.full,
    )
    failed, complete = False, False
    earlier = bars_of(load_results(chosen.results)[1])
    if not chosen.report:
        for what, value in context().items():
            print(f"{what:9} {value}")
    for part in [] if chosen.report else chosen.only:
        cells = [
            cell
            for cell in PARTS[part](options)
            if not chosen.contestants or cell.contestant.startswith(tuple(chosen.contestants))
        ]
        results, complete = measure_all(cells, options.rounds)
        print_results(results)
        sys.stdout.flush()  # a run that is cut short has told what it had
        failed |= any(result.contestant == OURS and result.is_flawed for result in results)
        if not chosen.quick and not chosen.contestants:
            write_results(chosen.results, part, results, options)
        if not complete:
            print("ended by Ctrl-C: the parts that were not reached have no figures", file=sys.stderr)
            break
    if not chosen.quick:
        measured_on, results = load_results(chosen.results)
        bars = bars_of(results)
        if complete and not chosen.contestants and set(chosen.only) == set(PARTS):
            keep_earlier(chosen.results, earlier)
        print_bars(bars)
        (chosen.results / "table.md").write_text(table(measured_on, results, bars))
        draw_plots(chosen.results, results)
    return int(failed)


def keep_earlier(folder: Path, bars: Sequence[Bar]) -> None:
    """Keeps the bars of the last two runs before this one."""
    path = folder / "earlier_runs.json"
    kept = json.loads(path.read_text())["figures"] if path.exists() else []
    figures = [{bar.name: bar.value for bar in bars}, *kept][:2]
    path.write_text(json.dumps({"context": {}, "figures": figures}, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
