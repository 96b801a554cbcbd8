"""The verbs of entities: who is who, what they are called, and which of them are one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .answers import AddedEntity
from .drafter import checked_json, checked_similarity
from .drafts import Scope
from .names import checked_text
from .pages import Page, page
from .values import Entity, Forgotten, Name, NameLike, Statement
from .view import View, after_id, by_id, id_of, observed, one_more

__all__ = ["EntityVerbs"]


class EntityVerbs(View):
    """The verbs of entities."""

    @observed("upsert_memory")
    async def find_or_create_entity(
        self,
        name: str,
        type: str | None = None,
        description: str = "",
        *,
        similarity: float | None = None,
        strict: bool = False,
    ) -> Entity:
        """Return the entity of a name, and make it where there is none.

        All callers, of all tasks and processes, get the same entity. Names are one if they are equal once normalised.
        With an embedder a new name is embedded once, outside the writer, and names near it are noted.

        Args:
            type: None: the entity of that name, whatever its type (of several: the oldest). Otherwise the entity of
                that name and type. If there is none, an entity without a type adopts the type. If there is none either,
                a new homonym is made ("Apple" the company, "Apple" the fruit).
            description: of a new entity; ``update_entity`` changes it.
            similarity: the least cosine at which a new name becomes an alias of the nearest one instead. That never
                merges a single short word, or names with different numbers in them. A threshold belongs to an
                embedder, so there is no default.
            strict: where several entities have the name and no type is given, raise instead of taking the oldest.

        Raises:
            AmbiguousEntity: several entities have the name, no type is given, and ``strict=True``.
            ValueError, TypeError: the name is empty, longer than 1,000 characters, or no text; ``similarity`` without
                an embedder.
            EmbedderError, ModelChanged: the embedder's vectors can't be used; nothing was written. Names that are new
                at the same time are embedded by one call, and fail together if it does.
        Cancellation: no other caller is harmed. The entity may be made all the same.
        """
        wanted = self._core.drafter().name("name", Name(name, type, description))
        if similarity is not None:
            checked_similarity(similarity)
            if self._core.vectors is None:
                raise ValueError(
                    "similarity= compares vectors: open the memory with an embedder, and call it in no transaction"
                )
        wanted.similarity, wanted.strict = similarity, strict
        return await self._core.find_or_create(self._scope, wanted)

    @observed("update_memory")
    async def retract_entities(self, names: Iterable[NameLike], reason: str = "") -> list[Entity]:
        """Stop believing all facts about some entities in ONE job, and take the entities for implied.

        What an implied entity is, ``add_facts`` says: ``add_entities`` reports it as new when it adds it again. Texts
        that mention them stay as they are. Asked ``known_at`` an earlier time, the facts are still there.

        Args:
            names: names or entities. A name without a type means all entities that have it.
            reason: kept in the history of each entity and fact.

        Returns: the entities that were not implied before, each once. Names that no entity has are no error.
        Raises: ValueError, TypeError: a name can't be, see ``find_or_create_entity``.
        Cancellation: the job runs whole or not at all.
        """
        who = self._core.drafter().all_of(names)
        why = checked_text("reason", reason)
        return await self._core.writable_store.retract_entities(self._scope, who, why)

    @observed("delete_memory")
    async def forget_entities(self, names: Iterable[NameLike]) -> Forgotten:
        """Delete some entities for good, with their facts, aliases and mentions: all at once, as by ``forget``.

        One job hides all of them. What is more than a little is deleted in slices, between which others write.

        Args:
            names: names or entities. A name without a type means all entities that have it.

        Returns: how many rows of each kind were deleted. Names that no entity has are no error.
        Raises: ValueError, TypeError: a name can't be, see ``find_or_create_entity``.
        Cancellation: what is hidden stays hidden. The rest is deleted when the file is opened next.
        """
        who = self._core.drafter().all_of(names)
        return await self._core.writable_store.forget_entities(self._scope, who)

    @observed("upsert_memory")
    async def add_entities(
        self,
        names: Iterable[str | Name],
        *,
        facts: Iterable[Statement | tuple[NameLike, str, NameLike]] = (),
        any_type: bool = False,
    ) -> list[AddedEntity]:
        """Find or create many entities in ONE job, and return for each whether it is new.

        Of all callers, of all tasks and processes, that add a name at once, one alone is told that it is new. Each name
        is taken as by ``find_or_create_entity``, one after another. An implied entity (see ``add_facts``) is new: it
        gets the name as it is written here, and this type and description::

            added = await memory.add_entities([Name("Ann", "person")], facts=[("Ann", "knows", "Bob")])

        Args:
            names: names, with or without types and descriptions.
            facts: what is known of those that are new; of those that were there it is left out. Each fact's subject is
                one of ``names``. Their objects are found or created too.
            any_type: make none where an entity has the name, whatever its type; it stays as it is.

        Returns: one for each name, in their order. Of a name that is given again the entity, as not new.
        Raises:
            ValueError, TypeError: a name can't be, see ``find_or_create_entity``; a fact can't be, see ``add_fact``, or
                its subject is none of ``names``.
            EmbedderError, ModelChanged: the embedder's vectors can't be used; nothing was written.
        Cancellation: the job runs whole or not at all.
        """
        drafter = self._core.drafter()
        drafter.added(names, any_type=any_type)
        drafter.facts(facts)
        await self._core.embed(self._scope, drafter.draft)
        written = await self._core.write(self._scope, drafter.draft)
        assert isinstance(written, list)
        return [one for one in written if isinstance(one, AddedEntity)]

    async def entity(self, name_or_id: str | int, type: str | None = None) -> Entity | None:
        """Return the entity of a name or an id, or None.

        Args:
            name_or_id: a name, looked for in the view's own namespace first; or an id, also of a merged entity.
            type: None: whatever its type; of several the oldest.

        Raises: ValueError, TypeError: no name and no id.
        """
        if isinstance(name_or_id, int) and not isinstance(name_or_id, bool):
            found = await self._core.store.entities(
                self._scope.readable, ids=[name_or_id], type_key=None, after=0, limit=-1
            )
            return found[0] if found else None
        if not isinstance(name_or_id, str):
            raise TypeError(f"{name_or_id!r}: a name or an id")
        wanted = self._core.drafter().name("name", Name(name_or_id, type))
        for namespace in self._scope.readable:
            entity = await self._core.find(Scope(namespace), wanted)
            if entity is not None:
                return entity
        return None

    @observed("search_memory")
    async def entities(self, *, type: str | None = None, after: str | None = None, limit: int = 100) -> Page[Entity]:
        """Return a page of entities by id, of one type or of any.

        Args:
            after: the ``next`` of the page before; None: the first page.
            limit: how many at most.

        Raises: ValueError, TypeError: ``limit`` is no count from 1, ``after`` no cursor of this listing.
        """
        type_key = None if type is None else self._core.drafter().type(type)[1]
        found = await self._core.store.entities(
            self._scope.readable,
            ids=None,
            type_key=type_key,
            after=after_id("entities", after),
            limit=one_more(limit),
        )
        return page("entities", found, limit, by_id)

    @observed("update_memory")
    async def update_entity(
        self,
        entity: Entity,
        *,
        name: str | None = None,
        type: str | None = None,
        description: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Entity:
        """Change what is given, and return the entity; None leaves a part as it is.

        The old name stays an alias, by which the entity is found as before. Facts keep their words.

        Raises:
            NotFound: the entity is not of this namespace, or was forgotten.
            ValueError: another entity has the new name and type already (see ``merge``); nothing is given to change.
            TypeError: a part is of the wrong type.
        """
        drafter, changes, vector = self._core.drafter(), dict[str, Any](), None
        if type is not None:
            changes["type"], changes["type_key"] = drafter.type(type)
        if name is not None:
            wanted = drafter.name("name", name)
            changes["name"], changes["key"] = wanted.name, wanted.key
        if description is not None:
            changes["description"] = checked_text("description", description)
        if attributes is not None:
            changes["attributes"] = checked_json("attributes", attributes)
        if not changes:
            raise ValueError("nothing to change: give name=, type=, description= or attributes=")
        vectors = self._core.vectors
        if name is not None and vectors is not None:
            [vector] = await vectors.embed([changes["name"]])
        model = None if vectors is None else vectors.model
        return await self._core.writable_store.update_entity(self._scope, id_of(entity), changes, vector, model)

    @observed("update_memory")
    async def add_alias(self, entity: Entity, alias: str) -> Entity:
        """Let ``alias`` mean this entity too, and return the entity.

        Raises:
            NotFound: the entity is not of this namespace, or was forgotten.
            ValueError: another entity of the same type has that name (see ``merge``).
        """
        key = self._alias_key(alias)
        return await self._core.writable_store.add_alias(self._scope, id_of(entity), key)

    @observed("update_memory")
    async def remove_alias(self, entity: Entity, alias: str) -> Entity:
        """Take a name from an entity: from now on ``alias`` does not mean it, in any type.

        It makes no difference whether ``add_alias``, a rename, a merge or ``similarity=`` made it an alias. Facts,
        mentions and near names stay as they are. The next call that uses the name makes a new entity; one with
        ``similarity=`` may make it an alias of this one again.

        Returns: the entity.
        Raises: NotFound, also where it is no alias of this entity; ValueError: it is the name by which the entity is
            shown, which ``update_entity`` changes.
        """
        key = self._alias_key(alias)
        return await self._core.writable_store.remove_alias(self._scope, id_of(entity), key)

    def _alias_key(self, alias: str) -> str:
        return self._core.drafter().name("alias", alias).key

    @observed("update_memory")
    async def merge(self, keep: Entity, duplicate: Entity) -> Entity:
        """Merge two entities into one, and return it.

        Aliases, facts and mentions of ``duplicate`` move to ``keep``, and its id goes on resolving. Of facts that
        become equal one stays, with the evidence of both, and the other is closed. A fact between the entity and itself
        that arises is closed too. To merge the same two again changes nothing.

        Raises:
            NotFound: one of them is not of this namespace, or was forgotten.
            ValueError: an entity with itself, or in a circle.
        """
        return await self._core.writable_store.merge(self._scope, id_of(keep), id_of(duplicate))
