"""Tests of an adapter need its framework. Where that is not installed they are left out, and the summary says so.

``make conformance`` runs them in environments that have the frameworks; AIOMEMDB_FRAMEWORKS names those that must be
there: AIOMEMDB_FRAMEWORKS=langgraph.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

# By how the names of its tests begin, what a framework is imported as.
_IMPORTED = {
    "agent_framework": "agent_framework",
    "claude_agent": "claude_agent_sdk",
    "google_adk": "google.adk",
    "langgraph": "langgraph.checkpoint.sqlite",  # ours read the files of its classes
    "llama_index": "llama_index.core",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai",
    "sqlalchemy": "sqlalchemy",
}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is what it is a part of
        return False


_MISSING = sorted(name for name, module in _IMPORTED.items() if not _is_installed(module))
if wanted := {name for name in os.environ.get("AIOMEMDB_FRAMEWORKS", "").split(",") if name} & {*_MISSING}:
    raise pytest.UsageError(f"AIOMEMDB_FRAMEWORKS: {', '.join(sorted(wanted))} not installed")

collect_ignore_glob = [f"test_{name}*.py" for name in _MISSING]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _MISSING:
        terminalreporter.write_line(f"tests left out, as these frameworks are not installed: {', '.join(_MISSING)}")
