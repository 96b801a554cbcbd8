"""The suites of other projects that aiomemdb's shapes and adapters must pass, as a table: add yours here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["SUITES", "Suite"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One suite, run in an environment of its own. Its pins decide which.

    The suite's own tests are never changed, and never kept here: a plugin rebinds what they test.

    Attributes:
        name: for the table, and for ``--only``.
        packages: what is installed beside aiomemdb's own dependencies: each ``NAME==VERSION``, so that a release can't
            change the outcome.
        sources: sdists to fetch and unpack, each ``NAME==VERSION``; their folders are ``{NAME}`` in ``tests``.
        tests: pytest's arguments: what to collect, and options. ``{here}`` is this folder.
        path: folders from which its tests import, as in ``tests``.
        plugin: of ``conformance/plugins``; it rebinds what is tested to ours, unless ``AIOMEMDB_STOCK`` is set.
        passed: at least so many tests must pass.
        skipped: exactly so many skip; None: any number may.
        failing: the tests that can't pass, each with the reason; the end of a test's id, ``*`` stands for any text. One
            of them that passes is to be taken out.
        stock_failing: what fails with the project's own class in the same set-up, for ``--stock``; as ``failing``.
        at_each_merge: CI runs it before each merge; the others run by hand, and at night.
    """

    name: str
    packages: tuple[str, ...]
    tests: tuple[str, ...]
    plugin: str
    passed: int
    sources: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    skipped: int | None = None
    failing: Mapping[str, str] = field(default_factory=dict)
    stock_failing: Mapping[str, str] = field(default_factory=dict)
    at_each_merge: bool = True


_ATTACH = "needs ATTACH: test_schema is another file"
_DRIVERS = "asks for the driver by its name, of a list that the test holds"
_PYTEST = ("pytest==9.2.0", "pytest-timeout==2.4.0")
_OUR_TESTS = ("hypothesis==6.170.17", "pytest-asyncio==1.5.0", *_PYTEST)
_OUR_CONFIG = ("--config-file={here}/../pyproject.toml", "--rootdir={here}/..")
_OF_EXAMPLES = ("alembic==1.20.1", "fastapi==0.165.0", "httpx==0.28.1", "sqlmodel==0.0.50")
_LANGGRAPH = (
    "langgraph==1.2.24",
    "langgraph-checkpoint==4.3.2",
    "langgraph-checkpoint-conformance==0.0.2",
    "langgraph-checkpoint-sqlite==3.1.2",
    "numpy>=2.0,<3",
    "pytest-mock==3.17.0",
    "pytest-retry==1.7.0",
    *_OUR_TESTS,
)
_OF_LANGGRAPH_S_OWN = "{langgraph-checkpoint-sqlite}/tests"
_OPENAI_AGENTS = ("openai-agents==0.24.0", *_OUR_TESTS)
_CLAUDE_AGENT = ("claude-agent-sdk==0.2.189", *_OUR_TESTS)
_GOOGLE_ADK = ("google-adk==2.13.0", *_OUR_TESTS)
_PYDANTIC_AI = ("pydantic-ai-slim==2.68.0", *_OUR_TESTS)
_AGENT_FRAMEWORK = ("agent-framework-core==1.23.0", *_OUR_TESTS)
_LLAMA_INDEX = ("llama-index-core==0.14.25", *_OUR_TESTS)

