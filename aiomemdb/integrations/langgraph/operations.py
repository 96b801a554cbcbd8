"""A store's operations: checked at the call, made steps of a job, and their results made LangGraph's. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, cast

import orjson
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    get_text_at_path,
    tokenize_path,
    validate_op_namespace,
)

from .._checks import checked_count, checked_text
from .filters import check_filter
from .items import Delete, Get, Namespaces, Put, Search, Step
from .rows import Row
from .scores import Distance

__all__ = ["Fields", "Planner", "check", "paths_of", "result_of", "texts_of"]

#: The paths of fields, and what LangGraph makes of them.
Fields = list[tuple[str, Any]]

_LONGEST = 1000 * 365.25 * 24 * 60  # minutes


def check(op: Op) -> None:
    """Raises: InvalidNamespaceError, ValueError, TypeError: this can't be run; the message names what is wrong."""
    if not isinstance(op, GetOp | PutOp | SearchOp | ListNamespacesOp):
        raise TypeError(f"{op!r} is not an operation of a store")
    for namespace in _namespaces(op):
        if isinstance(namespace, str):
            raise TypeError(f"namespace={namespace!r}: a tuple of labels, not one")
    validate_op_namespace(op)
    for label in chain.from_iterable(_namespaces(op)):
        checked_text("a namespace's label", label)
    if isinstance(op, PutOp):
        if not op.namespace:
            raise InvalidNamespaceError("Namespace cannot be empty.")
        if op.value is not None and not isinstance(op.value, Mapping):
            raise TypeError(f"the value of {op.key!r} is a {type(op.value).__name__}, and must be a mapping")
        if op.ttl is not None and not (isinstance(op.ttl, int | float) and 0 <= op.ttl <= _LONGEST):
            raise ValueError(f"ttl={op.ttl!r} of {op.key!r}: minutes from 0 to {_LONGEST:.0f}, or None")
    elif isinstance(op, SearchOp | ListNamespacesOp):
        checked_count("limit", op.limit)
        checked_count("offset", op.offset)
        if isinstance(op, SearchOp):
            check_filter(op.filter or {})
        elif op.max_depth is not None:
            checked_count("max_depth", op.max_depth)


def _namespaces(op: Any) -> list[Iterable[str]]:
    if isinstance(op, SearchOp):
        return [op.namespace_prefix]
    if isinstance(op, ListNamespacesOp):
        return [condition.path for condition in op.match_conditions or ()]
    return [op.namespace]


def paths_of(fields: Sequence[str]) -> Fields:
    return [(path, "$" if path == "$" else tokenize_path(path)) for path in fields]


def texts_of(op: Op, fields: Fields) -> dict[str, str]:
    """Of what is put and compared by meaning, its texts by the names of their fields."""
    if not isinstance(op, PutOp) or op.value is None or op.index is False:
        return {}
    named: dict[str, str] = {}
    for path, parts in fields if op.index is None else paths_of(op.index):
        texts = get_text_at_path(op.value, parts)
        named.update({f"{path}.{place}" if len(texts) > 1 else path: text for place, text in enumerate(texts)})
    return named


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes the steps of one job.

    Args:
        ttl: the store's.
        distance: how vectors are compared; None: there are none, and a query is compared by words.
        vectors: of the texts of what is put, and then of the queries, in their order.
        now: the time of the job.
    """

    ttl: TTLConfig | None
    distance: Distance | None
    vectors: Iterator[list[float]]
    queries: Iterator[list[float]]
    now: datetime

    def step(self, op: Op, names: Iterable[str]) -> Step:
        """What an operation does. ``names`` are of the fields that are compared by meaning."""
        live = bool(self.ttl and self.ttl.get("omit_expired"))
        if isinstance(op, PutOp):
            return self._put(op, names)
        if isinstance(op, GetOp):
            return Get(*_key(op), live, self._refreshes(op))
        if isinstance(op, SearchOp):
            by_meaning = op.query and self.distance is not None
            return Search(
                _joined(op.namespace_prefix),
                op.filter or {},
                op.limit,
                op.offset,
                live,
                self._refreshes(op),
                loads=_loads,
                text="" if by_meaning else op.query or "",
                vector=next(self.queries) if by_meaning else None,
                distance=self.distance or "cosine",
            )
        conditions = cast(Sequence[MatchCondition], op.match_conditions or ())
        paths = [one.path for one in conditions if one.match_type == "prefix" and "*" not in one.path]
        return Namespaces([_joined(path) for path in paths], live)

    def _put(self, op: PutOp, names: Iterable[str]) -> Put | Delete:
        if op.value is None:
            return Delete(*_key(op))
        expires = None if op.ttl is None else _stamp(self.now + timedelta(minutes=op.ttl))
        packed = [(name, array("f", next(self.vectors)).tobytes()) for name in names]
        return Put(*_key(op), _dumps(op), _stamp(self.now), expires, op.ttl, packed)

    def _refreshes(self, op: GetOp | SearchOp) -> bool:
        return self.ttl is not None and bool(op.refresh_ttl)


def result_of(op: Op, found: Any) -> Result:
    """What a step returned, as LangGraph has it."""
    if isinstance(op, PutOp):
        return None
    if isinstance(op, GetOp):
        return _item(Item, found[0]) if found else None
    if isinstance(op, SearchOp):
        return [_item(SearchItem, row, score=row.score) for row in found]
    conditions = op.match_conditions or ()
    namespaces = (tuple(prefix.split(".")) for prefix in found)
    matching = {ns[: op.max_depth] for ns in namespaces if all(_matches(one, ns) for one in conditions)}
    return sorted(matching)[op.offset : op.offset + op.limit]


def _item(kind: type[Any], row: Row, **more: Any) -> Any:
    return kind(
        value=row.value if isinstance(row.value, dict) else _loads(row.value),
        key=row.key,
        namespace=tuple(row.prefix.split(".")),
        created_at=_time(row.created_at),
        updated_at=_time(row.updated_at),
        **more,
    )


def _matches(condition: MatchCondition, namespace: tuple[str, ...]) -> bool:
    size = len(condition.path)
    part = namespace[:size] if condition.match_type == "prefix" else namespace[-size:]
    return len(part) == size and all(wanted in ("*", label) for label, wanted in zip(part, condition.path, strict=True))


def _key(op: GetOp | PutOp) -> tuple[str, str]:
    return _joined(op.namespace), checked_text("key", op.key)


def _joined(namespace: Iterable[str]) -> str:
    return ".".join(namespace)


def _dumps(op: PutOp) -> str:
    try:
        return bytes(orjson.dumps(dict(op.value))).decode()
    except TypeError as error:
        error.add_note(f"in the value of {op.key!r}")
        raise


def _loads(value: str | bytes) -> dict[str, Any]:
    return cast(dict[str, Any], orjson.loads(value))


def _stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
