"""Texts and facts that are brought back."""

from __future__ import annotations

from collections import defaultdict

from ...errors import EpisodeExists, NotFound
from ...formats.rows import EpisodeRow, EvidenceRow, FactRow
from .documents import KnownEpisode
from .facts import Identity, KnownFact, Support
from .known import KnownEntity
from .moment import Moment
from .parcels import EvidenceThere, FactLike, FactsLike, TextLike, TextsLike
from .requests import FactsSaid, Names
from .restoring_names import Rows
from .steps import Steps

__all__ = ["StatedFacts", "Texts"]


class Texts(Rows):
    """Texts, and what they mention."""

    def texts(self) -> Steps[None]:
        rows = self.parcel.episodes
        asked = [
            (self._space(row.namespace), row.key, row.session, row.seq, row.created_at, row.content) for row in rows
        ]
        like: dict[int, list[TextLike]] = defaultdict(list)
        for one in (yield from TextsLike(asked)):
            like[one.asked].append(one)
        made: dict[tuple[str, str], list[TextLike]] = defaultdict(list)
        next_id, old = self.state.episode, list[tuple[str, int]]()
        for place, row in enumerate(rows):
            space = self._space(row.namespace)
            of_key = [] if row.key is None else made[space, row.key]
            found = self._found_text(row, [*like[place], *of_key])
            if found is None:
                self._make_text(row, next_id)
                of_key.append(TextLike(0, next_id, row.version, False, row.created_at, row.expired_at is None))
                next_id += 1
            else:
                self._became("episode", row, found.id)
                old.append((space, found.id))
                ended = self._ended(row)
                if ended is not None and found.is_current:
                    self._outdated.append(_episode(row, found.id, space, found.version, None, ended))
                    self.moments[space].note("import", "episode", found.id)
        yield from self._mention(old)

    def _found_text(self, row: EpisodeRow, like: list[TextLike]) -> TextLike | None:
        """Raises: EpisodeExists: under its key there is another one."""
        free = [one for one in like if not self._is_taken("episode", row.namespace, one.id)]
        if row.key is None:
            return next((one for one in free if one.created_at == row.created_at), None)
        found = next((one for one in free if one.same and one.version == row.version), None)
        if found is not None or not like:
            return found
        newest = max(like, key=lambda one: one.version)
        is_current = newest.is_current and all(text.id != newest.id for text in self._outdated)
        if newest.version < row.version and not is_current:
            return None
        raise EpisodeExists(
            f"line {row.line}: the memory has another text under the key {row.key!r}: import into another namespace"
        )

    def _make_text(self, row: EpisodeRow, id: int) -> None:
        moment = self._make("episode", id, row)
        self._new_texts.append(_episode(row, id, moment.namespace, row.version, moment, self._ended(row)))

    def _mention(self, old: list[tuple[str, int]]) -> Steps[None]:
        """What texts mention; of those that were there, what they did not yet."""
        rows = [row for row in self.parcel.episodes if row.mentions]
        pairs = [(self._space(row.namespace), self._here("entity", number)) for row in rows for number in row.mentions]
        ids = [(space, id) for space, id in dict.fromkeys(pairs) if id is not None]
        if not ids:
            return
        names = yield from Names(ids=ids, texts=old)
        for row in rows:
            text, space = self.ids["episode", row.number], self._space(row.namespace)
            for number in row.mentions:
                root = names.roots.get((space, self._here("entity", number) or 0))
                if root is not None and root.id not in names.mentions.get(text, {}):
                    self._mentions[root.id, text] = None


