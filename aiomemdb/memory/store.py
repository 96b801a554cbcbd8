"""Theory of operation: the seam between the memory and an engine.

1. A store keeps rows. It knows no rule: who is who, what supersedes what, which facts and versions go along when
   something is forgotten is decided in ``deciding/``, which asks it for rows and leaves it rows to be written
   (``deciding/steps.py``). What belongs to one row alone, as its names do to an entity, goes with it.
2. ``Reads``, in ``reads.py``, is what it answers from one committed state: each question from a state of its own, or
   all of them from that of a ``snapshot()``.
3. ``Writes`` runs a rule as one job: whole or not at all, acknowledged when it is committed. ``within`` a transaction
   it is a step of that, and so are questions: they see what it has written.
4. The jobs of one namespace are serial: each sees all that those before it wrote, and of two the store says which was
   first. What a job leaves in the audit is in that order, and so is what is known: "known at" a time is all up to the
   newest line of the audit with a clock that is not after it. Clocks order nothing.
5. A state is named by a ``Token``, which only the store reads. Ids are the store's to give: those of rows made later
   are not said to be greater, nor seen in their order.
6. Nothing above a store knows its language. Nothing in it knows tasks, embedders or what a caller's arguments look
   like: all of it arrives checked and normalised. The tables, their versions and the names of the normalisers that made
   their keys are the store's to check.
7. Set-wise: each question, however much it asks for, is a few statements.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar, TypeVarTuple

from ..database import Transaction
from ..errors import AiomemdbError
from .deciding import embedding, forgetting, merging, remembering, renaming
from .deciding.documents import Answer
from .deciding.recalling import answered
from .deciding.steps import UNTIMED, Steps
from .drafts import Draft, DraftFact, NameRequest, Scope
from .outside import Outside
from .questions import Kind, Model, NearNamesLeft, Token
from .reads import Reads
from .values import Entity, Fact, Forgotten

__all__ = ["Reads", "ReadsAndWrites", "Store", "Writes"]

R = TypeVar("R")
Item = TypeVar("Item")
Ts = TypeVarTuple("Ts")


class Writes(Protocol):
    """Jobs. ``job`` runs them; what each does is decided by the memory's rules, the same on every engine.

    Raises, from each verb, beside the errors named there: what the engine's ``Database`` raises.
    Cancellation: as ``aiomemdb.Database``: a job runs whole or never.
    """

    async def job(self, title: str | None, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        """Run a rule as one job. Raises: what it raises; nothing was written then.

        Args:
            title: the call that it is, as the log names it if it takes long; None: it is the library's own.
        """
        ...

    async def delete(self, hidden: Token) -> Forgotten:
        """Delete what was hidden, in slices between which others write; return how many rows went."""
        ...

    async def find_or_create(
        self, scope: Scope, names: Sequence[NameRequest], model: Model | None, near: float
    ) -> list[Entity | Exception]:
        """The entity of each name, made where there is none, in one job if none fails; an exception for one that did.

        Raises: ModelChanged.
        """

        async def make(some: Sequence[NameRequest]) -> list[Entity | Exception]:
            title = "find_or_create_entity()" if len(some) == 1 else None
            return await self.job(title, remembering.find_or_create, some, scope, model, near)

        return await self._together(make, names)

    async def write(
        self, drafts: Sequence[tuple[Scope, Draft]], *, timed: AbstractContextManager[object] = UNTIMED
    ) -> list[Answer | Exception]:
        """Texts with their facts (Remembered), facts alone or names, in order; each whole or not at all, in one job if
        none fails. Returns an exception for one that did: EpisodeExists, NotFound. Raises: ModelChanged.

        Args:
            timed: entered where the job runs, as it begins; left before it is committed.
        """
        # Several are one job: at the end of each the word indexes write out their new words, a fifth of the time.
        return await self._together(
            lambda some: self.job(remembering.title(some), remembering.write, some, timed), drafts
        )

    async def _together(
        self, run: Callable[[Sequence[Item]], Awaitable[list[Any]]], items: Sequence[Item]
    ) -> list[Any]:
        """Run all items as one job, which returns an answer for each. If one of them fails it, all is rolled back and
        each is a job of its own: no caller gets another's error.
        """
        try:
            return await run(items)
        except AiomemdbError:
            raise  # not of one item alone
        except Exception as error:
            if len(items) == 1:
                return [error]
        answers: list[Any] = []
        for item in items:
            try:
                answers += await self._together(run, [item])
            except Exception as error:
                answers.append(error)
        return answers

    async def loaded(self, count: int) -> None:
        """So many texts, or rows of a file, were stored by one call: what the engine does then, so that questions are
        quick.
        """
        return

    async def update_entity(
        self, scope: Scope, entity: int, changes: Mapping[str, Any], vector: bytes | None, model: Model | None
    ) -> Entity:
        """Change parts of an entity; a new name is an alias too.

        Raises: NotFound; ValueError: the name is another's; ModelChanged.
        """
        return await self.job("update_entity()", renaming.update_entity, scope, entity, changes, vector, model)

    async def add_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        """Raises: NotFound; ValueError: it is another's of the same type."""
        return await self.job("add_alias()", renaming.add_alias, scope, entity, key)

    async def remove_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        """Raises: NotFound; ValueError: it is the entity's name."""
        return await self.job("remove_alias()", renaming.remove_alias, scope, entity, key)

    async def merge(self, scope: Scope, keep: int, duplicate: int) -> Entity:
        """Raises: NotFound; ValueError: of an entity with itself."""
        return await self.job("merge()", merging.merge, scope, keep, duplicate)

    async def retract(self, scope: Scope, fact: int, reason: str) -> Fact:
        """Raises: NotFound."""
        return await self.job("retract()", forgetting.retract, scope, fact, reason)

    async def retract_facts(
        self, scope: Scope, who: Sequence[NameRequest | int], facts: Sequence[DraftFact], reason: str
    ) -> list[tuple[Fact, ...]]:
        """Believe facts no longer: those that are as each of these, whenever they begin unless that is said."""
        title = f"retract_facts() of {len(facts):,} facts"
        return await self.job(title, forgetting.retract_facts, scope, who, facts, reason)

    async def retract_entities(self, scope: Scope, who: Sequence[NameRequest | int], reason: str) -> list[Entity]:
        """Believe nothing of entities any more, and take them for implied; those that were not so already."""
        title = f"retract_entities() of {len(who):,} names"
        return await self.job(title, forgetting.retract_entities, scope, who, reason)

    async def forget_entities(self, scope: Scope, who: Sequence[NameRequest | int]) -> Forgotten:
        """Hide entities and what goes along in one job, then delete the rows in slices."""
        title = f"forget_entities() of {len(who):,} names"
        forgotten, hidden = await self.job(title, forgetting.forget_entities, scope, who)
        return forgotten if hidden is None else forgotten + await self.delete(hidden)

    async def forget(self, scope: Scope, kind: Kind, ref: int) -> Forgotten:
        """Hide it and what goes along in one job, then delete the rows in slices. Raises: NotFound."""
        forgotten, hidden = await self.job("forget()", forgetting.forget, scope, kind, ref)
        return forgotten if hidden is None else forgotten + await self.delete(hidden)

    async def forget_namespace(self, scope: Scope) -> Forgotten:
        """Hide the namespace in one job, then delete its rows in slices."""
        hidden = await self.job("forget_namespace()", forgetting.forget_namespace, scope)
        return Forgotten() if hidden is None else await self.delete(hidden)

    async def put_vectors(self, model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Store vectors of a model, which need not be the file's; those of rows that are gone are dropped."""
        await self.job(None, embedding.put_vectors, model, kind, vectors)

    async def put_near_names(self, model: Model, slice: NearNamesLeft, near: Sequence[tuple[int, int, float]]) -> None:
        """Replace what was noted for a slice of the entities by (older one, entity, cosine), unless others have done so
        since it was asked for. Raises: ModelChanged.
        """
        await self.job(None, embedding.put_near_names, model, slice, near)


class ReadsAndWrites(Reads, Writes, Outside, Protocol):
    """What the verbs of a view ask, of a database or in a transaction."""

    async def search(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await self.of_one_state(lambda reads: answered(reads, rule, *args))

    async def of_one_state(self, ask: Callable[[Reads], Awaitable[R]]) -> R:
        """What ``ask`` finds in a ``snapshot()``; from its start in another one, where the engine loses it."""
        async with self.snapshot() as reads:
            return await ask(reads)

    def snapshot(self) -> AbstractAsyncContextManager[Reads]:
        """All that is asked of it is answered from one and the same state. It holds one of the engine's readers: what
        takes long and needs none (an embedder) comes before it or after it. In a transaction it is as the transaction
        has left it, and goes on with that.
        """
        ...

    def within(self, tx: Transaction) -> ReadsAndWrites:
        """The same in a transaction of the database: each job is a step of it, and reads see its own changes.

        Raises: TypeError: it is none of this database.
        """
        ...


class Store(ReadsAndWrites, Protocol):
    """What an engine does for the memory."""

    async def open(self, normalisers: Mapping[str, str], *, given: Collection[str] | None = None) -> dict[str, str]:
        """Make the tables or bring them up to date; return what is recorded of normalisers (``names.with_defaults``).

        Args:
            normalisers: what each is for, and its name, for where nothing is recorded.
            given: for what another one may not be recorded; None: for all.

        Raises: SchemaTooNew, NormaliserChanged.
        """
        ...

    async def sweep(self) -> None:
        """Delete what is left of all that was forgotten, and bring up to date what an earlier version has left, in
        slices.
        """
        ...

    async def erase(self) -> bool:
        """Leave no byte of what was forgotten in what the engine stores; whether nothing keeps old ones any more."""
        ...

    async def drop_vectors(self) -> None:
        """Drop the vectors of all models but the file's, in slices."""
        ...

    async def switch_model(self, model: Model, *, force: bool = False) -> bool:
        """Make it the file's model and drop others' vectors, if every row has one of it, or by ``force`` even so;
        whether every row has one. Near names are then all to be found anew.
        """
        upto = await self.complete_upto(model)
        complete = await self.job(None, embedding.switch_model, model, force, upto)
        if complete or force:
            await self.drop_vectors()
        return complete
