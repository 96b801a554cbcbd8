"""The tools of the reference server as it lists them; the licence of these words is beside their file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

__all__ = ["URI", "resource_listing", "tool_listing"]

#: The resource: all of the graph.
URI = "memory://knowledge-graph"


@cache
def _listing() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("server_memory", "listing.json").read_text("utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


def tool_listing() -> Sequence[Mapping[str, Any]]:
    """The nine tools, in the order of the reference server."""
    tools: Sequence[Mapping[str, Any]] = _listing()["tools"]
    return tools


def resource_listing() -> Sequence[Mapping[str, Any]]:
    """The one resource."""
    found: Sequence[Mapping[str, Any]] = _listing()["resources"]
    return found
