"""Recall: what the memory knows about a question. Candidates, fusion, links, time, what fits: no model is called but
the embedder.

1. Candidates: words by BM25, near vectors if there is an embedder, names in the question.
2. Words and vectors are fused into one score a row (``rank.fuse``).
3. Links pass scores on (``rank.walk``), or mass wanders over them (``rank.RandomWalk``).
4. The best ones are read; a rerank hook has its say; what fits is handed out.

All up to the best ones is a rule (``deciding/recalling.py``), which a store follows where it can read without waiting.

All of it but the hook is of one snapshot, which begins after the call did: what was written, merged or forgotten
before, in any process, is in the answer, and nothing in it is half of what became of it since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from .deciding import recalling
from .deciding.recalling import Question
from .matrices import Vectors
from .store import Reads
from .times import micros_or_now, optional_micros
from .values import Hit, Recall
from .view import View, checked_count, checked_share, observed
from .words import asked, keys_in

__all__ = ["RecallVerbs", "Rerank", "Strategy"]

Strategy: TypeAlias = Literal["expand", "ppr", "hybrid"]
#: Given the question and the best hits, a new score for each; the greater the better.
Rerank: TypeAlias = Callable[[str, Sequence[Hit]], Awaitable[Sequence[float]]]

_KINDS = ("fact", "episode", "entity")
# What a rerank hook is given at least: it is there to bring up what stands low.
_RERANKED = 50


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
        as_of_micros = micros_or_now("as_of", as_of)
        known = optional_micros("known_at", known_at)
        question = query.replace("\0", " ").encode(errors="ignore").decode()  # no text that is stored has these
        sought = wanted if strategy == "hybrid" else dict.fromkeys((*wanted, "fact", "episode"))
        asks = Question(
            namespaces=self._scope.readable,
            words=asked(question),
            keys=keys_in(question, self._core.normalisers.names),
            wanted=wanted,
            sought=tuple(sought),
            strategy=strategy,
            hops=hops,
            as_of=as_of_micros,
            known_at=known,
            limit=limit if rerank is None else max(limit, _RERANKED),
            at_least=at_least,
            normalise=self._core.normalisers.names,
        )
        hits, count = await self._answer(question, asks)
        if rerank is not None and hits:
            hits = await _reranked(rerank, query, hits)
        recalled = Recall(query, tuple(hits[:limit]), count)
        return recalled if budget is None else recalled.within(budget)

    async def _answer(self, text: str, question: Question) -> tuple[list[Hit], int]:
        """In one state. The snapshot holds a reader, so it begins when the embedder has answered."""
        vectors, store = self._core.vectors, self._core.store
        if vectors is None or not text.strip():
            answer = await store.search(recalling.recall, question, {})
            assert answer is not None  # no vectors, so none are missing
            return answer
        embedded = await vectors.embed([text])

        async def ask(reads: Reads) -> tuple[list[Hit], int]:
            top = recalling.CANDIDATES
            while True:
                near = await _nearest(vectors, reads, question, embedded, top)
                answer = await reads.search(recalling.recall, question, near)
                if answer is not None:
                    return answer
                top *= 4

        return await store.of_one_state(ask)


async def _nearest(
    vectors: Vectors, reads: Reads, question: Question, embedded: Sequence[bytes], top: int
) -> dict[str, tuple[list[tuple[int, float]], bool]]:
    """For each kind so many of each namespace, best first, and whether there may be more."""
    found: dict[str, tuple[list[tuple[int, float]], bool]] = {}
    for kind in question.sought:
        nearest: list[tuple[int, float]] = []
        more = False
        for namespace in question.namespaces:
            [near], _ = await vectors.nearest(namespace, kind, embedded, top=top, at_least=0.0, reads=reads)
            nearest += near
            more = more or len(near) == top
        found[kind] = sorted(nearest, key=lambda one: -one[1]), more
    return found


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


async def _reranked(rerank: Rerank, query: str, hits: list[Hit]) -> list[Hit]:
    scores = await rerank(query, tuple(hits))
    if len(scores) != len(hits):
        raise ValueError(f"rerank returned {len(scores)} scores for {len(hits)} hits")
    scored = [replace(hit, score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)
