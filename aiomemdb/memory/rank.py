"""Ranking: how what was found is fused, how scores pass through the graph.

Pure functions of numbers; none of their constants is fitted to questions, each says where it comes from.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from .questions import Links, Node

__all__ = [
    "DAMPING",
    "DECAY",
    "FUSION",
    "LEAST_MASS",
    "SPEAKER",
    "STEPS",
    "WALKED_FACTS",
    "WALKED_TEXTS",
    "PassOn",
    "RandomWalk",
    "Reached",
    "Scores",
    "Step",
    "best",
    "best_of_each",
    "by_mentions",
    "fuse",
    "hop",
    "lift",
    "onward",
    "restart",
    "to_entities",
    "total",
    "walk",
]

Scores: TypeAlias = dict[Node, float]

#: The share of vectors in a fused score; that of words is the rest. About as much, but a little less: a memory is asked
#: for names, numbers and dates, which an embedder blurs. From 0.3 to 0.5 R@5 with MiniLM changes by 1.7 points at most
#: (bench/README.md).
FUSION = 0.4
#: What a link passes on of a score: less than all, so that what was found stands before what is beside it, and two
#: links pass on half.
DECAY = 0.7
#: What a text counts if the question names its source. 1.4 gains a point more on conversations of two people, since
#: nearly all questions are about them.
SPEAKER = 1.2
#: What a step of the random walk passes on; the rest begins anew: the value of HippoRAG
#: (https://arxiv.org/abs/2405.14831).
DAMPING = 0.5
#: So many steps: after them 1/16 of the mass is still under way.
STEPS = 4
#: Mass that is passed on, at least, of 1. So some 300 nodes are looked at; ten times as many change nothing.
LEAST_MASS = 3e-4
#: How many facts a random walk begins at, and what a text found weighs there beside them: the values of HippoRAG 2
#: (https://arxiv.org/abs/2502.14802).
WALKED_FACTS = 5
WALKED_TEXTS = 0.05


def fuse(words: Sequence[tuple[int, float]], near: Sequence[tuple[int, float]], share: float) -> dict[int, float]:
    """One score, from 0 to 1, for each id that words or vectors found.

    Each leg is divided by its best, as both have a natural zero: no word in common, a right angle. Then a convex
    combination, since ranks alone (reciprocal rank fusion) forget by how much one is better, and a weak leg then drowns
    a strong one (https://arxiv.org/abs/2210.11934, sections 4 and 5). A leg that found nothing has no say.

    Args:
        words: (id, BM25), the greater the better.
        near: (id, cosine).
        share: that of ``near``.
    """
    legs = [(leg, weight, max(s for _, s in leg)) for leg, weight in ((words, 1 - share), (near, share)) if leg]
    legs = [leg for leg in legs if leg[2] > 0]
    scores: dict[int, float] = {}
    for leg, weight, greatest in legs:
        weight = weight if len(legs) == 2 else 1.0
        for id, score in leg:
            scores[id] = scores.get(id, 0.0) + (weight * score / greatest if score > 0 else 0.0)
    return scores


def best(scores: Mapping[Node, float], count: int, kinds: Iterable[str] | None = None) -> list[Node]:
    """The nodes of the highest scores, best first; of equal ones the newest. Of some kinds, or of any."""
    if kinds is not None:
        chosen = set(kinds)
        scores = {node: score for node, score in scores.items() if node[0] in chosen}
    least = sorted(scores.values(), reverse=True)[count - 1] if 0 < count < len(scores) else -math.inf
    return [node for _, _, node in sorted((-s, -node[1], node) for node, s in scores.items() if s >= least)[:count]]


def best_of_each(reached: Mapping[Node, Reached], count: int, kinds: Iterable[str]) -> list[Node]:
    """So many of each of these kinds, kind by kind."""
    found: list[Node] = []
    for kind in kinds:
        found += best({node: each.score for node, each in reached.items() if node[0] == kind}, count)
    return found


class Reached(NamedTuple):
    """What came to a node over links: how much, over how many, and by which nodes, from where it began."""

    score: float
    hops: int
    via: tuple[Node, ...] = ()


#: Links of one kind to another: (from, to, and what else is known of it), which share of a score goes over each, how
#: many hops it counts.
Step: TypeAlias = tuple[str, str, Iterable[Sequence[Any]], float, int]
#: ``walk`` or ``lift``.
PassOn: TypeAlias = Callable[[Mapping[Node, Reached], Iterable[Step], dict[Node, Reached]], dict[Node, Reached]]


def to_entities(links: Links) -> Iterator[Step]:
    """A fact is at its entities already: they get all of its score. A near name counts as far as it is near."""
    yield "fact", "entity", links.ends, 1.0, 0
    for entity, other, cosine in links.similar:
        yield "entity", "entity", ((entity, other),), cosine, 0


def onward(links: Links) -> Iterator[Step]:
    """All other links are a hop, which passes on ``DECAY``."""
    yield "fact", "episode", links.evidence, DECAY, 1
    yield "episode", "fact", links.stated, DECAY, 1
    yield "episode", "entity", links.mentioned, DECAY, 1
    yield "entity", "episode", links.mentions, DECAY, 1
    for turns in sorted({turns for _, _, turns in links.beside}):
        yield "episode", "episode", [each for each in links.beside if each[2] == turns], DECAY**turns, turns
    yield "entity", "fact", links.facts, DECAY, 1


def hop(
    pass_on: PassOn,
    frontier: Mapping[Node, Reached],
    links: Links,
    reached: dict[Node, Reached],
    beside: Links | None = None,
) -> tuple[dict[Node, Reached], dict[Node, Reached]]:
    """Pass scores on over links, and over those beside them that are a hop; return the entities that gained by it,
    where links go on, and all else that did.
    """
    entities = pass_on(frontier, to_entities(links), reached)
    onwards = onward(links) if beside is None else chain(onward(links), onward(beside))
    return entities, pass_on(frontier, onwards, reached)


def by_mentions(mentioned: Iterable[tuple[int, int]]) -> Iterator[Step]:
    """What a text mentions it is at already. From there to the other texts is a hop."""
    yield "episode", "entity", mentioned, 1.0, 0


def walk(frontier: Mapping[Node, Reached], steps: Iterable[Step], reached: dict[Node, Reached]) -> dict[Node, Reached]:
    """Passes the scores of a frontier on. Of several parents the best one counts, not their sum: a text that links to
    everything is no better for that.

    Args:
        reached: what came to each node so far; what is better is put in.

    Returns: what was put in.
    """
    gained: dict[Node, Reached] = {}
    for of, to, links, share, hops in steps:
        for link in links:
            source = of, link[0]
            parent = frontier.get(source)
            if parent is None:
                continue
            target = to, link[1]
            score, known = parent.score * share, reached.get(target)
            if score > (0.0 if known is None else known.score) and target not in parent.via:
                reached[target] = gained[target] = Reached(score, parent.hops + hops, (*parent.via, source))
    return gained


def lift(frontier: Mapping[Node, Reached], steps: Iterable[Step], whole: dict[Node, Reached]) -> dict[Node, Reached]:
    """Passes the scores of a frontier on, as ``walk`` does, to where they are greater than what is there already.

    What a link does not pass on is made up for by a node's own score: of those that one text leads to, what the
    question itself finds comes first. As a mean of the two it never passes its source.

    Returns: what was put in.
    """
    before, gained = dict(whole), dict[Node, Reached]()
    for of, to, links, share, hops in steps:
        for link in links:
            source, target = (of, link[0]), (to, link[1])
            parent = frontier.get(source)
            if parent is None or target in parent.via:
                continue
            known = before.get(target)
            score = share * parent.score + (1 - share) * (0.0 if known is None else known.score)
            if score > (whole[target].score if target in whole else 0.0):
                whole[target] = gained[target] = Reached(score, parent.hops + hops, (*parent.via, source))
    return gained


def total(own: Mapping[Node, Reached], reached: Mapping[Node, Reached]) -> dict[Node, Reached]:
    """What was found by itself counts whole, and what came over links is added: two witnesses are better than one."""
    whole = {**own}
    for node, gain in reached.items():
        whole[node] = Reached(own[node].score + gain.score, 0, gain.via) if node in own else gain
    return whole


# Personalised PageRank


def restart(entities: Mapping[int, float], mentions: Mapping[int, int], texts: Mapping[int, float]) -> Scores:
    """Where a random walk begins anew, in shares of 1: at entities, and a little at texts.

    An entity counts less the more texts mention it, as it says less which of them is meant.

    Args:
        entities: those of the best facts, each with the best score of its facts.
        mentions: how many texts mention an entity.
        texts: the scores of texts.
    """
    begin: Scores = {("episode", id): WALKED_TEXTS * score for id, score in texts.items()}
    for id, score in entities.items():
        begin["entity", id] = score / max(1, mentions.get(id, 1))
    whole = sum(begin.values())
    return {node: score / whole for node, score in begin.items()} if whole else {}


class RandomWalk:
    """Mass that wanders over entities and texts; at each step a share of it begins anew.

    Where less than ``LEAST_MASS`` is, it stays: that bounds how many links must be known, however large the graph is.

    Attributes:
        total: how much was at each node, over all steps.
        facts: the facts that were met, with the entities that they are about.
    """

    def __init__(self, begin: Mapping[Node, float]) -> None:
        self._begin = begin
        self._mass: Mapping[Node, float] = begin
        self._ways: dict[Node, dict[Node, float]] = {}
        self._came_from: dict[Node, Node] = {}
        self.total: Scores = dict(begin)
        self.facts: dict[int, tuple[int, ...]] = {}

    def unknown(self) -> list[Node]:
        """The nodes that the next step needs the links of."""
        return [node for node, amount in self._mass.items() if amount >= LEAST_MASS and node not in self._ways]

    def learn(self, nodes: Iterable[Node], links: Links) -> None:
        """Takes up the links of nodes: each fact, mention and near name is one way, and all are as likely."""
        ways: dict[Node, dict[Node, float]] = {node: {} for node in nodes}

        def add(source: Node, target: Node) -> None:
            targets = ways.setdefault(source, {})
            targets[target] = targets.get(target, 0.0) + 1.0

        for entity, fact, other in links.facts:
            self.facts[fact] = (entity,) if other is None else (entity, other)
            if other is not None and other != entity:
                add(("entity", entity), ("entity", other))
        for entity, other, _ in links.similar:
            add(("entity", entity), ("entity", other))
        for entity, episode in links.mentions:
            add(("entity", entity), ("episode", episode))
        for episode, entity in links.mentioned:
            add(("episode", episode), ("entity", entity))
        for episode, other, turns in links.beside:
            if turns == 1:
                add(("episode", episode), ("episode", other))
        for targets in ways.values():
            whole = sum(targets.values())
            for target in targets:
                targets[target] /= whole
        self._ways |= ways

    def step(self) -> None:
        moved: dict[Node, float] = defaultdict(float)
        most: dict[Node, tuple[float, Node]] = {}
        for source, amount in self._mass.items():
            if amount < LEAST_MASS:
                continue
            for target, share in self._ways.get(source, {}).items():
                part = DAMPING * amount * share
                moved[target] += part
                if target not in self.total and (target not in most or part > most[target][0]):
                    most[target] = (part, source)
        self._came_from |= {target: source for target, (_, source) in most.items()}
        for node, amount in moved.items():
            self.total[node] = self.total.get(node, 0.0) + amount
        self._mass = moved

    def reached(self, node: Node) -> Reached | None:
        """How a node was first reached: by where most of it came from. None: it was not."""
        if node not in self.total:
            return None
        way: list[Node] = []
        source = self._came_from.get(node)
        while source is not None:  # it was reached a step earlier, so this ends
            way.append(source)
            source = self._came_from.get(source)
        return Reached(self.total[node], len(way), tuple(reversed(way)))

    def scores(self, own: Mapping[Node, float]) -> Scores:
        """Of each kind the best has 1, so that kinds can stand side by side. A fact has its own score, and that of the
        entities that it is about.
        """
        facts: Scores = {node: score for node, score in own.items() if node[0] == "fact"}
        greatest = max((amount for (kind, _), amount in self.total.items() if kind == "entity"), default=1.0)
        for fact, entities in self.facts.items():
            met = max(self.total.get(("entity", entity), 0.0) for entity in entities) / greatest
            facts["fact", fact] = facts.get(("fact", fact), 0.0) + met
        scores: Scores = {}
        for kind in ("entity", "episode", "fact"):
            of_kind = facts if kind == "fact" else {node: m for node, m in self.total.items() if node[0] == kind}
            greatest = max(of_kind.values(), default=0.0)
            scores |= {node: score / greatest for node, score in of_kind.items() if greatest}
        return scores
