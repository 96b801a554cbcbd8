"""Recall: what the memory knows about a question. Candidates, fusion, links, time, what fits: no model is called but
the embedder.

1. Candidates: words by BM25, near vectors if there is an embedder, names in the question.
2. Words and vectors are fused into one score a row (``rank.fuse``).
3. Links pass scores on (``rank.walk``), or mass wanders over them (``rank.RandomWalk``).
4. The best ones are read; a rerank hook has its say; what fits is handed out.

All of it but the hook is of one snapshot, which begins after the call did: what was written, merged or forgotten
before, in any process, is in the answer, and nothing in it is half of what became of it since.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Any, Literal, TypeAlias, get_args

from . import certainty, rank
from .core import Core
from .drafts import Scope
from .questions import Links, Node, When
from .rank import Reached, Scores
from .store import Reads
from .times import micros_or_now, optional_micros
from .values import Hit, Recall
from .view import View, checked_count, checked_share, observed
from .words import Asked, asked, keys_in

__all__ = ["RecallVerbs", "Rerank", "Strategy"]

Strategy: TypeAlias = Literal["expand", "ppr", "hybrid"]
#: Given the question and the best hits, a new score for each; the greater the better.
Rerank: TypeAlias = Callable[[str, Sequence[Hit]], Awaitable[Sequence[float]]]

_KINDS = ("fact", "episode", "entity")
# Candidates of a leg: many more than are asked for, since a row that one leg finds last another may find first.
_CANDIDATES = 200
# From how many of each kind links are followed: those after them pass on less than what is found anyway.
_FOLLOWED = 50
# An entity with more links is about everything (a country, a file's only user): nothing is learnt by going through it.
# Of one that the question names so many facts and texts are followed.
_HUB = 50
_PassOn: TypeAlias = Callable[[Mapping[Node, Reached], Iterable[rank.Step], dict[Node, Reached]], dict[Node, Reached]]
# How a node was reached.
_How: TypeAlias = Callable[[Node], Reached | None]
# What a rerank hook is given at least: it is there to bring up what stands low.
_RERANKED = 50


@dataclass(slots=True)
class _Candidates:
    """What was found by itself."""

    own: Scores = field(default_factory=dict)
    bm25: Scores = field(default_factory=dict)
    cosine: Scores = field(default_factory=dict)
    named: Scores = field(default_factory=dict)
    """Entities that the question names: the share of its words that their name takes."""
    keys: frozenset[str] = frozenset()
    """The normalised names that the question may hold."""
    sure: float = 0.0
    """How sure it is that the memory knows something of it, from 0 to 1."""


class RecallVerbs(View):
    """The verbs that search."""

    @observed("search_memory")
    async def recall(
        self,
        query: str,
        *,
        limit: int = 10,
        hops: int = 1,
        budget: int | None = None,
        min_score: float | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        kinds: Iterable[str] = ("fact", "episode"),
        strategy: Strategy = "expand",
        rerank: Rerank | None = None,
    ) -> Recall:
        """Return what the memory knows about a question, best first.

        Words of a query language mean themselves. All is read in one snapshot, begun when the question was embedded.

        Args:
            limit: how many hits at most; 0: none, but ``found`` counts them. At most 200 of a kind are found by words
                and vectors.
            hops: how many links are followed from a hit (``"expand"``).
            budget: how many tokens ``to_prompt`` may have; hits that would not fit are left out.
            min_score: what a hit must have as its ``score``, from 0 to 1; what has less is not found. 0.4 keeps most
                questions that the memory can't answer from finding anything. None: whatever is found. ``rerank`` gets
                what is left.
            as_of: facts that held then; default: now.
            known_at: what was believed then; default: now. That is all facts, texts and entities up to the newest event
                with a clock that is not after this time.
            kinds: of "fact", "episode" and "entity", those that are wanted.
            strategy: ``"expand"``: links of the hits count too. ``"ppr"``: a random walk from the best facts, or from
                the best texts and what they mention where no fact is found (personalised PageRank), better where an
                answer takes several facts, slower. ``"hybrid"``: words and vectors alone.
            rerank: ``await rerank(query, hits)`` returns a new score for each of the best hits: 50 at least, if there
                are so many.

        Raises:
            ValueError: an unknown kind or strategy, a negative ``limit``, ``hops`` or ``budget``, a ``min_score`` that
                is not from 0 to 1, a naive time.
            TypeError: ``query`` is no text, ``kinds`` are not several, ``min_score`` is no number.
            EmbedderError, ModelChanged: the embedder's vectors can't be used; what ``rerank`` raises.
        Cancellation: nothing happens.
        """
        wanted = _checked(query, limit, hops, budget, kinds, strategy)
        at_least = 0.0 if min_score is None else checked_share("min_score", min_score)
        when = When(micros_or_now("as_of", as_of))
        known = optional_micros("known_at", known_at)
        question = query.replace("\0", " ").encode(errors="ignore").decode()  # no text that is stored has these
        sought = wanted if strategy == "hybrid" else dict.fromkeys((*wanted, "fact", "episode"))
        vectors, embedded = self._core.vectors, list[bytes]()
        if vectors is not None and question.strip():  # before the snapshot, which holds a reader
            embedded = await vectors.embed([question])
        async with self._core.store.snapshot() as reads:
            if known is not None:
                when = replace(when, known=await reads.known_upto(known))
            search = _Searching(self._core, reads, self._scope, when)
            found = await search.candidates(question, embedded, tuple(sought))
            scores: Scores = found.own
            how: _How = _by_itself
            if strategy == "ppr":
                walk = await search.wander(found)
                scores, how = walk.scores(found.own), walk.reached
            elif strategy == "expand":
                reached = await search.expand(found, hops)
                scores, how = {node: each.score for node, each in reached.items()}, reached.get
            if strategy != "hybrid":
                scores = await search.of_speakers(found, scores)
            scores = {node: score for node, score in scores.items() if node[0] in wanted}
            scores = certainty.calibrated(scores, found.sure)
            scores = {node: score for node, score in scores.items() if score >= at_least}
            hits = await search.hits(found, scores, how, limit if rerank is None else max(limit, _RERANKED))
        if rerank is not None and hits:
            hits = await _reranked(rerank, query, hits)
        recalled = Recall(query, tuple(hits[:limit]), len(scores))
        return recalled if budget is None else recalled.within(budget)


def _by_itself(node: Node) -> None:
    """Nothing led to it but the question."""


def _checked(
    query: str, limit: int, hops: int, budget: int | None, kinds: Iterable[str], strategy: str
) -> tuple[str, ...]:
    """The kinds, each once."""
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, not {type(query).__name__}")
    if isinstance(kinds, str):
        raise TypeError(f"kinds must be several: kinds=[{kinds!r}]")
    wanted = tuple(dict.fromkeys(kinds))
    unknown = [kind for kind in wanted if kind not in _KINDS]
    if unknown or not wanted:
        raise ValueError(f"kinds={wanted!r}: of {', '.join(map(repr, _KINDS))}, at least one")
    if strategy not in get_args(Strategy):
        raise ValueError(f"strategy={strategy!r}: one of {', '.join(map(repr, get_args(Strategy)))}")
    for name, number in (("limit", limit), ("hops", hops), ("budget", budget)):
        if number is not None:
            checked_count(name, number)
    return wanted


class _Searching:
    """One question's reads, of one snapshot, and what is made of them."""

    def __init__(self, core: Core, reads: Reads, scope: Scope, when: When) -> None:
        self._core = core
        self._reads = reads
        self._namespaces = scope.readable
        self._when = when

    async def candidates(self, question: str, embedded: Sequence[bytes], kinds: Sequence[str]) -> _Candidates:
        """What words, vectors and names find of each kind, fused."""
        words = asked(question)
        keys = keys_in(question, self._core.normalisers.names)
        reads, spaces = self._reads, self._namespaces
        near, named, *by_words = await _all(
            self._near(embedded, kinds),
            reads.named(spaces, keys),
            *(reads.words(spaces, kind, words, self._when, _CANDIDATES) for kind in kinds if words),
        )
        found = _Candidates()
        for place, kind in enumerate(kinds):
            legs = by_words[place].rows if words else [], near.get(kind, [])
            found.own.update({(kind, id): score for id, score in rank.fuse(*legs, rank.FUSION).items()})
            for leg, scores in zip(legs, (found.bm25, found.cosine), strict=True):
                scores.update({(kind, id): score for id, score in leg})
        for key, id in named:
            share = min(1.0, _weight(asked(key)) / max(1, _weight(words)))
            found.named["entity", id] = max(share, found.named.get(("entity", id), 0.0))
        found.keys = frozenset(keys)
        covered = [certainty.covered(words, one) for one in by_words]
        nearest = [cosine for leg in near.values() for _, cosine in leg[:1]]
        found.sure = certainty.sure(
            max([*covered, *found.named.values()], default=None), max(nearest, default=0.0) if near else None
        )
        if "entity" in kinds:
            for node, share in found.named.items():
                found.own[node] = max(share, found.own.get(node, 0.0))
        return found

    async def _near(self, embedded: Sequence[bytes], kinds: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
        """For each kind (id, cosine), best first; nothing without an embedder."""
        vectors = self._core.vectors
        if vectors is None or not embedded:
            return {}

        async def of(namespace: str, kind: str) -> list[tuple[int, float]]:
            top = _CANDIDATES
            while True:  # vectors know no times: where most of what is near is not believed any more, look further
                [near], _ = await vectors.nearest(namespace, kind, embedded, top=top, at_least=0.0, reads=self._reads)
                there = await self._reads.there([namespace], kind, [id for id, _ in near], self._when)
                left = [(id, cosine) for id, cosine in near if id in there]
                if len(left) >= _CANDIDATES or len(near) < top:
                    return left[:_CANDIDATES]
                top *= 4

        pairs = [(namespace, kind) for kind in kinds for namespace in self._namespaces]
        found: dict[str, list[tuple[int, float]]] = {}
        for (_, kind), near in zip(pairs, await _all(*(of(*pair) for pair in pairs)), strict=True):
            found[kind] = sorted([*found.get(kind, []), *near], key=lambda pair: -pair[1])[:_CANDIDATES]
        return found

    async def _around(self, found: _Candidates, frontier: Sequence[Node], turns: Sequence[int] = ()) -> Links:
        if not frontier and not turns:
            return Links()
        named = [id for _, id in found.named]
        return await self._reads.around(self._namespaces, frontier, turns, self._when, _HUB, named)

    async def expand(self, found: _Candidates, hops: int) -> dict[Node, Reached]:
        """What each node has of its own and over links."""
        if not hops:
            return rank.total(found.own, {})
        sources = {node: Reached(score, 0) for node, score in found.own.items() if node[0] != "entity"}
        sources |= {node: Reached(share, 0) for node, share in found.named.items()}
        reached: dict[Node, Reached] = {}
        gained, links = await self._hop(rank.walk, sources, found, reached)
        whole = rank.total(found.own, reached)
        gained |= await self._over_mentions(found, links, whole)
        # From here on links only lift: nothing passes what it is linked to.
        for _ in range(hops - 1):
            sources = {node: whole[node] for node in gained}
            if not sources:
                break
            gained, links = await self._hop(rank.lift, sources, found, whole)
            gained |= await self._over_mentions(found, links, whole)
        return whole

    async def _hop(
        self, pass_on: _PassOn, sources: Mapping[Node, Reached], found: _Candidates, reached: dict[Node, Reached]
    ) -> tuple[dict[Node, Reached], Links]:
        """Passes scores on over one hop; returns what gained by it, and the links of the best sources."""
        frontier = [node for kind in _KINDS for node in _best(sources, kind)]
        # What is said beside a turn is looked at for all of them: what one is about, the next may say.
        turns = [id for kind, id in sources if kind == "episode"]
        links = first = await self._around(found, frontier, turns)
        # What the question itself finds of the entities that it names is followed, however much else there is.
        named = Links(
            facts=[(id, fact, None) for fact, id in links.ends if ("entity", id) in found.named],
            mentions=[(id, text) for text, id in links.mentioned if ("entity", id) in found.named],
        )
        entities = pass_on(sources, rank.to_entities(links), reached)
        gained = pass_on(sources, chain(rank.onward(links), rank.onward(named)), reached)
        # A fact's entities and their near names are where the fact is: their links are of the same hop.
        for _ in range(2):
            links = await self._around(found, _best(entities))
            near = pass_on(entities, rank.to_entities(links), reached)
            gained |= pass_on(entities, rank.onward(links), reached)
            entities = near
        return {node: gain for node, gain in gained.items() if reached[node] is gain}, first

    async def _over_mentions(self, found: _Candidates, links: Links, whole: dict[Node, Reached]) -> dict[Node, Reached]:
        """Lifts the texts that mention what a better one mentions."""
        entities: dict[Node, Reached] = {}
        rank.walk(whole, rank.by_mentions(links.mentioned), entities)
        onward = await self._around(found, _best(entities))
        return rank.lift(entities, rank.onward(Links(mentions=onward.mentions)), whole)

    async def wander(self, found: _Candidates) -> rank.RandomWalk:
        """A random walk from the best facts; where none is found, from the best texts and what they mention."""
        facts = rank.best(found.own, rank.WALKED_FACTS, ["fact"])
        begin = facts or rank.best(found.own, rank.WALKED_FACTS, ["episode"])
        links = await self._around(found, begin)
        entities: dict[int, float] = {}
        for kind, pairs in (("fact", links.ends), ("episode", links.mentioned)):
            for one, entity in pairs:
                entities[entity] = max(found.own[kind, one], entities.get(entity, 0.0))
        if not facts:
            for (_, entity), share in found.named.items():
                entities[entity] = max(share, entities.get(entity, 0.0))
        nodes: list[Node] = [("entity", id) for id in entities]
        links = await self._around(found, nodes)
        # One without links has too many of them, or none that leads away.
        linked = {entity for entity, *_ in (*links.facts, *links.mentions)}
        mentions = Counter(entity for entity, _ in links.mentions)
        mentions.update({id: _HUB for id in entities if id not in linked})
        texts = {id: score for (kind, id), score in found.own.items() if kind == "episode"}
        walk = rank.RandomWalk(rank.restart(entities, mentions, texts))
        walk.learn(nodes, links)
        for _ in range(rank.STEPS):
            unknown = walk.unknown()
            turns = [id for kind, id in unknown if kind == "episode"]
            walk.learn(unknown, await self._around(found, unknown, turns))
            walk.step()
        return walk

    async def of_speakers(self, found: _Candidates, scores: Scores) -> Scores:
        """Let the texts of speakers that the question names count more."""
        texts = [id for kind, id in scores if kind == "episode"]
        if not texts or not found.keys:
            return scores
        sources = await self._reads.sources(texts)
        named = {source for source in set(sources.values()) if self._core.normalisers.names(source) in found.keys}
        spoken = {("episode", id): scores["episode", id] for id, source in sources.items() if source in named}
        return scores | {node: rank.SPEAKER * score for node, score in spoken.items()}

    async def hits(self, found: _Candidates, scores: Scores, how: _How, limit: int) -> list[Hit]:
        """The best ones, whole."""
        hits: list[Hit] = []
        count = 0
        while len(hits) < limit and count < len(scores):  # once, but where a name was given only after ``known_at``
            some = rank.best(scores, count + limit)[count:]
            count += limit
            read = await self._reads.read(self._namespaces, some, self._when)
            for node in some:
                if node not in read.items:
                    continue
                reached = how(node) or Reached(0.0, 0)
                hits.append(
                    Hit(
                        node[0],
                        read.items[node],
                        scores[node],
                        found.bm25.get(node),
                        found.cosine.get(node),
                        0 if node in found.own else reached.hops,
                        reached.via,
                        tuple(read.evidence.get(node[1], ())) if node[0] == "fact" else (),
                    )
                )
        return hits[:limit]


def _weight(words: Sequence[Asked]) -> int:
    """How many words say something."""
    return sum(not word.common for word in words) or len(words)


def _best(reached: Mapping[Node, Reached], kind: str | None = None) -> list[Node]:
    """From where links are followed."""
    scores = {node: each.score for node, each in reached.items()}
    return rank.best(scores, _FOLLOWED, None if kind is None else [kind])


async def _reranked(rerank: Rerank, query: str, hits: list[Hit]) -> list[Hit]:
    scores = await rerank(query, tuple(hits))
    if len(scores) != len(hits):
        raise ValueError(f"rerank gave {len(scores)} scores for {len(hits)} hits")
    scored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)


async def _all(*reads: Coroutine[Any, Any, Any]) -> list[Any]:
    """Runs reads side by side; none is left running when one of them fails, and its error is raised."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