_USE_AIOSQLITE = (
    "::test_async_sqlite_session_pop_item_skips_corrupt_most_recent",
    "::test_async_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows",
    "::test_async_sqlite_session_get_items_limit_skips_corrupt_newest_rows",
    "::test_async_sqlite_session_get_items_same_timestamp_consistent_order",
    "::test_async_sqlite_session_pop_item_same_timestamp_returns_latest",
    "::test_cancelled_close_finishes_cleanup_and_propagates_cancellation*",
    "::test_post_commit_cancellation_propagates_after_known_mutation_outcome*",
    "::test_failed_add_items_rolls_back_and_reuses_connection*",
    "::test_failed_clear_session_rolls_back*",
    "::test_failed_pop_item_releases_write_lock*",
    "::test_failed_initialization_closes_candidate_connection*",
    "::test_initialization_retries_transient_wal_lock*",
    "::test_initialization_does_not_retry_unrecoverable_wal_errors*",
    "::test_cancelled_wal_retry_closes_startup_connection*",
    "::test_cancelled_add_items_rolls_back_write_transaction*",
    "::test_operation_failure_then_cancellation_during_rollback*",
    "::test_rollback_failure_closes_and_evicts_connection*",
    "::test_close_retries_connection_quarantined_after_rollback_failure*",
    "::test_close_retries_quarantined_failed_initialization_candidate*",
    "::test_cancelled_initialization_finishes_candidate_close*",
    "::test_initialization_failure_then_cancellation_during_candidate_close*",
    "::test_cancelled_connect_closes_eventually_acquired_connection*",
)
_USE_SQLITE3 = (
    "::test_sqlite_session_close_closes_worker_thread_connections*",
    "::test_sqlite_session_reaps_connections_from_exited_worker_threads*",
    "::test_sqlite_session_closes_retired_connections_before_the_next_allocation*",
    "::test_sqlite_session_keeps_connections_of_live_worker_threads*",
    "::test_sqlite_session_pop_item_skips_corrupt_most_recent*",
    "::test_sqlite_session_pop_item_returns_none_after_dropping_only_corrupt_rows*",
    "::test_sqlite_session_get_items_limit_skips_corrupt_newest_rows*",
    "::test_sqlite_session_get_items_session_settings_limit_skips_corrupt_rows*",
    "::test_sqlite_session_file_lock_is_shared_across_instances*",
    "::test_sqlite_session_failed_add_items_releases_write_lock*",
    "::test_sqlite_session_failed_clear_session_rolls_back*",
    "::test_sqlite_session_failed_pop_item_releases_write_lock*",
    "::test_sqlite_session_rollback_failure_evicts_connection*",
    "::test_sqlite_session_close_retries_quarantined_connection*",
    "::test_sqlite_session_post_commit_cancellation_propagates_after_known_outcome*",
)

_WANTS_TEST_SCHEMA = (
    "::test_check_constraint_*[[]True-*",
    "::test_check_constraint_*[[]True]",
    "::test_metadata[[]*-True]",
)

