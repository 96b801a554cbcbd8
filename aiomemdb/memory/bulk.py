"""Values of the verbs that load and move many things at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from .values import NameLike, Statement

__all__ = ["Document", "Exported", "ExportedPages", "Imported", "Loaded", "NotLoaded", "Progress"]

#: ``progress(done, total)``, called on the loop; ``total`` is None where it is not known.
Progress: TypeAlias = Callable[[int, int | None], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text with its facts, for ``remember_many``; the fields are the parameters of ``remember``."""

    content: str
    facts: Sequence[Statement | tuple[NameLike, str, NameLike]] = ()
    mentions: Sequence[NameLike] = ()
    key: str | None = None
    session: str | None = None
    seq: int | None = None
    source: str | None = None
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    replace: bool = False


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """A document that ``remember_many`` could not store, and why. Nothing of it was written."""

    place: int
    """Which of the documents it was, counted from 1."""
    document: Document
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What ``remember_many`` did."""

    stored: int = 0
    """Documents that were new, or a new version of their key."""
    known: int = 0
    """Documents that were there under their key; facts and mentions that they did not have were added."""
    failed: tuple[NotLoaded, ...] = ()
    """With ``on_error="collect"``: the others, in the order in which they were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What ``export`` wrote."""

    entities: int
    episodes: int
    facts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What ``import_`` read, and what of it was new here."""

    rows: int
    """Entities, texts and facts, evidence and lines of the audit of the source."""
    new: int
    """Entities, texts and facts that were made; the others were here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedPages:
    """What ``export_markdown`` did."""

    pages: int
    """How many there are."""
    written: int
    """Those that were new, or other ones before."""
    removed: int
    """Those of entities that are no more."""