class StatedFacts(Rows):
    """Facts and their evidence."""

    def facts(self) -> Steps[None]:
        rows = self.parcel.facts
        ids = {
            (self._space(row.namespace), self._here("entity", number) or 0): None
            for row in rows
            for number in (row.subject, row.object)
            if number is not None
        }
        roots = (yield from Names(ids=list(ids))).roots if ids else {}
        ends = [self._ends(row, roots) for row in rows]
        like: dict[int, list[FactLike]] = defaultdict(list)
        for one in (yield from FactsLike([(*pair, row.created_at) for row, pair in zip(rows, ends, strict=True)])):
            like[one.asked].append(one)
        identities = [_identity(row, pair) for row, pair in zip(rows, ends, strict=True) if row.expired_at is None]
        believed: dict[Identity, KnownFact] = {}
        if identities:
            met = yield from FactsSaid(list(dict.fromkeys(identities)), {}, [])
            believed = {fact.identity: fact for fact in met.facts if fact.expired_at is None}
        said: list[tuple[int, EvidenceRow]] = []
        next_id = self.state.fact
        for place, (row, pair) in enumerate(zip(rows, ends, strict=True)):
            found = self._found_fact(row, like[place])
            if found is None:
                self._make_fact(row, next_id, pair, believed, said)
                next_id += 1
            else:
                self._became("fact", row, found.id)
                said += [(found.id, one) for one in row.evidence]
                ended = self._ended(row)
                if ended is not None and found.is_believed:
                    self._expired.append((found.id, ended, self._successor(row)))
                    self.moments[self._space(row.namespace)].note("import", "fact", found.id)
        new = {fact.id: fact for fact in self._new_facts}
        for row in rows:
            self._supersede(row, new)
        said += [(id, one) for one in self.parcel.evidence if (id := self._here("fact", one.fact)) is not None]
        yield from self._support(said)

    def _ends(self, row: FactRow, roots: dict[tuple[str, int], KnownEntity]) -> tuple[int, int | None]:
        """Raises: NotFound."""
        subject, object = (
            None if number is None else roots.get((self._space(row.namespace), self._here("entity", number) or 0))
            for number in (row.subject, row.object)
        )
        if subject is None or (object is None and row.object is not None):
            raise NotFound(
                f"line {row.line}: its entity is of another namespace, or was forgotten while the file was imported"
            )
        return subject.id, None if object is None else object.id

    def _found_fact(self, row: FactRow, like: list[FactLike]) -> FactLike | None:
        wanted = (row.predicate, row.value, row.valid_at, row.invalid_at)
        for one in like:
            if one[2:6] == wanted and not self._is_taken("fact", row.namespace, one.id):
                return one
        return None

    def _make_fact(
        self,
        row: FactRow,
        id: int,
        ends: tuple[int, int | None],
        believed: dict[Identity, KnownFact],
        said: list[tuple[int, EvidenceRow]],
    ) -> None:
        moment, ended, identity = self._make("fact", id, row), self._ended(row), _identity(row, ends)
        fact = _fact(row, id, ends, moment, ended, self._successor(row))
        if ended is None:
            same = believed.setdefault(identity, fact)
            if same is not fact:
                now = self.moments[moment.namespace]
                fact.expired_at, fact.ended, fact.superseded_by = now.at, now, same.id
                now.note("supersede", "fact", id, same.id)
                said += [(same.id, one) for one in row.evidence]
        self._new_facts.append(fact)
        for one in row.evidence:
            self._evidence(fact, one)

    def _successor(self, row: FactRow) -> int | None:
        return None if row.superseded_by is None else self._here("fact", row.superseded_by)

    def _supersede(self, row: FactRow, new: dict[int, KnownFact]) -> None:
        """Earlier ones know now that it took their place."""
        id = self.ids["fact", row.number]
        for number in row.supersedes:
            other = self._here("fact", number)
            if other in new:
                new[other].superseded_by = id
            elif other is not None and id in new:
                self._successors.append((other, id))

    def _support(self, said: list[tuple[int, EvidenceRow]]) -> Steps[None]:
        """Evidence of facts that were there, where they lack it."""
        by_id = {fact.id: fact for fact in self._new_facts}
        old: list[tuple[tuple[int, int | None, str | None], EvidenceRow]] = []
        for id, row in said:
            if id in by_id:
                self._evidence(by_id[id], row)
                continue
            episode = None if row.episode is None else self._here("episode", row.episode)
            if row.episode is None or episode is not None:
                old.append(((id, episode, row.agent), row))
        if not old:
            return
        there = yield from EvidenceThere([key for key, _ in old])
        for place, ((id, _, _), row) in enumerate(old):
            if place not in there:
                self._evidence(self._supported.get(id) or _bare(id), row)

    def _evidence(self, fact: KnownFact, row: EvidenceRow) -> None:
        episode = None if row.episode is None else self._here("episode", row.episode)
        if row.episode is not None and episode is None:
            return  # the text was forgotten meanwhile
        self._supported[fact.id] = fact
        support = Support(row.quote, row.confidence, row.created_at)
        before = fact.support.get((episode, row.agent))
        fact.support[episode, row.agent] = support if before is None else before.united(support)


def _identity(row: FactRow, ends: tuple[int, int | None]) -> Identity:
    subject, object = ends
    return (subject, row.predicate, row.value if object is None else object, row.valid_at)


def _fact(
    row: FactRow, id: int, ends: tuple[int, int | None], made: Moment, ended: Moment | None, successor: int | None
) -> KnownFact:
    return KnownFact(
        id,
        ends[0],
        row.predicate,
        row.predicate_given,
        ends[1],
        row.value,
        row.value_given,
        row.text,
        row.valid_at,
        row.valid_offset,
        row.invalid_at,
        row.invalid_offset,
        row.created_at,
        row.expired_at,
        successor,
        row.agent,
        made=made,
        ended=ended,
    )


def _bare(id: int) -> KnownFact:
    """A fact that is there: only its evidence is written."""
    return KnownFact(id, 0, "", None, None, None, None, "", None, None, None, None, 0, None, None, None)


def _episode(
    row: EpisodeRow, id: int, namespace: str, version: int, made: Moment | None, ended: Moment | None
) -> KnownEpisode:
    return KnownEpisode(
        id,
        namespace,
        row.key,
        version,
        row.session,
        row.seq,
        row.agent,
        row.source,
        row.content,
        row.metadata,
        row.occurred_at,
        row.occurred_offset,
        row.created_at,
        row.expired_at,
        made,
        ended,
    )
