"""Calls of the nine tools at random, without what the two servers answer differently by intention."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

__all__ = ["Call", "calls"]

Call = tuple[str, dict[str, Any]]

# Few of each, so that calls meet; some that differ by case, spaces or a normal form alone; some that other tongues
# write in other ways.
NAMES = (
    "Ada", "ada", "ADA", " Ada", "Ada ", "A  da", "Zoë", "Zoe\u0308", "İstanbul", "ΣΊΣΥΦΟΣ", "straße", "STRASSE",
    "__proto__", "constructor", "a/b\\c\"d", "a\u2028b", "😀", "名", "ﬁn", "K", "\u212a", "x\ty", "line\nbreak",
)  # fmt: skip
TYPES = ("person", "Person", "place", "", "人", "t\u0301ype")
TEXTS = (
    "likes tea",
    "Likes Tea",
    "",
    " ",
    "tea ",
    "naïve",
    "nai\u0308ve",
    "42",
    "true",
    "null",
    '{"a": 1}',
    "İ",
    "\x01\x7f",
)
KINDS = ("knows", "KNOWS", "knows ", "is near", "is  near", "observation", "名")

_names, _types, _texts, _kinds = (st.sampled_from(values) for values in (NAMES, TYPES, TEXTS, KINDS))


def _several(
    one: st.SearchStrategy[Any], key: Any = None, most: int = 3, least: int = 0
) -> st.SearchStrategy[list[Any]]:
    """A list in which nothing comes twice: of what does, the two servers differ by intention."""
    return st.lists(one, max_size=most, min_size=least, unique_by=key or (lambda item: item))


_entity = st.fixed_dictionaries({"name": _names, "entityType": _types, "observations": _several(_texts)})
_relation = st.fixed_dictionaries({"from": _names, "to": _names, "relationType": _kinds})
_addition = st.fixed_dictionaries({"entityName": _names, "contents": _several(_texts)})
_deletion = st.fixed_dictionaries({"entityName": _names, "observations": _several(_texts)})
_query = st.sampled_from(
    ("", "a", "ADA", "tea", "TEA", "PERSON", "σ", "ς", "i", "İ", "k", "ß", "ss", "é", "e\u0308", "4", "\n")
)


def _triple(relation: dict[str, str]) -> tuple[str, ...]:
    return relation["from"], relation["to"], relation["relationType"]


def _call(tool: str, **asked: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.tuples(st.just(tool), st.fixed_dictionaries(asked))


_calls: st.SearchStrategy[Call] = st.one_of(
    _call("create_entities", entities=_several(_entity, lambda entity: entity["name"])),
    _call("create_entities", entities=_several(_entity, lambda entity: entity["name"], most=6, least=3)),
    _call("create_relations", relations=_several(_relation, _triple)),
    _call("add_observations", observations=st.lists(_addition, max_size=3)),
    _call("delete_entities", entityNames=st.lists(_names, max_size=2)),
    _call("delete_observations", deletions=st.lists(_deletion, max_size=2)),
    _call("delete_relations", relations=st.lists(_relation, max_size=2)),
    _call("read_graph"),
    _call("search_nodes", query=_query),
    _call("open_nodes", names=st.lists(_names, max_size=3)),
)

#: A sequence of calls, which ends with one that shows all.
calls: st.SearchStrategy[list[Call]] = st.lists(_calls, min_size=3, max_size=14).map(
    lambda several: [*several, ("read_graph", {})]
)
