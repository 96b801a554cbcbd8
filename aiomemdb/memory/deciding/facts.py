"""What is believed: stated, said again, superseded. No fact changes except in when it expired and what took its place.

A believed fact is identified by subject, predicate, object or value, and when it begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..drafts import DraftFact
from ..records import fact_of
from ..values import Fact
from .moment import Moment

__all__ = ["Facts", "Identity", "KnownFact", "Stated", "Support"]

#: Subject, predicate, object or canonical value, which never compare equal, and ``valid_at``.
Identity: TypeAlias = tuple[int, str, int | str | None, int | None]


@dataclass(slots=True)
class Support:
    """Evidence of a text or an agent, that the job adds."""

    quote: str | None
    confidence: float
    at: int

    def united(self, later: Support) -> Support:
        """Said again by the same text or agent: the first quote stays, and the greater confidence."""
        quote = later.quote if self.quote is None else self.quote
        return Support(quote, max(self.confidence, later.confidence), self.at)


@dataclass(slots=True, eq=False)
class Stated:
    """A draft with its entities known."""

    subject: int
    object: int | None
    draft: DraftFact
    identity: Identity

    @classmethod
    def of(cls, draft: DraftFact, subject: int, object: int | None) -> Stated:
        identity = (subject, draft.predicate, draft.value if object is None else object, draft.valid_at)
        return cls(subject, object, draft, identity)


@dataclass(slots=True, eq=False)
class KnownFact:
    """A fact as it is now, in the job that may have made it.

    Attributes:
        made: None: it was there before. Then the rest says only what the job knows or adds.
        ended: when the job expired it.
        heir_of: a fact that was there before; this one has its evidence and its vectors.
        vector: its own; one of the same model that it inherits gives way.
        support: by (text, agent), what the job adds.
        texts: of those that the job touches, which evidence it; None is an agent's own word.
        founded: whether other evidence holds.
    """

    id: int
    subject: int
    predicate: str
    predicate_given: str | None
    object: int | None
    value: str | None
    value_given: str | None
    text: str
    valid_at: int | None
    valid_offset: int | None
    invalid_at: int | None
    invalid_offset: int | None
    created_at: int
    expired_at: int | None
    superseded_by: int | None
    agent: str | None
    founded: bool = False
    made: Moment | None = None
    ended: Moment | None = None
    heir_of: int | None = None
    vector: bytes | None = None
    support: dict[tuple[int | None, str | None], Support] = field(default_factory=dict)
    texts: set[int | None] = field(default_factory=set)

    @property
    def identity(self) -> Identity:
        return (self.subject, self.predicate, self.value if self.object is None else self.object, self.valid_at)

    def value_in(self, namespace: str) -> Fact:
        return fact_of(
            self.id,
            namespace,
            self.subject,
            self.predicate if self.predicate_given is None else self.predicate_given,
            self.object,
            self.value if self.value_given is None else self.value_given,
            self.text,
            self.valid_at,
            self.valid_offset,
            self.invalid_at,
            self.invalid_offset,
            self.created_at,
            self.expired_at,
            self.superseded_by,
            self.agent,
        )


class Facts:
    """Facts are taken in order; each meets what an earlier one made of those before.

    Args:
        known: what is believed of each identity that will be stated; of each subject and predicate that will
            have one alone, what holds when that begins, and what begins next; and what the texts evidence that the
            job touches, expired or not. By id.
        next_id: the first id of a fact that was never used.
        outdated: texts that evidence nothing any more.

    Attributes:
        made: the new facts, by id.
        expired: facts that were there before and are believed no longer.
        supported: facts that got evidence, in order.
    """

    def __init__(self, known: Iterable[KnownFact], next_id: int, outdated: Iterable[int] = ()) -> None:
        self._next_id = next_id
        self._believed: dict[Identity, KnownFact] = {}
        self._of_pair: dict[tuple[int, str], dict[int, KnownFact]] = {}
        self._of_text: dict[int | None, dict[int, KnownFact]] = {}
        self._outdated: set[int | None] = {*outdated}
        self.made: list[KnownFact] = []
        self.expired: list[KnownFact] = []
        self.supported: dict[int, KnownFact] = {}
        for fact in known:
            if fact.expired_at is None:
                self._believe(fact, fact.identity)

    def evidenced(self, fact: KnownFact, text: int | None) -> None:
        """Know that a text evidences a fact."""
        fact.texts.add(text)
        self._of_text.setdefault(text, {})[fact.id] = fact

    def state(self, moment: Moment, stated: Sequence[Stated], text: int | None) -> list[tuple[KnownFact, bool]]:
        """State facts, each with its evidence; return them, older ones where they were believed already, and whether
        each is new.

        Evidence goes with each fact at once: a later one may supersede it, and what is left of it inherits that.
        """
        answer = []
        for one in stated:
            next_id = self._next_id
            fact = self._state(moment, one, text)
            answer.append((fact, fact.id >= next_id))
        return answer

    def unsaid(self, stated: Sequence[Stated], text: int) -> list[Stated]:
        """What a text has not stated yet. A fact that it has may have been retracted or superseded since: it stays
        so, however often the text comes. A fact with an end that the text did not state is a correction.
        """
        said: dict[Identity, set[int | None]] = {}
        for fact in self._of_text.get(text, {}).values():
            said.setdefault(fact.identity, set()).add(fact.invalid_at)
        missing = []
        for one in stated:
            ends, end = said.get(one.identity), one.draft.invalid_at
            if not ends or (end is not None and end not in ends):
                missing.append(one)
        return missing

    def believed_of(self, text: int) -> list[KnownFact]:
        """The facts that a text evidences, by id."""
        facts = [fact for fact in self._of_text.get(text, {}).values() if fact.expired_at is None]
        return sorted(facts, key=lambda fact: fact.id)

    def outdate(self, moment: Moment, text: int) -> None:
        """A text was superseded: expire those of its facts that no other text and no agent evidences."""
        self._outdated.add(text)
        for fact in self.believed_of(text):
            if not fact.founded and fact.texts <= self._outdated:
                self._expire(moment, fact, None)

    def _believe(self, fact: KnownFact, identity: Identity) -> None:
        self._believed[identity] = fact
        self._of_pair.setdefault((fact.subject, fact.predicate), {})[fact.id] = fact

    def _state(self, moment: Moment, stated: Stated, text: int | None) -> KnownFact:
        draft = stated.draft
        end, offset = draft.invalid_at, draft.invalid_offset
        older: Sequence[KnownFact] = ()
        if draft.replace:
            older, end, offset = self._overlapped(stated)
        fact = self._believed.get(stated.identity)
        if fact is None:
            fact = self._make(moment, stated, end, offset)
        elif end is not None and fact.invalid_at != end:
            # The same fact, known now to end at another time: a correction.
            before = fact
            self._expire(moment, before, None)
            fact = self._make(moment, stated, end, offset)
            before.superseded_by = fact.id
            self._inherit(before, fact)
        self._support(moment, fact, draft, text)
        for one in older:
            self._close(moment, one, draft, fact)
        return fact

    def _make(self, moment: Moment, stated: Stated, end: int | None, offset: int | None) -> KnownFact:
        draft = stated.draft
        fact = KnownFact(
            self._next_id,
            stated.subject,
            draft.predicate,
            draft.predicate_given,
            stated.object,
            draft.value,
            draft.value_given,
            draft.text,
            draft.valid_at,
            draft.valid_offset,
            end,
            offset,
            moment.at,
            None,
            None,
            moment.agent,
            made=moment,
            vector=draft.vector,
        )
        self._add(fact, stated.identity)
        moment.note("create", "fact", fact.id)
        return fact

    def _add(self, fact: KnownFact, identity: Identity) -> None:
        self._next_id += 1
        self.made.append(fact)
        self._believe(fact, identity)

    def _overlapped(self, stated: Stated) -> tuple[list[KnownFact], int | None, int | None]:
        """The believed facts of the same subject and predicate that begin no later and still hold where this one
        begins; and when this one must end: a late arrival is closed where the next one begins.
        """
        draft, identity = stated.draft, stated.identity
        end, offset = draft.invalid_at, draft.invalid_offset
        older = []
        for fact in self._of_pair.get((stated.subject, draft.predicate), {}).values():
            if _before(draft.valid_at, fact.valid_at):
                assert fact.valid_at is not None
                if end is None or fact.valid_at < end:
                    end, offset = fact.valid_at, fact.valid_offset
            elif fact.identity != identity and (fact.invalid_at is None or _before(draft.valid_at, fact.invalid_at)):
                older.append(fact)
        return older, end, offset

    def _close(self, moment: Moment, fact: KnownFact, draft: DraftFact, successor: KnownFact) -> None:
        """A superseded fact expires; what is left of its interval goes on as a copy with the same evidence."""
        self._expire(moment, fact, successor.id)
        if _before(fact.valid_at, draft.valid_at):
            rest = KnownFact(
                self._next_id,
                fact.subject,
                fact.predicate,
                fact.predicate_given,
                fact.object,
                fact.value,
                fact.value_given,
                fact.text,
                fact.valid_at,
                fact.valid_offset,
                draft.valid_at,
                draft.valid_offset,
                moment.at,
                None,
                None,
                fact.agent,
                made=moment,
            )
            self._add(rest, fact.identity)
            moment.note("create", "fact", rest.id, fact.id)
            self._inherit(fact, rest)

    def _expire(self, moment: Moment, fact: KnownFact, successor: int | None) -> None:
        fact.expired_at, fact.ended, fact.superseded_by = moment.at, moment, successor
        del self._believed[fact.identity]
        del self._of_pair[fact.subject, fact.predicate][fact.id]
        if fact.made is None:
            self.expired.append(fact)
        moment.note("expire" if successor is None else "supersede", "fact", fact.id, successor)

    def _inherit(self, before: KnownFact, fact: KnownFact) -> None:
        """A copy has its original's evidence and vectors."""
        fact.heir_of = before.id if before.made is None else before.heir_of
        fact.vector = before.vector if fact.vector is None else fact.vector
        fact.founded = before.founded
        fact.support = dict(before.support)
        if fact.support or fact.heir_of is not None:
            self.supported[fact.id] = fact
        for text in before.texts:
            self.evidenced(fact, text)

    def _support(self, moment: Moment, fact: KnownFact, draft: DraftFact, text: int | None) -> None:
        by, support = (text, moment.agent), Support(draft.quote, draft.confidence, moment.at)
        before = fact.support.get(by)
        fact.support[by] = support if before is None else before.united(support)
        self.supported[fact.id] = fact
        self.evidenced(fact, text)


def _before(one: int | None, other: int | None) -> bool:
    """Whether a begin is before another; None is since ever."""
    return other is not None and (one is None or one < other)
