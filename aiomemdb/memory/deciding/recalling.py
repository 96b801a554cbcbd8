"""The rule by which a question is answered: candidates, fusion, links, who spoke, the best ones read.

It asks the verbs of ``Reads`` and knows no engine: one that answers on a thread runs all of it there, another awaits
each answer. The numbers are made by ``rank`` and ``certainty``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar, TypeVarTuple

from .. import certainty, rank
from ..questions import ByWords, Found, Links, Node, When
from ..rank import Reached, Scores
from ..values import Hit
from ..words import Asked, shares
from .steps import Request, Steps, follow_async

__all__ = ["CANDIDATES", "FOLLOWED", "HUB", "Ask", "Question", "Side", "answered", "recall"]

#: Candidates of a leg: many more than are asked for, since a row that one leg finds last another may find first.
CANDIDATES = 200
#: From how many of each kind links are followed: those after them pass on less than what is found anyway.
FOLLOWED = 20
#: How many facts and texts of an entity are followed: what the question finds itself, then the newest. One that has
#: more is about everything (a country, a file's only user), and most of it is not what was asked.
HUB = 50

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
#: For each kind (id, cosine), best first, and whether there may be more.
Side: TypeAlias = Mapping[str, tuple[Sequence[tuple[int, float]], bool]]
# How a node was reached.
_How: TypeAlias = Callable[[Node], Reached | None]
_KINDS = ("fact", "episode", "entity")


@dataclass(frozen=True, slots=True)
class Ask(Request[Any]):
    """Questions to verbs of ``Reads``: each verb's name and what it is asked. The answers, in their order."""

    each: Sequence[tuple[str, tuple[Any, ...]]]


