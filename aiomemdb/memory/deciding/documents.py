"""A job's calls, decided in order: texts with their facts, facts alone, names.

1. ``begin`` each call: whether it fails, who is who, its text. What it will state is known then, and can be read.
2. ``finish`` each call, by the facts that are there: what becomes of them, and its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ...errors import EpisodeExists, NotFound
from ..answers import AddedEntity, AddedFact
from ..drafts import Draft, DraftEpisode, Scope
from ..questions import Kind
from ..records import episode_of
from ..values import Entity, Episode, Fact, Remembered
from .facts import Facts, Stated
from .identity import Identities, KnownEntity
from .moment import Moment

__all__ = ["Answer", "Begun", "Deciding", "KnownEpisode", "KnownTexts"]

Answer: TypeAlias = Remembered | list[AddedFact] | list[AddedEntity]


@dataclass(slots=True, eq=False)
class KnownEpisode:
    """A text as it is now, in the job that may have made it.

    Attributes:
        made: None: it was there before.
        ended: when the job made it outdated.
    """

    id: int
    namespace: str
    key: str | None
    version: int
    session: str | None
    seq: int | None
    agent: str | None
    source: str | None
    content: str
    metadata: str
    occurred_at: int | None
    occurred_offset: int | None
    created_at: int
    expired_at: int | None = None
    made: Moment | None = None
    ended: Moment | None = None
    vector: bytes | None = None

    def value(self) -> Episode:
        return episode_of(
            self.id,
            self.namespace,
            self.key,
            self.version,
            self.session,
            self.seq,
            self.agent,
            self.source,
            self.content,
            self.metadata,
            self.occurred_at,
            self.occurred_offset,
            self.created_at,
            self.expired_at,
        )


@dataclass(slots=True)
class KnownTexts:
    """The texts that a job's calls speak of.

    Attributes:
        current: by (namespace, key), the newest version.
        mentions: by text, the entities that it mentions, of those that come again or are new.
        namespaces: by id, where a text is that is to evidence facts.
        outdated: those of them that a newer version had replaced before the job.
        last_seq: by (namespace, session), the highest place.
    """

    current: dict[tuple[str, str], KnownEpisode] = field(default_factory=dict)
    mentions: dict[int, dict[int, KnownEntity]] = field(default_factory=dict)
    namespaces: dict[int, str] = field(default_factory=dict)
    outdated: set[int] = field(default_factory=set)
    last_seq: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Begun:
    """A call with its first half decided.

    Attributes:
        entities, episode: as its answer shows them, whatever later calls of the job do.
        added: of names that were to be added, the entity of each, and whether it is new.
        text: what evidences its facts, a new text or one that is there; None: the agent itself.
        again: it is this text's very words that come again.
        replaced: the version that its text takes the place of.
    """

    moment: Moment
    stated: list[Stated]
    entities: tuple[Entity, ...]
    text: int | None = None
    episode: Episode | None = None
    again: bool = False
    replaced: KnownEpisode | None = None
    added: list[tuple[Entity, bool]] | None = None


class Deciding:
    """What a job's calls do, one after another.

    Args:
        next_episode: the first id of a text that was never used.

    Attributes:
        identities: who is who.
        made: the new texts, by id.
        outdated: texts that were there before and have a newer version.
        mentioned: (entity, text), each once.
        moments: the calls that write, in order.
    """

    def __init__(self, identities: Identities, texts: KnownTexts, next_episode: int) -> None:
        self.identities = identities
        self._texts = texts
        self._next_episode = next_episode
        self.made: list[KnownEpisode] = []
        self.outdated: list[KnownEpisode] = []
        self.mentioned: dict[tuple[int, int], None] = {}
        self.moments: list[Moment] = []

    def check(self, scope: Scope, draft: Draft) -> EpisodeExists | NotFound | None:
        """All that is expected to fail does so before anything is decided, so that it does not fail the others."""
        episode = draft.episode
        current = None if episode is None else self._current(scope.namespace, episode)
        if episode is not None and current is not None and not episode.replace and current.content != episode.content:
            return EpisodeExists(
                f"there is an episode with key {episode.key!r} and another content: replace=True makes this its "
                f"version {current.version + 1}"
            )
        if draft.evidence is not None and self._texts.namespaces.get(draft.evidence) != scope.namespace:
            return NotFound(f"no episode {draft.evidence} in namespace {scope.namespace!r}")
        for id in draft.who:
            if isinstance(id, int):
                if (scope.namespace, id) not in self.identities.roots:
                    return NotFound(f"no entity {id} in namespace {scope.namespace!r}")
            elif draft.missing == "error" and self.identities.lacks(scope.namespace, id):
                error = NotFound(f"no entity {id.name!r} in namespace {scope.namespace!r}")
                error.name = id.name
                return error
        return None

    def begin(self, moment: Moment, draft: Draft) -> Begun:
        """Decide the first half of a call that was checked."""
        who: dict[int, KnownEntity] = {}
        facts, added = draft.facts, None
        if draft.added is not None:
            added = self._add(moment, draft, draft.added, who)
            new = {entity.id for entity, is_new in added if is_new}
            facts = [fact for fact in facts if who[fact.subject].id in new]
            places: Iterable[int] = (fact.object for fact in facts if fact.object is not None)
        else:
            places = range(len(draft.who))
        for place in places:
            if place not in who:
                who[place] = self._who(moment, draft, place)
        stated = [
            Stated.of(fact, who[fact.subject].id, None if fact.object is None else who[fact.object].id)
            for fact in facts
        ]
        begun = Begun(moment, stated, (), draft.evidence, added=added)
        self.moments.append(moment)
        if draft.episode is not None:
            self._place(begun, draft.episode)
        if begun.text is not None:
            self._mention(draft, who, begun.text)
        if begun.again:
            assert begun.text is not None
            mentioned = self._texts.mentions[begun.text]
            begun.entities = tuple(mentioned[id].value() for id in sorted(mentioned))
        elif begun.episode is not None:
            begun.entities = tuple(entity.value() for entity in dict.fromkeys(who.values()))
        return begun

    def finish(self, begun: Begun, facts: Facts) -> Answer:
        """Decide the second half, and return the answer."""
        moment, stated, text = begun.moment, begun.stated, begun.text
        if begun.again:
            assert text is not None
            stated = facts.unsaid(stated, text)
        believed = facts.state(moment, stated, text)
        if begun.replaced is not None:
            facts.outdate(moment, begun.replaced.id)
        if begun.again:
            assert text is not None
            believed = [(fact, False) for fact in facts.believed_of(text)]
        answer = [AddedFact(fact.value_in(moment.namespace), new) for fact, new in believed]
        if begun.episode is not None:
            return Remembered(begun.episode, tuple(one.fact for one in answer), begun.entities, not begun.again)
        if begun.added is None:
            return answer
        of_entity: dict[int, list[Fact]] = {}
        for one in answer:
            of_entity.setdefault(one.fact.subject, []).append(one.fact)
        return [
            AddedEntity(entity, new, tuple(of_entity.get(entity.id, ())) if new else ()) for entity, new in begun.added
        ]

    def _add(
        self, moment: Moment, draft: Draft, places: Sequence[int], who: dict[int, KnownEntity]
    ) -> list[tuple[Entity, bool]]:
        """The entities of names that are to be added, and whether each is new: made, or implied so far."""
        added: list[tuple[KnownEntity, bool]] = []
        for place in places:
            lines = len(moment.events)
            if place not in who:
                who[place] = self._who(moment, draft, place)
            line = who[place].line
            added.append((who[place], line is not None and line.moment is moment and line.place >= lines))
        return [(entity.value(), new) for entity, new in added]

    def _who(self, moment: Moment, draft: Draft, place: int) -> KnownEntity:
        """The entity that a place of a draft speaks of, made where there is none."""
        wanted, imply = draft.who[place], draft.missing == "imply"
        if isinstance(wanted, int):
            entity = self.identities.roots[moment.namespace, wanted]
            if not imply:
                self.identities.establish(moment, entity)
            return entity
        [found] = self.identities.resolve(moment, [wanted], draft.near, imply=imply)
        assert isinstance(found, KnownEntity)  # nothing is ambiguous, as no draft is strict
        return found

    def vectors(self, facts: Facts | None) -> list[tuple[str, Kind, int, bytes]]:
        """(namespace, kind, ref, vector) of all that is new and has one."""
        found: list[tuple[str, Kind, int, bytes]] = []
        found += [(entity.namespace, "entity", entity.id, vector) for entity, vector in self.identities.vectors]
        found += [(text.namespace, "episode", text.id, text.vector) for text in self.made if text.vector is not None]
        for fact in () if facts is None else facts.made:
            if fact.vector is not None and fact.made is not None:
                found.append((fact.made.namespace, "fact", fact.id, fact.vector))
        return found

    def _current(self, namespace: str, episode: DraftEpisode) -> KnownEpisode | None:
        return None if episode.key is None else self._texts.current.get((namespace, episode.key))

    def _place(self, begun: Begun, draft: DraftEpisode) -> None:
        """Which text it is: the very one that is there, its next version, or a new one."""
        current = self._current(begun.moment.namespace, draft)
        if current is not None and current.content == draft.content:
            begun.episode, begun.text, begun.again = current.value(), current.id, True
            return
        episode = self._make(begun.moment, draft, current)
        begun.episode, begun.text, begun.replaced = episode.value(), episode.id, current

    def _make(self, moment: Moment, draft: DraftEpisode, replaced: KnownEpisode | None) -> KnownEpisode:
        episode = KnownEpisode(
            self._next_episode,
            moment.namespace,
            draft.key,
            1 if replaced is None else replaced.version + 1,
            draft.session,
            self._seq(moment, draft, replaced),
            moment.agent,
            draft.source,
            draft.content,
            draft.metadata,
            draft.occurred_at,
            draft.occurred_offset,
            moment.at,
            made=moment,
            vector=draft.vector,
        )
        self._next_episode += 1
        self.made.append(episode)
        self._texts.mentions[episode.id] = {}
        self._texts.namespaces[episode.id] = moment.namespace
        if draft.key is not None:
            self._texts.current[moment.namespace, draft.key] = episode
        moment.note("create", "episode", episode.id)
        if replaced is not None:
            replaced.expired_at, replaced.ended = moment.at, moment
            if replaced.made is None:
                self.outdated.append(replaced)
            moment.note("supersede", "episode", replaced.id, episode.id)
        return episode

    def _seq(self, moment: Moment, draft: DraftEpisode, replaced: KnownEpisode | None) -> int | None:
        """Its place in its session: as it was given, that of the version which it corrects, or the next."""
        if draft.session is None:
            return draft.seq
        session = (moment.namespace, draft.session)
        seq, last = draft.seq, self._texts.last_seq.get(session)
        if seq is None and replaced is not None and replaced.session == draft.session:
            seq = replaced.seq
        elif seq is None:
            seq = 1 if last is None else last + 1
        if seq is not None:
            self._texts.last_seq[session] = seq if last is None else max(last, seq)
        return seq

    def _mention(self, draft: Draft, who: Mapping[int, KnownEntity], text: int) -> None:
        """A text mentions what its facts are about, beside what it was said to mention."""
        places: Iterable[int] = [
            *draft.mentions,
            *(fact.subject for fact in draft.facts),
            *(fact.object for fact in draft.facts if fact.object is not None),
        ]
        known = self._texts.mentions.setdefault(text, {})
        for entity in dict.fromkeys(who[place] for place in places):
            if entity.id not in known:
                known[entity.id] = entity
                self.mentioned[entity.id, text] = None
