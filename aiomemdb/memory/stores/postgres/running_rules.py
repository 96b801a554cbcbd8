"""Where each request of a rule is answered, and how a rule is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple

from ...deciding import parcels, requests
from ...deciding.steps import Request, Steps, follow_async
from . import applying, embeddings, forgetting, loading, reading, restoring
from .world import World

__all__ = ["run"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_ANSWERS: dict[type[Request[Any]], Callable[[World, Any], Awaitable[Any]]] = {
    requests.Beginning: loading.load_state,
    requests.Texts: loading.load_texts,
    requests.Names: loading.load_names,
    requests.NamesOf: loading.load_names_of,
    requests.NewerNames: loading.load_newer,
    requests.FactsSaid: loading.load_facts,
    requests.OneFact: loading.load_one_fact,
    requests.FactsOf: loading.load_facts_of,
    requests.Versions: forgetting.load_versions,
    requests.FactsOnlyBy: forgetting.load_facts_only_by,
    requests.FactsAlike: loading.load_facts_alike,
    requests.FactsWith: forgetting.load_facts_with,
    requests.Embeddable: embeddings.load_embeddable,
    requests.Lacking: embeddings.load_lacking,
    requests.EmbeddedNames: embeddings.load_embedded_names,
    requests.CountEntities: embeddings.count_entities,
    requests.EntitiesOf: reading.entities_of,
    requests.FactsWhere: reading.facts_where,
    requests.LinksOf: reading.links_of,
    requests.Hide: forgetting.hide,
    requests.HideNamespace: forgetting.hide_namespace,
    parcels.TextsLike: restoring.texts_like,
    parcels.FactsLike: restoring.facts_like,
    parcels.EvidenceThere: restoring.evidence_there,
    parcels.MergedLike: restoring.merged_like,
    parcels.LinesThere: restoring.lines_there,
    requests.Changes: applying.write_changes,
}


async def run(world: World, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
    """Run a rule to its end, and return what it returns; its requests are answered one after another."""
    return await follow_async(rule(*args), _ANSWERS, world)
