"""``aiomemdb:///file.db`` in ADK's registry of services."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import WeakValueDictionary

from google.adk.cli.service_registry import get_service_registry

from ...engines import connect
from .memory import AiomemdbMemoryService
from .opening import Opening
from .sessions import AiomemdbSessionService

__all__ = ["register"]

_OPTIONS = {"durability": str, "lock_timeout": float, "max_hold": float, "max_value_bytes": int, "readers": int}

_openings: WeakValueDictionary[str, Opening] = WeakValueDictionary()


def register() -> None:
    """Make ADK take ``aiomemdb:///file.db`` for sessions and memory: ``adk web --session_service_uri=aiomemdb:///a.db``.

    Three slashes stand before a relative path, four before an absolute one. Options of ``aiomemdb.connect`` may follow:
    ``aiomemdb:///a.db?durability=full``; others are an error. The file is opened when the service is first used, and
    all services of one URI share it. Call it in the ``services.py`` of your agents' folder.
    """
    registry = get_service_registry()
    registry.register_session_service("aiomemdb", lambda uri, **given: AiomemdbSessionService(_opening(uri, given)))
    registry.register_memory_service("aiomemdb", lambda uri, **given: AiomemdbMemoryService(_opening(uri, given)))


def _opening(uri: str, given: dict[str, Any]) -> Opening:
    if others := sorted(given.keys() - {"agents_dir"}):
        raise ValueError(f"{uri}: it takes no {', '.join(others)}; options stand in the URI, as ?durability=full")
    opening = _openings.get(uri)
    if opening is None:
        path, options = _parsed(uri)
        connect(path, **options)  # says now what is wrong with an option; it opens nothing
        opening = _openings[uri] = Opening(lambda: connect(path, **options))
    return opening


def _parsed(uri: str) -> tuple[str, dict[str, Any]]:
    parts = urlsplit(uri)
    path = unquote(parts.path)[1:]
    if parts.netloc or not path or parts.fragment:
        raise ValueError(f"{uri}: write aiomemdb:///relative.db or aiomemdb:////absolute.db")
    options: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)):
        if name not in _OPTIONS:
            raise ValueError(f"{uri}: no option {name!r}; there are {', '.join(sorted(_OPTIONS))}")
        try:
            options[name] = _OPTIONS[name](text)
        except ValueError:
            raise ValueError(f"{uri}: {name}={text!r} is no {_OPTIONS[name].__name__}") from None
    return path, options
