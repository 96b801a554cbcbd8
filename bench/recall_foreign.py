"""Whether recall knows when nothing is known: questions of one conversation are asked of another one's memory.

    python bench/recall_foreign.py --data DIR [--embedders none packaged minilm] [--keep FOLDER] [--json FOLDER]

DIR holds LoCoMo as its authors publish it (see _questions.py); default: $AIOMEMDB_EVAL_DATA. Every conversation has a
memory of its own, and is asked its own questions, those of all others, and the same without the names of those who
speak in the conversation that they are of. Printed is which share of each finds nothing with ``min_score=`` at some
values; "chosen by half": the threshold that one half of the conversations would choose (the greatest that silences at
most 15 % of its own questions), and what that does to the other half. R@5 and R@10: of a memory's own questions, all of
them, where what is below the threshold counts as not found.

--keep: as for recall.py, with the same files.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from _harness import option_parser, print_context, write_json
from _questions import Collection, read_collections
from recall import Asked, Known, available, documents_of, opened

import aiomemdb
from aiomemdb.embedders import Embedder

THRESHOLDS = (0.3, 0.35, 0.38, 0.4, 0.42, 0.45, 0.5)
# Of a memory's own questions so many may be silenced, in %.
OWN_LOST = 15


@dataclass
class Firsts:
    """The first hit's score of each question, 0 where nothing was found."""

    own: list[float] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    nameless: list[float] = field(default_factory=list)
    hits: list[tuple[frozenset[str], list[tuple[float, str]]]] = field(default_factory=list)
    """Of each own question its evidence, and the first ten: score, document."""

    def figures(self, threshold: float) -> dict[str, float]:
        shares = {
            name: 100 * statistics.fmean(score < threshold for score in scores)
            for name, scores in (("own", self.own), ("foreign", self.foreign), ("nameless", self.nameless))
        }
        for depth in (5, 10):
            found = [
                len(evidence & {document for score, document in hits[:depth] if score >= threshold}) / len(evidence)
                for evidence, hits in self.hits
            ]
            shares[f"R@{depth}"] = 100 * statistics.fmean(found)
        return shares


def joined(several: Sequence[Firsts]) -> Firsts:
    """All of them as one."""
    whole = Firsts()
    for each in several:
        for name in ("own", "foreign", "nameless", "hits"):
            getattr(whole, name).extend(getattr(each, name))
    return whole


def without_names(question: str, collection: Collection) -> str:
    """Without those who speak."""
    for name in {document.source for document in collection.documents if document.source}:
        question = re.sub(rf"\b{re.escape(name)}(['’]s)?\b", "", question)
    return " ".join(question.split())


async def ask_all(asked: Asked, collections: Sequence[Collection]) -> Firsts:
    found, memory = Firsts(), asked.memory

    async def first(question: str) -> float:
        hits = (await memory.recall(question, kinds=("episode",), strategy="hybrid", limit=1)).hits
        return hits[0].score if hits else 0.0

    for collection in collections:
        for question in collection.questions:
            if collection is not asked.collection:
                found.foreign.append(await first(question.text))
                found.nameless.append(await first(without_names(question.text, collection)))
                continue
            recalled = await memory.recall(question.text, kinds=("episode",))
            found.own.append(recalled.hits[0].score if recalled.hits else 0.0)
            documents = [documents_of([hit], asked.keys)[0] for hit in recalled.hits]
            scores = [hit.score for hit in recalled.hits]
            found.hits.append((question.evidence, list(zip(scores, documents, strict=True))))
    return found


def halves(several: Sequence[Firsts]) -> list[str]:
    lines = []
    for half in (0, 1):
        chooser, other = joined(several[half::2]), joined(several[1 - half :: 2])
        threshold = max(
            (value / 100 for value in range(100) if chooser.figures(value / 100)["own"] <= OWN_LOST), default=0.0
        )
        figures = other.figures(threshold)
        lines.append(
            f"  chosen by half {half + 1}: {threshold:.2f}; the other's own {figures['own']:.1f}, "
            f"foreign {figures['foreign']:.1f}, nameless {figures['nameless']:.1f}"
        )
    return lines


async def measure_one(
    folder: Path, name: str, embedder: Embedder | None, collections: Sequence[Collection]
) -> dict[str, dict[str, float]]:
    several = []
    if embedder is not None:
        texts = [(question.text, collection) for collection in collections for question in collection.questions]
        embedder = Known(embedder)
        await embedder.learn([text for text, _ in texts] + [without_names(*each) for each in texts])
    for collection in collections:
        asked = await opened(folder, name, embedder, collection)
        try:
            several.append(await ask_all(asked, collections))
        finally:
            await asked.memory.close()
    whole = joined(several)
    results = {f"{threshold}": whole.figures(threshold) for threshold in (0.0, *THRESHOLDS)}
    for threshold, figures in results.items():
        cells = (f"{figures[what]:9.1f}" for what in ("own", "foreign", "nameless", "R@5", "R@10"))
        print(f"  {name:<10}{threshold:>9}" + "".join(cells), flush=True)
    print("\n".join(halves(several)), flush=True)
    return results


async def measure(
    options: argparse.Namespace, collections: Sequence[Collection]
) -> dict[str, dict[str, dict[str, float]]]:
    print("silent, in % of the questions; R@k in %\n")
    print(f"  {'embedder':<10}{'threshold':>9}{'own':>9}{'foreign':>9}{'nameless':>9}{'R@5':>9}{'R@10':>9}")
    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return {
            name: await measure_one(folder, name, embedder, collections)
            for name, embedder in available(options.embedders)
        }


def main() -> int:
    parser = option_parser(__doc__, quick="without the embedders, 30 questions of each conversation")
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    parser.add_argument("--embedders", nargs="+", default=["none", "packaged", "minilm"])
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    collections = read_collections(Path(options.data)) if options.data else []
    collections = [each for each in collections if any(document.source for document in each.documents)]
    if len(collections) < 2:
        print("skipped: no evaluation data")
        return 0
    if options.quick:
        options.embedders = ["none"]
        collections = [Collection(each.name, each.part, each.documents, each.questions[:30]) for each in collections]
    print_context("one pass over all questions, one at a time")
    results = aiomemdb.run(measure(options, collections))
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