SUITES: tuple[Suite, ...] = (
    Suite(
        name="aiosqlite",
        packages=("aiosqlite==0.22.1", *_PYTEST),
        sources=("aiosqlite==0.22.1",),
        tests=("{aiosqlite}/aiosqlite/tests/smoke.py",),
        plugin="aiosqlite_shape",
        passed=27,  # and one that skips where Python can load no extensions
        failing={
            "::test_connect_base_exception": "makes a Connection of its own, and looks at its thread",
            "::test_close_blocking_until_transaction_queue_empty": "looks into the queue of the connection's thread",
        },
    ),
    *(
        Suite(
            name=f"sqlalchemy-{version[:3]}",
            packages=(f"sqlalchemy=={version}", "greenlet==3.5.6", *_PYTEST),
            sources=(f"sqlalchemy=={version}",),
            path=("{sqlalchemy}",),  # of its own tests, test/requirements.py says what SQLite can do
            tests=("--config-file={here}/sqlalchemy_suite/setup.cfg", "{here}/sqlalchemy_suite/test_suite.py"),
            plugin="sqlalchemy_dialect",
            passed=passed,
            failing={
                **dict.fromkeys(_WANTS_TEST_SCHEMA, _ATTACH),
                "ServerSideCursorsTest_*::test_conn_option": _DRIVERS,
                "ServerSideCursorsTest_*::test_ss_cursor_status[[]*": _DRIVERS,
            },
            stock_failing=dict.fromkeys(_WANTS_TEST_SCHEMA, _ATTACH),
        )
        for version, passed in (("2.1.9", 1261), ("2.0.58", 1052))
    ),
    *(
        Suite(
            name=f"our-sqlalchemy-{version}",
            packages=(f"sqlalchemy=={version}", "greenlet==3.5.6", "opentelemetry-sdk==1.45.2", *packages, *_OUR_TESTS),
            tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "sqlalchemy"),
            plugin="own_tests",
            passed=passed,
        )
        for version, packages, passed in (
            ("2.1.9", (), 81),
            ("2.0.45", _OF_EXAMPLES, 84),  # the oldest; SQLModel does not know 2.1
        )
    ),
    Suite(
        name="openai-agents",
        packages=_OPENAI_AGENTS,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "openai_agents"),
        plugin="own_tests",
        passed=28,
        skipped=0,
        at_each_merge=False,  # a minute, on an idle machine
    ),
    Suite(
        name="openai-agents-sessions",
        packages=_OPENAI_AGENTS,
        sources=("openai-agents==0.24.0",),
        tests=(
            "--timeout=20",  # for those that wait for what a connection of the SDK's would do
            "{openai-agents}/tests/extensions/memory/test_async_sqlite_session.py",
            "{openai-agents}/tests/memory/test_session.py",
            "{openai-agents}/tests/memory/test_session_limit.py",
        ),
        plugin="openai_sessions",
        passed=73,
        failing={
            **dict.fromkeys(_USE_AIOSQLITE, "uses or replaces the session's aiosqlite connection"),
            **dict.fromkeys(_USE_SQLITE3, "uses or replaces the session's sqlite3 connections, their lock, or sqlite3"),
        },
    ),
    Suite(
        name="claude-agent",
        packages=_CLAUDE_AGENT,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "claude_agent"),
        plugin="own_tests",
        passed=30,
        skipped=0,
    ),
    Suite(
        name="google-adk",
        packages=_GOOGLE_ADK,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "google_adk"),
        plugin="own_tests",
        passed=49,
        skipped=0,
        at_each_merge=False,  # a minute, on an idle machine
    ),
    Suite(
        name="pydantic-ai",
        packages=_PYDANTIC_AI,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "pydantic_ai"),
        plugin="own_tests",
        passed=21,
        skipped=0,
        at_each_merge=False,  # a minute, on an idle machine
    ),
    Suite(
        name="agent-framework",
        packages=_AGENT_FRAMEWORK,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "agent_framework"),
        plugin="own_tests",
        passed=33,
        skipped=0,
        at_each_merge=False,  # a minute, on an idle machine
    ),
    Suite(
        name="llama-index",
        packages=_LLAMA_INDEX,
        # SQLAlchemy comes along with LlamaIndex; what its own tests need does not.
        tests=(
            *_OUR_CONFIG,
            "{here}/../tests/frameworks",
            "--ignore-glob={here}/../tests/frameworks/test_sqlalchemy*",
            "-k",
            "llama_index",
        ),
        plugin="own_tests",
        passed=29,
        skipped=0,
        at_each_merge=False,  # a minute, on an idle machine
    ),
    Suite(
        name="langgraph",
        packages=_LANGGRAPH,
        tests=(*_OUR_CONFIG, "{here}/../tests/frameworks", "-k", "langgraph"),
        plugin="own_tests",
        passed=176,
        skipped=0,
    ),
    Suite(
        name="langgraph-conformance",
        packages=_LANGGRAPH,
        tests=("--config-file={here}/langgraph_suite/pytest.ini", "{here}/langgraph_suite"),
        plugin="langgraph_classes",
        passed=9,  # eight capabilities, and that these are all
    ),
    Suite(
        name="langgraph-sqlite",
        packages=_LANGGRAPH,
        sources=("langgraph-checkpoint-sqlite==3.1.2",),
        # Its other files test the classes for threads, which ours does not stand for.
        tests=(
            f"{_OF_LANGGRAPH_S_OWN}/test_aiosqlite.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_async_store.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_conformance_delta.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_delta_channel_migration.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_delta_parent_walk.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_get_delta_channel_history.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_ttl.py",
            f"{_OF_LANGGRAPH_S_OWN}/test_writes_task_path_migration.py",
        ),
        plugin="langgraph_classes",
        passed=78,
        failing={
            "::test_delta_channel_conformance": "asks for a capability that conformance 0.0.2 does not know",
            "::test_async_setup_does_not_wait_on_another_writer": "hands the class an aiosqlite connection of its own",
            "::test_async_read_only_legacy_database_still_reads_delta_history": "the same",
        },
        stock_failing={
            "::test_delta_channel_conformance": "asks for a capability that conformance 0.0.2 does not know",
        },
    ),
    Suite(
        name="langgraph-engine",
        packages=(
            *_LANGGRAPH,
            "langgraph-checkpoint-postgres==3.2.0",
            "psycopg[binary]==3.3.9",
            "psycopg-pool==3.3.3",
            "pycryptodome==4.4.0",
            "redis==8.1.0",
            "syrupy==7.0.2",
        ),
        sources=("langgraph==1.2.24",),
        tests=("{langgraph}/tests", "-k", "sqlite_aio"),
        plugin="langgraph_classes",
        passed=262,
        at_each_merge=False,  # one to three minutes
    ),
)
