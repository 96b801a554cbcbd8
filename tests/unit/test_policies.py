"""What each policy allows, in one table: the authorizer's actions, and what is refused without it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

import pytest

from aiomemdb.sqlite.common.options import PRAGMAS
from aiomemdb.sqlite.connection.policies import JOB, PREPARE, READER, Policy

POLICIES = {"job": JOB, "reader": READER, "prepare": PREPARE}
WHERE = {"job": "inside a job", "reader": "inside a job", "prepare": "in connect(prepare=...)"}


class Case(NamedTuple):
    """What the authorizer is asked, and how each policy's refusal names it (None: it is allowed)."""

    asked: tuple[int, str | None, str | None, str | None]
    job: str | None = None
    reader: str | None = None
    prepare: str | None = None


def both(asked: tuple[int, str | None, str | None, str | None], refused: str, prepare: str | None) -> Case:
    return Case(asked, refused, refused, prepare)


def of(*names: str) -> list[int]:
    return [getattr(sqlite3, f"SQLITE_{name}") for name in names]


# As SQLite asks of them: https://www.sqlite.org/c3ref/c_alter_table.html
CREATE = of(
    *("CREATE_INDEX", "CREATE_TABLE", "CREATE_TEMP_INDEX", "CREATE_TEMP_TABLE", "CREATE_TEMP_TRIGGER"),
    *("CREATE_TEMP_VIEW", "CREATE_TRIGGER", "CREATE_VIEW", "CREATE_VTABLE"),
)
DROP = of(
    *("DROP_INDEX", "DROP_TABLE", "DROP_TEMP_INDEX", "DROP_TEMP_TABLE", "DROP_TEMP_TRIGGER"),
    *("DROP_TEMP_VIEW", "DROP_TRIGGER", "DROP_VIEW", "DROP_VTABLE"),
)
ROWS = of("DELETE", "INSERT", "UPDATE")
READING = of("READ", "SELECT", "RECURSIVE")
PRAGMA, TRANSACTION, SAVEPOINT, ATTACH, DETACH, FUNCTION, ALTER, REINDEX, ANALYZE = of(
    *("PRAGMA", "TRANSACTION", "SAVEPOINT", "ATTACH", "DETACH", "FUNCTION", "ALTER_TABLE", "REINDEX", "ANALYZE")
)

CASES = [
    *[Case((action, "t", "x", "main")) for action in READING],
    *[Case((action, "t", None, "main"), prepare="writing t") for action in ROWS],
    *[Case((action, "t", None, "temp")) for action in ROWS],
    *[Case((action, "sqlite_master", None, "main")) for action in ROWS],  # behind json_each()
    *[Case((action, "t", "u", "main"), prepare="changing t") for action in [*CREATE, *DROP, REINDEX, ANALYZE]],
    *[Case((action, "t", "u", "temp")) for action in [*CREATE, *DROP, REINDEX, ANALYZE]],
    Case((ALTER, "main", "t", None), prepare="changing t"),
    Case((ALTER, "temp", "t", None)),
    *[both((TRANSACTION, verb, None, None), verb, verb) for verb in ("BEGIN", "COMMIT", "ROLLBACK")],
    *[
        both((SAVEPOINT, verb, name, None), f"SAVEPOINT {name}", f"SAVEPOINT {name}")
        for verb in ("BEGIN", "RELEASE", "ROLLBACK")
        for name in ("s", "aiomemdb")
    ],
    both((ATTACH, "a.db", None, None), "ATTACH or VACUUM", "ATTACH 'a.db'"),
    both((ATTACH, None, None, None), "ATTACH or VACUUM", "ATTACH None"),  # of a parameter
    both((DETACH, "other", None, None), "DETACH other", "DETACH 'other'"),
    Case((FUNCTION, None, "abs", None)),
    both((FUNCTION, None, "load_extension", None), "load_extension()", None),
]


def pragma(name: str, value: str | None, *, job: bool, prepare: bool) -> Case:
    refused = f"PRAGMA {name}"
    of_job = None if job else refused
    return Case((PRAGMA, name, value, None), of_job, of_job, None if prepare else refused)


LISTING = [
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "foreign_key_check",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "module_list",
    "page_count",
    "pragma_list",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
]
STORED = {"application_id", "auto_vacuum", "encoding", "page_size", "schema_version", "user_version"}
OTHERS_RELY_ON = [
    "busy_timeout",
    "defer_foreign_keys",
    "hard_heap_limit",
    "incremental_vacuum",
    "journal_mode",
    "locking_mode",
    "optimize",
    "query_only",
    "shrink_memory",
    "synchronous",
    "temp_store_directory",
    "wal_autocheckpoint",
    "wal_checkpoint",
    "writable_schema",
]

PRAGMA_CASES = [
    *[pragma(name, value, job=True, prepare=True) for name in LISTING for value in (None, "t")],
    *[pragma(name, value, job=False, prepare=False) for name in OTHERS_RELY_ON for value in (None, "1")],
    *[
        pragma(name, value, job=False, prepare=True)
        for name in sorted(PRAGMAS - STORED - {"max_page_count"})
        for value in (None, "1")
    ],
    *[pragma(name, None, job=name != "auto_vacuum", prepare=True) for name in sorted(STORED)],
    *[pragma(name, "1", job=name in ("application_id", "user_version"), prepare=False) for name in sorted(STORED)],
    pragma("max_page_count", None, job=True, prepare=True),
    pragma("max_page_count", "1", job=False, prepare=True),
    pragma("Table_Info", "t", job=True, prepare=True),
    pragma("Query_Only", "0", job=False, prepare=False),
    pragma("one_of_tomorrow", None, job=False, prepare=False),
]


def test_every_action_that_sqlite_knows_is_in_the_table() -> None:
    codes = {getattr(sqlite3, name) for name in vars(sqlite3) if name.startswith("SQLITE_")}
    assert {case.asked[0] for case in CASES} | {PRAGMA} == {*range(1, 34)} <= codes


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("case", CASES + PRAGMA_CASES, ids=lambda case: "-".join(map(str, case.asked)))
def test_a_policy_allows_what_its_table_says_and_names_what_it_refuses(name: str, case: Case) -> None:
    refusal, refused = POLICIES[name].refusal(*case.asked, None), getattr(case, name)
    if refused is None:
        assert refusal is None
    else:
        assert refusal is not None and refusal.startswith(f"{refused} is not allowed {WHERE[name]}: ")


OF_JOBS = [
    "VACUUM",
    "commit()",
    "rollback()",
    "executescript()",
    "'with connection'",
    "backup()",
    "close()",
    "interrupt()",
    "set_authorizer()",
    "setlimit()",
    "set_progress_handler()",
    "set_trace_callback()",
    "enable_load_extension()",
    "load_extension()",
    "setconfig()",
    "isolation_level",
    "autocommit",
    "deserialize()",
]
OF_PREPARE = ["set_authorizer()", "blobopen() for writing", "setconfig() of what unlocks the schema"]


@pytest.mark.parametrize(("name", "refused"), [("job", OF_JOBS), ("reader", OF_JOBS), ("prepare", OF_PREPARE)])
def test_a_policy_refuses_these_calls_and_no_others(name: str, refused: list[str]) -> None:
    policy: Policy = POLICIES[name]
    for call in {*OF_JOBS, *OF_PREPARE, "total_changes"}:
        refusal = policy.refusal_of_call(call)
        if call in refused:
            assert refusal is not None and refusal.startswith(f"{call} is not allowed {WHERE[name]}: ")
        else:
            assert refusal is None
    assert set(policy.calls) == set(refused)
