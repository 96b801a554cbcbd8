"""Writes the figures of the README and of docs/measured from bench/results, and measures nothing: make bench-report.

With --check it writes nothing, and its exit code is 1 if a page is not what its results have.
"""

from __future__ import annotations

import argparse
import sys

from _bars import bars_of
from _cells import load_results
from _pages import PAGES, RESULTS, ROOT, written
from _report import table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not up to date")
    check = parser.parse_args().check
    context, results = load_results(RESULTS)
    texts = {page: written(page) for page in PAGES} | {RESULTS / "table.md": table(context, results, bars_of(results))}
    stale = [page for page, text in texts.items() if page.read_text() != text]
    for page in stale:
        print(f"{page.relative_to(ROOT)} {'is not what bench/results has: make bench-report' if check else 'written'}")
        if not check:
            page.write_text(texts[page])
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