async def answered(reads: object, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
    """Run a rule; each of its questions is awaited, one after another."""
    return await follow_async(rule(*args), {Ask: _answers}, reads)


async def _answers(reads: object, asked: Ask) -> list[Any]:
    return [await getattr(reads, verb)(*what) for verb, what in asked.each]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, checked.

    Attributes:
        words: what it asks for.
        keys: the normalised names that it may hold.
        wanted: the kinds of the hits.
        sought: those that words and vectors look for.
        as_of: in microseconds, as ``known_at`` is; None: now.
        limit: of the hits.
        at_least: their score.
        normalise: what makes a key of a name.
    """

    namespaces: Sequence[str]
    words: Sequence[Asked]
    keys: Sequence[str]
    wanted: Sequence[str]
    sought: Sequence[str]
    strategy: str
    hops: int
    as_of: int
    known_at: int | None
    limit: int
    at_least: float
    normalise: Callable[[str], str]


@dataclass(slots=True)
class _Candidates:
    """What was found by itself."""

    own: Scores = field(default_factory=dict)
    bm25: dict[str, dict[int, float]] = field(default_factory=dict)
    cosine: dict[str, dict[int, float]] = field(default_factory=dict)
    named: Scores = field(default_factory=dict)
    """Entities that the question names: the share of its words that their name takes."""
    sure: float = 0.0
    """How sure it is that the memory knows something of it, from 0 to 1."""


def recall(question: Question, near: Side) -> Steps[tuple[list[Hit], int] | None]:
    """The best hits, and how many there are in all. None: of what is near too little is readable, and believed then;
    it takes more.

    Args:
        near: the nearest vectors of each kind, where there are vectors.
    """
    when = When(question.as_of)
    if question.known_at is not None:
        [known] = yield Ask([("known_upto", (question.known_at,))])
        when = replace(when, known=known)
    search = _Recalling(question, when)
    if not (yield from search.candidates(near)):
        return None
    scores: Scores = search.found.own
    how: _How = _by_itself
    if question.strategy == "ppr":
        walk = yield from search.wander()
        scores, how = walk.scores(search.found.own), walk.reached
    elif question.strategy == "expand":
        reached = yield from search.expand(question.hops)
        scores, how = {node: each.score for node, each in reached.items()}, reached.get
    scores = {node: score for node, score in scores.items() if node[0] in question.wanted}
    if question.strategy != "hybrid":
        scores = yield from search.of_speakers(scores)
    scores = certainty.calibrated(scores, search.found.sure)
    scores = {node: score for node, score in scores.items() if score >= question.at_least}
    return (yield from search.hits(scores, how)), len(scores)


def _by_itself(node: Node) -> None:
    """Nothing led to it but the question."""


class _Recalling:
    """One question's requests, and what is made of the answers."""

    def __init__(self, question: Question, when: When) -> None:
        self.found = _Candidates()
        self._question = question
        self._namespaces = question.namespaces
        self._when = when

    def candidates(self, near: Side) -> Steps[bool]:
        """Fuses what words, vectors and names find of each kind; returns whether that is enough of the vectors."""
        asked, kinds, spaces, when = self._question.words, self._question.sought, self._namespaces, self._when
        beside = [kind for kind in kinds if kind in near]
        named, *answers = yield Ask(
            [
                ("named", (spaces, self._question.keys)),
                *(("there", (spaces, kind, [id for id, _ in near[kind][0]], when)) for kind in beside),
                *(("words", (spaces, kind, asked, when, CANDIDATES)) for kind in kinds if asked),
            ]
        )
        there: dict[str, set[int]] = dict(zip(beside, answers, strict=False))
        by_words: list[ByWords] = answers[len(beside) :]
        cosines: dict[str, list[tuple[int, float]]] = {}
        for kind in beside:
            cosines[kind] = [(id, cosine) for id, cosine in near[kind][0] if id in there[kind]][:CANDIDATES]
            if near[kind][1] and len(cosines[kind]) < CANDIDATES:
                return False  # vectors know no times: most of what is near is not believed any more
        self._fuse(by_words, cosines, named)
        return True

    def _fuse(
        self,
        by_words: Sequence[ByWords],
        cosines: Mapping[str, Sequence[tuple[int, float]]],
        named: Sequence[tuple[str, int]],
    ) -> None:
        found, asked, kinds = self.found, self._question.words, self._question.sought
        for place, kind in enumerate(kinds):
            legs = by_words[place].rows if asked else [], cosines.get(kind, [])
            found.own.update({(kind, id): score for id, score in rank.fuse(*legs, rank.FUSION).items()})
            found.bm25[kind], found.cosine[kind] = map(dict, legs)
        takes = shares(asked, dict.fromkeys(key for key, _ in named))
        for key, id in named:
            found.named["entity", id] = max(takes[key], found.named.get(("entity", id), 0.0))
        covered = [certainty.covered(asked, one) for one in by_words]
        nearest = [leg[0][1] for leg in cosines.values() if leg]
        found.sure = certainty.sure(
            max([*covered, *found.named.values()], default=None), max(nearest, default=0.0) if cosines else None
        )
        if "entity" in kinds:
            for node, share in found.named.items():
                found.own[node] = max(share, found.own.get(node, 0.0))

    def _around(self, frontier: Sequence[Node], turns: Sequence[int] = ()) -> Steps[Links]:
        if not frontier and not turns:
            return Links()
        entities = [id for kind, id in frontier if kind == "entity"]
        [links] = yield Ask([("around", (self._namespaces, frontier, turns, self._when, HUB, entities))])
        answer: Links = links
        return answer

    def expand(self, hops: int) -> Steps[dict[Node, Reached]]:
        """What each node has of its own and over links."""
        found = self.found
        own = {node: Reached(score, 0) for node, score in found.own.items()}
        if not hops:
            return own
        sources = {node: each for node, each in own.items() if node[0] != "entity"}
        sources |= {node: Reached(share, 0) for node, share in found.named.items()}
        reached: dict[Node, Reached] = {}
        gained, links = yield from self._hop(rank.walk, sources, reached)
        whole = rank.total(own, reached)
        gained |= yield from self._over_mentions(links, whole)
        # From here on links only lift: nothing passes what it is linked to.
        for _ in range(hops - 1):
            sources = {node: whole[node] for node in gained}
            if not sources:
                break
            gained, links = yield from self._hop(rank.lift, sources, whole)
            gained |= yield from self._over_mentions(links, whole)
        return whole

    def _hop(
        self, pass_on: rank.PassOn, sources: Mapping[Node, Reached], reached: dict[Node, Reached]
    ) -> Steps[tuple[dict[Node, Reached], Links]]:
        """Passes scores on over one hop; returns what gained by it, and the links of the best sources."""
        frontier = rank.best_of_each(sources, FOLLOWED, _KINDS)
        # What is said beside a turn is looked at for all of them: what one is about, the next may say.
        turns = [id for kind, id in sources if kind == "episode"]
        links = first = yield from self._around(frontier, turns)
        # What the question itself finds of an entity is followed, however much else there is.
        found = Links(
            facts=[(id, fact, None) for fact, id in links.ends],
            mentions=[(id, text) for text, id in links.mentioned],
        )
        entities, gained = rank.hop(pass_on, sources, links, reached, found)
        # A fact's entities and their near names are where the fact is: their links are of the same hop.
        for _ in range(2):
            links = yield from self._around(rank.best_of_each(entities, FOLLOWED, _KINDS))
            entities, more = rank.hop(pass_on, entities, links, reached)
            gained |= more
        return {node: gain for node, gain in gained.items() if reached[node] is gain}, first

    def _over_mentions(self, links: Links, whole: dict[Node, Reached]) -> Steps[dict[Node, Reached]]:
        """Lifts the texts that mention what a better one mentions."""
        entities: dict[Node, Reached] = {}
        rank.walk(whole, rank.by_mentions(links.mentioned), entities)
        onward = yield from self._around(rank.best_of_each(entities, FOLLOWED, _KINDS))
        return rank.lift(entities, rank.onward(Links(mentions=onward.mentions)), whole)

    def wander(self) -> Steps[rank.RandomWalk]:
        """A random walk from the best facts; where none is found, from the best texts and what they mention."""
        found = self.found
        facts = rank.best(found.own, rank.WALKED_FACTS, ["fact"])
        begin = facts or rank.best(found.own, rank.WALKED_FACTS, ["episode"])
        links = yield from self._around(begin)
        entities: dict[int, float] = {}
        for kind, pairs in (("fact", links.ends), ("episode", links.mentioned)):
            for one, entity in pairs:
                entities[entity] = max(found.own[kind, one], entities.get(entity, 0.0))
        if not facts:
            for (_, entity), share in found.named.items():
                entities[entity] = max(share, entities.get(entity, 0.0))
        nodes: list[Node] = [("entity", id) for id in entities]
        links = yield from self._around(nodes)
        # One without links has too many of them, or none that leads away.
        linked = {entity for entity, *_ in (*links.facts, *links.mentions)}
        mentions = Counter(entity for entity, _ in links.mentions)
        mentions.update({id: HUB for id in entities if id not in linked})
        texts = {id: score for (kind, id), score in found.own.items() if kind == "episode"}
        walk = rank.RandomWalk(rank.restart(entities, mentions, texts))
        walk.learn(nodes, links)
        for _ in range(rank.STEPS):
            unknown = walk.unknown()
            turns = [id for kind, id in unknown if kind == "episode"]
            walk.learn(unknown, (yield from self._around(unknown, turns)))
            walk.step()
        return walk

    def of_speakers(self, scores: Scores) -> Steps[Scores]:
        """Let the texts of speakers that the question names count more."""
        texts = [id for kind, id in scores if kind == "episode"]
        if not texts or not self._question.keys:
            return scores
        answer: dict[int, str]
        [answer] = yield Ask([("sources", (self._namespaces, texts))])
        keys, normalise = set(self._question.keys), self._question.normalise
        named = {source for source in set(answer.values()) if normalise(source) in keys}
        spoken = {("episode", id): scores["episode", id] for id, source in answer.items() if source in named}
        return scores | {node: rank.SPEAKER * score for node, score in spoken.items()}

    def hits(self, scores: Scores, how: _How) -> Steps[list[Hit]]:
        """The best ones, whole."""
        found, limit = self.found, self._question.limit
        hits: list[Hit] = []
        count = 0
        while len(hits) < limit and count < len(scores):  # once, but where a name was given only after ``known_at``
            some = rank.best(scores, count + limit)[count:]
            count += limit
            read: Found
            [read] = yield Ask([("read", (self._namespaces, some, self._when))])
            for node in some:
                if node not in read.items:
                    continue
                (kind, id), reached = node, how(node) or Reached(0.0, 0)
                hits.append(
                    Hit(
                        kind,
                        read.items[node],
                        scores[node],
                        found.bm25.get(kind, {}).get(id),
                        found.cosine.get(kind, {}).get(id),
                        0 if node in found.own else reached.hops,
                        reached.via,
                        tuple(read.evidence.get(id, ())) if kind == "fact" else (),
                    )
                )
        return hits[:limit]
