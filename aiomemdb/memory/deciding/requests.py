"""What rules ask of a store, and what they leave to be written. ``steps.py`` says how."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..questions import FactQuery, Kind, Model, Token
from ..values import Entity, Fact, Forgotten
from .documents import KnownEpisode
from .facts import Identity, KnownFact
from .identity import Alias, KnownEntity
from .moment import Moment
from .state import State
from .steps import Request

__all__ = [
    "Beginning",
    "BelievedFact",
    "Changes",
    "CountEntities",
    "Embeddable",
    "EmbeddedNames",
    "EntitiesOf",
    "FactsAlike",
    "FactsOf",
    "FactsOnlyBy",
    "FactsSaid",
    "FactsWhere",
    "FactsWith",
    "Hide",
    "HideNamespace",
    "KnownFacts",
    "KnownNames",
    "Lacking",
    "LinksOf",
    "Names",
    "NamesOf",
    "NewerNames",
    "OneFact",
    "State",
    "Texts",
    "Versions",
]


# -- how things are ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Beginning(Request[State]):
    """How things are as a job begins; its first request.

    Attributes:
        namespaces: where it writes.
        evidence: ids of texts that are to evidence facts.
        sessions: (namespace, session); the last place of each is asked for.
        with_model: whether the model is.
        exclusive: no other job stores vectors or notes near names until this one has ended.
    """

    namespaces: Sequence[str]
    with_model: bool = False
    evidence: Sequence[int] = ()
    sessions: Sequence[tuple[str, str]] = ()
    exclusive: bool = False


@dataclass(slots=True, eq=False)
class Texts(Request[dict[tuple[str, str], KnownEpisode]]):
    """The newest versions of texts, by (namespace, key)."""

    keys: Sequence[tuple[str, str]]


@dataclass(slots=True, eq=False)
class KnownNames:
    """Who is who.

    Attributes:
        aliases: by (namespace, key), all that there are of each key, by type.
        roots: by (namespace, id), the entities that ids stand for, of those that are there.
        mentions: by text, the entities that it mentions, by id.
    """

    aliases: dict[tuple[str, str], list[Alias]] = field(default_factory=dict)
    roots: dict[tuple[str, int], KnownEntity] = field(default_factory=dict)
    mentions: dict[int, dict[int, KnownEntity]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Names(Request[KnownNames]):
    """What keys name, what ids stand for and what texts mention, each in a namespace."""

    keys: Sequence[tuple[str, str]] = ()
    ids: Sequence[tuple[str, int]] = ()
    texts: Sequence[tuple[str, int]] = ()


@dataclass(slots=True, eq=False)
class NamesOf(Request[dict[tuple[str, str], list[Alias]]]):
    """All aliases that have a key which one of the entities has too, by (namespace, key)."""

    entities: Sequence[int]


@dataclass(slots=True, eq=False)
class NewerNames(Request[dict[str, list[tuple[KnownEntity, bytes]]]]):
    """By namespace, the entities that are newer than a state, with their vectors of a model, by id."""

    model: Model
    since: Mapping[str, Token | None]


@dataclass(slots=True, eq=False)
class KnownFacts:
    """Facts by id, and (fact, text): which of the texts asked for evidences which."""

    facts: list[KnownFact]
    evidence: list[tuple[KnownFact, int]]


@dataclass(slots=True, eq=False)
class FactsSaid(Request[KnownFacts]):
    """Facts that a job meets.

    Attributes:
        identities: believed facts of these.
        pairs: by (subject, predicate), times; None is since ever. The believed facts that hold at one of these, and of
            those that begin later the first; more of them harm nothing.
        texts: what these evidence, expired or not, in their own namespaces.
        with_founded: whether ``KnownFact.founded`` is asked for: evidence other than of these texts and outdated ones.
            Facts may go with a text then, the first of those that begin later too: so all of these are asked for.
        with_quotes: whether facts of these identities and pairs may be quoted once more, or leave what was quoted to
            others: a store may read all quotes of them then, to have their words.
    """

    identities: Sequence[Identity]
    pairs: Mapping[tuple[int, str], Collection[int | None]]
    texts: Sequence[int]
    with_founded: bool = False
    with_quotes: bool = False


@dataclass(slots=True, eq=False)
class OneFact(Request[KnownFact | None]):
    """A fact, if it is of the namespace."""

    namespace: str
    id: int


class BelievedFact(NamedTuple):
    """A fact that is believed, as a merge needs it. ``value`` is canonical JSON; times are in microseconds."""

    id: int
    subject: int
    predicate: str
    object: int | None
    value: str | None
    valid_at: int | None


@dataclass(slots=True, eq=False)
class FactsOf(Request[tuple[list[BelievedFact], list[BelievedFact]]]):
    """The believed facts about an entity, by id, and those that they would be the same as, were it ``into``."""

    entity: int
    into: int


@dataclass(slots=True, eq=False)
class Versions(Request[list[int]]):
    """The ids of all versions of a text, itself among them; [] if it is not of the namespace."""

    namespace: str
    episode: int


@dataclass(slots=True, eq=False)
class FactsOnlyBy(Request[list[int]]):
    """The ids of the facts that texts evidence, and nothing else does."""

    episodes: Sequence[int]


@dataclass(slots=True, eq=False)
class FactsWith(Request[list[int]]):
    """The ids of the facts about entities, by id: of all, those that are hidden too; or of those that are believed."""

    entities: Sequence[int]
    believed: bool = False


@dataclass(slots=True, eq=False)
class FactsAlike(Request[list[KnownFact]]):
    """The believed facts of (subject, predicate, object or canonical value), whenever they begin, by id."""

    wanted: Sequence[tuple[int, str, int | str]]


@dataclass(slots=True, eq=False)
class Embeddable(Request[dict[int, str]]):
    """The namespaces of those rows of a kind that are there and have words of their own, by id."""

    kind: Kind
    ids: Sequence[int]


@dataclass(slots=True, eq=False)
class Lacking(Request[dict[Kind, tuple[int, int]]]):
    """By kind, how many rows lack a vector of a model, and the lowest id of them; kinds without any are left out.

    Attributes:
        since: of those rows alone to which something was done since this state; None: of all.
    """

    model: Model
    since: Token | None = None


@dataclass(slots=True, eq=False)
class EmbeddedNames(Request[list[tuple[int, str, bytes]]]):
    """Entities with an id above ``after``, up to ``upto``, that have a vector of a model: (id, namespace, vector), by
    id, at most ``limit``.
    """

    model: Model
    after: int
    upto: int
    limit: int


@dataclass(slots=True, eq=False)
class CountEntities(Request[int]):
    """How many entities have an id above ``after``, up to ``upto``."""

    after: int
    upto: int


# -- what is around ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class EntitiesOf(Request[list[Entity]]):
    """The entities that ids stand for, by id."""

    namespaces: Sequence[str]
    ids: Sequence[int]


@dataclass(slots=True, eq=False)
class FactsWhere(Request[list[Fact]]):
    """The facts that a query is for, by id."""

    namespaces: Sequence[str]
    query: FactQuery


@dataclass(slots=True, eq=False)
class LinksOf(Request[list[tuple[int, int | None, bool]]]):
    """The facts of one entity, at most so many: (fact, the other entity or None, whether the query counts it)."""

    namespaces: Sequence[str]
    entity: int
    query: FactQuery
    most: int


# -- what is written ---------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Hide(Request[tuple[Forgotten, Token | None]]):
    """No question finds these any more, nor what belongs to them alone. They are deleted at once where they are few.

    With an entity go its aliases, mentions, near names, vectors, and what was merged into it; with a text its mentions,
    evidence and vectors; with a fact its evidence and vectors. Of the audit's reasons, which are words, none stays.
    Each fact leaves a line in the audit when it is deleted.

    Attributes:
        kind, ids: entities or texts; ("fact", ()): facts alone.
        facts: facts that go along.

    Answer: how many rows went; a token for what is left to be deleted, or None.
    """

    moment: Moment
    kind: Kind
    ids: Sequence[int]
    facts: Sequence[int]


@dataclass(slots=True, eq=False)
class HideNamespace(Request[Token]):
    """No question finds a namespace any more. Answer: a token for its rows, which are left to be deleted."""

    namespace: str


@dataclass(slots=True, eq=False)
class Changes(Request[None]):
    """All that a job writes.

    Attributes:
        state: what the job began with.
        moments: the calls, in order, with their lines of the audit.
        backs: those of them at which the clock had gone back.
        entities: new ones; ``changed``: those that were there before, as they are now.
        renamed: the ids of those that have other keys now: names that were not there, or are there no more.
        aliases_gone: (namespace, key, type); ``aliases``: (namespace, key, type, entity). The first go first.
        merged: (from, into): what refers to the first entity refers to the second from now on: facts, mentions, near
            names (the nearer one stays), and what was merged into it before.
        similar_gone: (after, upto): the near, older names of the entities in this range of ids go first.
        similar: (older, newer, cosine); one that is there already stays.
        episodes: new ones; ``outdated``: those that were there before, as they are now.
        mentions: (entity, text); one that is there already stays.
        expired: (fact, when, what takes its place or None). They go before ``facts`` come.
        facts: new ones.
        supported: facts, new or not: their ``support`` is to be added, and with ``heir_of`` all evidence and vectors
            of that one.
        united: (from, to): the second fact gets all evidence of the first. Evidence is one a fact, text and agent: see
            ``Support.united``.
        model: of the vectors.
        vectors_gone: (namespace, kind, ref): of all models; they go first.
        vectors: (namespace, kind, ref, data); each takes the place of an older or an inherited one.
        adopt: whether ``model`` becomes the file's if that has none; ``switch``: even if it has another.
        near_left: what ``State.near_left`` is to be; None: as it was.
        past: lines of the audit of a memory that is brought back: (namespace, at, agent, operation, kind, ref, other,
            reason). They stand before all lines, behind those of the past that are there.
        successors: (fact, what took its place).
    """

    state: State
    moments: Sequence[Moment]
    backs: list[Moment] = field(default_factory=list, init=False)
    entities: Sequence[KnownEntity] = ()
    changed: Collection[KnownEntity] = ()
    renamed: Collection[int] = ()
    aliases_gone: Sequence[tuple[str, str, str]] = ()
    aliases: Sequence[tuple[str, str, str, int]] = ()
    merged: Sequence[tuple[int, int]] = ()
    similar_gone: tuple[int, int] | None = None
    similar: Sequence[tuple[int, int, float]] = ()
    episodes: Sequence[KnownEpisode] = ()
    outdated: Sequence[KnownEpisode] = ()
    mentions: Collection[tuple[int, int]] = ()
    expired: Sequence[tuple[int, Moment, int | None]] = ()
    facts: Sequence[KnownFact] = ()
    supported: Collection[KnownFact] = ()
    united: Sequence[tuple[int, int]] = ()
    model: Model | None = None
    vectors_gone: Sequence[tuple[str, Kind, int]] = ()
    vectors: Sequence[tuple[str, Kind, int, bytes]] = ()
    adopt: bool = True
    switch: bool = False
    near_left: tuple[int, int] | None = None
    past: Sequence[tuple[str, int, str | None, str, str, int, int | None, str | None]] = ()
    successors: Sequence[tuple[int, int]] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be written, by calls that remember or bring back."""
        unsaid = (self.mentions, self.supported, self.past, self.successors)  # these alone leave no line in the audit
        return not any((*unsaid, *(moment.events for moment in self.moments)))

    def __post_init__(self) -> None:
        """Give the calls their places in the order of knowledge, which is that of their lines in the audit."""
        before, last_at = 0, dict(self.state.last_at_of or {})
        for moment in self.moments:
            moment.before = before
            if moment.events:
                of = "" if self.state.last_at_of is None else moment.namespace
                if moment.at < last_at.get(of, self.state.last_at):
                    self.backs.append(moment)
                last_at[of] = moment.at
                before += len(moment.events)
