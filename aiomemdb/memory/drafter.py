"""What callers say, checked and turned into drafts. Pure: all of it runs before the writer is asked."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from .drafts import Draft, DraftEpisode, DraftFact, NameRequest
from .names import Normalisers, checked_key, checked_text, is_blank, key_of, keyed
from .times import offset_of, optional_micros, to_micros
from .values import Entity, Name, NameLike, Scalar, Statement

__all__ = ["Drafter", "canonical", "checked_json", "checked_similarity"]


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def canonical(value: Scalar) -> str:
    """A literal as JSON, one text for all that are the same: 1.0 is 1, and so are the normal forms of a string.

    Not NFKC, by which 10² is 102.

    Raises: TypeError: no JSON scalar; ValueError: NaN or infinity, or what ``checked_text`` refuses.
    """
    return as_json(unicodedata.normalize("NFC", value) if isinstance(value, str) else value)


def as_json(value: Scalar) -> str:
    """A literal as JSON, as it was given except 1.0, which is 1. Raises: as ``canonical``."""
    if isinstance(value, str):
        return _ENCODER.encode(checked_text("value", value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"value={value!r}: JSON has neither NaN nor infinity")
        if value.is_integer() and abs(value) < 2**53:
            value = int(value)
    elif not isinstance(value, bool | int):
        raise TypeError(f"value={value!r}: a str, int, float or bool; for an entity use object=")
    return json.dumps(value)


def checked_json(what: str, mapping: Mapping[str, Any] | None) -> str:
    """Raises: TypeError: not a mapping that JSON can hold; ValueError: NaN, or a text that no file can hold."""
    if not mapping:
        return "{}"
    if not isinstance(mapping, Mapping):
        raise TypeError(f"{what} must be a mapping, not {type(mapping).__name__}")
    try:
        text = json.dumps(dict(mapping), ensure_ascii=False, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{what} is no JSON: {error}") from error
    return checked_text(what, text)


def checked_similarity(similarity: float | None) -> None:
    if similarity is not None and not 0 < similarity <= 1:
        raise ValueError(f"similarity={similarity!r}: a cosine above 0, at most 1")


class Drafter:
    """Collects one job's names, each once, and the facts that speak of them."""

    def __init__(self, normalisers: Normalisers, near: float) -> None:
        self._normalise = normalisers.names
        self._normalise_predicate = normalisers.predicates
        self._exact_values = normalisers.exact_values
        self.draft: Draft = Draft([], near=near)
        self._places: dict[object, int] = {}
        self._subjects: dict[str, tuple[int, str]] = {}
        self._added: dict[tuple[str, str], int] = {}
        self._predicates: dict[str, tuple[str, str]] = {}
        self._said: dict[str, tuple[int, str]] = {}  # names as they were written: most come several times

    def name(self, what: str, named: str | Name) -> NameRequest:
        """Raises: TypeError, ValueError: see ``checked_name``."""
        if isinstance(named, str):
            return self._request(what, named, None, "")
        return self._request(what, named.name, named.type, named.description)

    def _request(self, what: str, name: str, type: str | None, description: str) -> NameRequest:
        request = NameRequest(*keyed(what, name, self._normalise))
        if description != "":
            request.description = checked_text("description", description)
        if type is not None:
            request.type, request.type_key = self.type(type)
        return request

    def key(self, what: str, name: str) -> str:
        """The name, normalised. Raises: ValueError: the normaliser leaves nothing of it."""
        return key_of(what, name, self._normalise)

    def type(self, type: str) -> tuple[str, str]:
        """A type as it is shown, and its key. Raises: as ``name``."""
        return keyed("type", type, self._normalise)

    def value(self, value: Scalar) -> str:
        """A literal as it is compared. Raises: as ``canonical``."""
        return as_json(value) if self._exact_values else canonical(value)

    def _predicate(self, predicate: str) -> tuple[str, str]:
        """The key, and how it is shown; most facts of a job share a few."""
        shown, key = keyed("predicate", predicate, self._normalise_predicate)
        both = self._predicates[predicate] = key, shown
        return both

    def predicate(self, predicate: str) -> str:
        return keyed("predicate", predicate, self._normalise_predicate)[1]

    def who(self, what: str, who: NameLike) -> tuple[int, str]:
        """The place of an entity or a name in the draft, and how to call it."""
        if isinstance(who, str):
            said = self._said.get(who)
            if said is None:
                said = self._said[who] = self._place(what, who)
            return said
        return self._place(what, who)

    def _subject(self, who: NameLike) -> tuple[int, str]:
        """Where names are to be added, one of them, with or without its type."""
        added = self.draft.added
        if added is None:
            return self.who("subject", who)
        if isinstance(who, str) and (said := self._subjects.get(who)) is not None:
            return said
        if isinstance(who, str | Name):
            wanted = self.name("subject", who)
            place = self._added.get((wanted.key, wanted.type_key))
            if place is not None:
                if isinstance(who, str):
                    self._subjects[who] = place, wanted.name
                return place, wanted.name
        raise ValueError(f"subject={who!r}: facts= are of the names that are added, by name")

    def _place(self, what: str, who: NameLike) -> tuple[int, str]:
        known: object
        wanted: NameRequest | int
        if isinstance(who, Entity):
            known, wanted, called = who.id, who.id, who.name
        elif isinstance(who, str | Name):
            wanted = request = self.name(what, who)
            known, called = (request.key, request.type_key), request.name
        else:
            raise TypeError(f"{what}={who!r}: a name or an Entity (a bare number is never an id)")
        place = self._places.get(known)
        if place is None:
            place = self._places[known] = len(self.draft.who)
            self.draft.who.append(wanted)
        elif isinstance(wanted, NameRequest) and wanted.description:
            first = self.draft.who[place]
            if isinstance(first, NameRequest) and not first.description:
                first.description = wanted.description
        return place, called

    def fact(self, fact: Statement | tuple[NameLike, str, NameLike]) -> None:
        """Adds a fact.

        Raises: TypeError, ValueError: a part of it can't be; nothing was written.
        """
        if isinstance(fact, tuple) and len(fact) == 3:
            fact = Statement(subject=fact[0], predicate=fact[1], object=fact[2])
        if not isinstance(fact, Statement):
            raise TypeError(f"{fact!r}: a Statement, or a tuple (subject, predicate, object)")
        if (fact.object is None) == (fact.value is None):
            raise ValueError("a fact has an object or a value: exactly one of the two")
        confidence = fact.confidence
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
            raise ValueError(f"confidence={confidence!r}: a number from 0 to 1")
        valid_at = None if fact.valid_at is None else to_micros("valid_at", fact.valid_at)
        invalid_at = None if fact.invalid_at is None else to_micros("invalid_at", fact.invalid_at)
        if valid_at is not None and invalid_at is not None and invalid_at <= valid_at:
            raise ValueError(f"invalid_at={fact.invalid_at} must be later than valid_at={fact.valid_at}")
        subject, subject_name = self._subject(fact.subject)
        object = value = given = None
        if fact.object is not None:
            object, end = self.who("object", fact.object)
        else:
            assert fact.value is not None
            value = given = as_json(fact.value)
            if isinstance(fact.value, str):
                end = fact.value
                if not (self._exact_values or end.isascii()):  # of ASCII there is one form
                    value = canonical(end)
            else:
                end = value
        predicate, shown = self._predicates.get(fact.predicate) or self._predicate(fact.predicate)
        text = f"{subject_name} {shown} {end}" if fact.text is None else checked_text("text", fact.text)
        self.draft.facts.append(
            DraftFact(
                subject,
                predicate,
                object,
                value,
                text,
                None if fact.quote is None else checked_text("quote", fact.quote),
                valid_at,
                invalid_at,
                float(confidence),
                bool(fact.replace),
                predicate_given=None if shown == predicate else shown,
                value_given=None if given == value else given,
                valid_offset=None if valid_at is None else offset_of(fact.valid_at),
                invalid_offset=None if invalid_at is None else offset_of(fact.invalid_at),
            )
        )

    def facts(self, facts: Iterable[Statement | tuple[NameLike, str, NameLike]]) -> None:
        """Adds facts. Raises: as ``fact``."""
        if isinstance(facts, Statement | str):
            raise TypeError("facts must be several: [Statement(...)]")
        for fact in facts:
            self.fact(fact)

    def added(self, names: Iterable[str | Name], *, any_type: bool) -> None:
        """Adds names that are to be added; before any fact. Raises: TypeError, ValueError: one of them can't be."""
        if isinstance(names, str | Name):
            raise TypeError("names must be several: add_entities([...])")
        self.draft.added = []
        for name in names:
            if not isinstance(name, str | Name):
                raise TypeError(f"{name!r}: a str or a Name")
            place, _ = self._place("name", name)
            request = self.draft.who[place]
            assert isinstance(request, NameRequest)
            request.any_type = any_type
            self.draft.added.append(place)
            self._added.setdefault((request.key, request.type_key), place)
            self._added.setdefault((request.key, ""), place)

    def all_of(self, names: Iterable[NameLike]) -> list[NameRequest | int]:
        """Names and entities, each once. Raises: TypeError, ValueError: one of them can't be."""
        if isinstance(names, str | Name | Entity):
            raise TypeError("names must be several: [...]")
        for who in names:
            self.who("name", who)
        return self.draft.who

    def mentions(self, mentions: Iterable[NameLike]) -> None:
        if isinstance(mentions, str | Name | Entity):
            raise TypeError("mentions must be several: mentions=[...]")
        self.draft.mentions += [self.who("mention", who)[0] for who in mentions]

    def episode(
        self,
        content: str,
        *,
        key: str | None,
        session: str | None,
        seq: int | None,
        source: str | None,
        occurred_at: datetime | None,
        metadata: Mapping[str, Any] | None,
        replace: bool,
    ) -> DraftEpisode:
        """Raises: TypeError, ValueError: a part of it can't be."""
        checked_text("content", content)
        if is_blank(content):
            raise ValueError("content is empty")
        if seq is not None:
            if session is None:
                raise ValueError("seq= is a place in a session: give session= too")
            if isinstance(seq, bool) or not isinstance(seq, int) or not -(2**62) <= seq <= 2**62:
                raise ValueError(f"seq={seq!r}: a whole number")
        self.draft.episode = DraftEpisode(
            content,
            None if key is None else checked_key("key", key),
            None if session is None else checked_key("session", session),
            seq,
            None if source is None else checked_text("source", source),
            checked_json("metadata", metadata),
            optional_micros("occurred_at", occurred_at),
            bool(replace),
            occurred_offset=offset_of(occurred_at),
        )
        return self.draft.episode
