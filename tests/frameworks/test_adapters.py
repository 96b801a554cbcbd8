"""What holds of every adapter, whether its framework is installed or not."""

from __future__ import annotations

import pytest

from tests.support.scripts import run_script

EXTRAS = {
    "agent_framework": ("agent-framework", "agent_framework"),
    "claude_agent": ("claude", "claude_agent_sdk"),
    "google_adk": ("adk", "google"),
    "langgraph": ("langgraph", "langgraph"),
    "llama_index": ("llama-index", "llama_index"),
    "openai_agents": ("openai", "agents"),
    "pydantic_ai": ("pydantic-ai", "pydantic_ai"),
}


@pytest.mark.parametrize("name", EXTRAS)
def test_an_adapter_without_its_framework_is_an_import_error_that_names_the_extra(name: str) -> None:
    extra, framework = EXTRAS[name]
    run_script(
        """
        import importlib, sys
        name, extra, framework = sys.argv[1:]
        sys.modules[framework] = None  # as if it were not installed
        try:
            importlib.import_module(f"aiomemdb.integrations.{name}")
        except ImportError as error:
            assert f"pip install 'aiomemdb[{extra}]'" in str(error), error
        else:
            raise AssertionError("it was imported")
        """,
        name,
        extra,
        framework,
    ).assert_ok()


def test_no_framework_is_imported_before_its_adapter_is() -> None:
    run_script(
        """
        import sys
        import aiomemdb.integrations
        from aiomemdb import *
        assert not sys.modules.keys() & set(sys.argv[1:])
        """,
        *[framework for _, framework in EXTRAS.values()],
    ).assert_ok()
