"""The walls of ``agent_read``, each by itself: the policy, the shape of a text, the program of a query."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from aiomemdb.sqlite.agents import heap
from aiomemdb.sqlite.agents.advice import explain
from aiomemdb.sqlite.agents.policy import FUNCTIONS, agent_policy
from aiomemdb.sqlite.agents.program import MOST_MEMORY, OneTooMany, gathered, largest_value
from aiomemdb.sqlite.agents.shape import shape_of
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.writing.bytecode import Op

READ, SELECT, RECURSIVE, FUNCTION, PRAGMA = 20, 21, 33, 31, 19
STRICT = agent_policy(lambda table, *_: table == "note", FUNCTIONS, inner_tables=None)
RUNNING = agent_policy(lambda table, *_: table == "note", FUNCTIONS, inner_tables={"page_data"})


@pytest.mark.parametrize("policy", [STRICT, RUNNING])
def test_every_action_that_is_not_listed_is_refused(policy: Any) -> None:
    for action in {*range(200)} - {READ, SELECT, RECURSIVE, FUNCTION, PRAGMA}:
        assert policy.refusal(action, "note", "a", "main", None) is not None
        assert policy.refusal(action, "note", "a", "temp", "note") is not None


@pytest.mark.parametrize("policy", [STRICT, RUNNING])
def test_a_policy_allows_tables_functions_and_json(policy: Any) -> None:
    assert policy.refusal(SELECT, None, None, None, None) is None
    assert policy.refusal(RECURSIVE, None, None, None, None) is None
    assert policy.refusal(READ, "Note", "a", "main", None) is None
    assert policy.refusal(READ, "json_each", "value", "main", None) is None
    assert policy.refusal(FUNCTION, None, "upper", None, None) is None
    assert policy.refusal(READ, "secret", "a", "main", "note") is not None
    assert policy.refusal(FUNCTION, None, "load_extension", None, None) is not None
    assert policy.refusal(PRAGMA, "database_list", None, None, None) is not None
    assert policy.refusal(PRAGMA, "data_version", "1", None, None) is not None


def test_inner_tables_are_read_by_what_runs_alone() -> None:
    asked = [(READ, "page_data", "block", "main", None), (PRAGMA, "data_version", None, "main", None)]
    for each in asked:
        assert STRICT.refusal(*each) is not None
        assert RUNNING.refusal(*each) is None
    assert RUNNING.refusal(READ, "page_data", "block", "temp", None) is not None


def test_no_function_says_anything_of_the_process_the_connection_or_the_file() -> None:
    told = "changes fts3_tokenizer fts5 last_insert_rowid load_extension randomblob sqlite_compileoption_get "
    told += "sqlite_compileoption_used sqlite_offset sqlite_source_id sqlite_version total_changes zeroblob "
    told += "json_patch json_set json_insert json_replace json_remove soundex subtype readfile writefile eval"
    assert not FUNCTIONS.intersection(told.split())


# -- the shape of a text -------------------------------------------------------------------------------------------


def test_tables_that_are_named_twice_in_each_other_double_the_copies() -> None:
    ten = ", ".join(f"c{i} AS (SELECT 1 FROM c{i - 1} a, 'c{i - 1}' b)" for i in range(1, 11))
    assert shape_of(f"WITH c0 AS (SELECT 1), {ten} SELECT * FROM c10").copies > 2**10
    disguised = (
        ten.replace("c3", '"C3"')
        .replace("c4", "[c4]")
        .replace("c5", "`C5`")
        .replace("AS (", "AS/**/NOT MATERIALIZED\n(")
    )
    assert shape_of(f"WITH c0(x) AS (SELECT 1), {disguised} SELECT * FROM c10").copies > 2**9


def test_columns_that_are_used_twice_in_each_other_double_the_expression() -> None:
    sql = "SELECT x FROM t"
    for _ in range(12):
        sql = f"SELECT x + x AS x FROM ({sql})"
    assert shape_of(sql).growth >= 2**12


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a, b FROM t JOIN u ON u.id = t.id WHERE a = 1 AND b IN (1, 2, 3) ORDER BY a, b",
        "WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT t.n, t.n * 2 FROM t",
        "WITH a AS (SELECT * FROM t), b AS (SELECT * FROM a), c AS (SELECT a.x, b.y FROM a JOIN b) SELECT * FROM c, a",
        'SELECT \'FROM a, b, c, d\', "x""y", [a b] FROM `t` -- , , ,\n/* , */',
    ],
)
def test_ordinary_queries_are_small(sql: str) -> None:
    shape = shape_of(sql)
    assert shape.copies < 20 and shape.growth < 50 and shape.joined <= 2 and shape.repeated is None


@pytest.mark.parametrize(
    "sql", ["", "(", ")", "'", '"', "[", "`", "--", "/*", "WITH", "WITH a AS", "AS (SELECT", ") AS ("]
)
def test_a_text_that_is_no_sql_has_a_shape(sql: str) -> None:
    assert shape_of(sql).copies >= 1


def test_two_tables_of_one_name_are_noticed() -> None:
    assert shape_of("WITH a AS (SELECT 1), b AS (WITH A AS (SELECT 2) SELECT * FROM a) SELECT 1").repeated == "a"


def test_tables_of_one_from_are_counted() -> None:
    assert shape_of("SELECT 1 FROM a, b JOIN (c, d) ON f(1, 2) LEFT JOIN e ON 1 WHERE g(1, 2, 3)").joined == 5


@pytest.mark.parametrize("name", ["first", "last", "key", "left", "recursive", "materialized", "over", "filter", "x"])
def test_what_can_be_a_name_is_counted_as_one(name: str) -> None:
    sql = f"SELECT {name} FROM t"
    for _ in range(12):
        sql = f"SELECT {name} + {name} AS {name} FROM ({sql})"
    assert shape_of(sql).growth >= 2**12
    tables = ", ".join(f"c{i} AS (SELECT 1 FROM {name} a, {name} b)" for i in range(4))
    assert shape_of(f"WITH {name} AS (SELECT 1), {tables} SELECT 1 FROM c0, c1, c2, c3").copies >= 12


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (with + with) AS with FROM t",
        "SELECT ((with like (1)) + (with in (1))) FROM t",
        "SELECT with FROM t",
        "WITH with AS (SELECT 1) SELECT * FROM with",
    ],
)
def test_with_is_no_name(sql: str) -> None:
    assert shape_of(sql).repeated == "with"


@pytest.mark.parametrize("hides", ["$a(')", "@a(')", ':a(")', "$a::b(`)", "#1(')"])
def test_nothing_is_hidden_behind_a_variable(hides: str) -> None:
    assert shape_of(f"SELECT {hides}, (SELECT 1 FROM a, b, c), '\"`'").joined == 3


def test_a_byte_order_mark_is_no_part_of_a_name() -> None:
    tables = ", ".join(f"c{i} AS (SELECT 1 FROM \ufeffc{i - 1} a,\ufeffc{i - 1} b)" for i in range(1, 9))
    assert shape_of(f"WITH c0 AS (SELECT 1), {tables} SELECT 1 FROM\ufeff c8").copies > 2**8


# -- the program of a query ------------------------------------------------------------------------------------------


def program(sql: str) -> list[Any]:
    with closing(sqlite3.connect(":memory:")) as conn:
        conn.execute("CREATE TABLE t (a, b)")
        conn.execute("CREATE VIRTUAL TABLE f USING fts5 (text)")
        return conn.execute(f"EXPLAIN {sql}").fetchall()


def test_the_more_values_a_query_holds_the_smaller_they_are() -> None:
    few = largest_value(program("SELECT a FROM t"), searches=False)
    many = largest_value(program(f"SELECT {', '.join(f'hex(a || {i})' for i in range(60))} FROM t"), searches=False)
    assert few > 1_000_000 > many
    assert many * 60 * 4 < MOST_MEMORY


def test_what_reads_json_counts_for_more() -> None:
    assert largest_value(program("SELECT json_extract(a, '$') FROM t"), searches=False) < MOST_MEMORY / 20


@pytest.mark.parametrize(
    ("sql", "most"),
    [
        ("SELECT instr(a, b) FROM t", 65_536),
        ("SELECT replace(a, b, '') FROM t", 65_536),
        ("SELECT a LIKE b FROM t", 262_144),
        ("SELECT a GLOB b FROM t", 262_144),
    ],
)
def test_functions_that_take_the_time_of_a_product_get_small_values(sql: str, most: int) -> None:
    assert largest_value(program(sql), searches=False) == most


@pytest.mark.parametrize("sql", ["SELECT trim(a, b) FROM t", "SELECT ltrim(a, b) FROM t", "SELECT rtrim(a, b) FROM t"])
def test_trim_with_two_arguments_is_refused(sql: str) -> None:
    with pytest.raises(OneTooMany, match="two arguments"):
        largest_value(program(sql), searches=False)


def test_many_sorters_are_refused() -> None:
    with pytest.raises(OneTooMany, match="too much at once"):
        largest_value(program(" UNION ALL ".join(["SELECT * FROM (SELECT DISTINCT a FROM t)"] * 30)), searches=False)


@pytest.mark.parametrize(
    ("sql", "is_allowed"),
    [
        ("SELECT 1 FROM f WHERE f MATCH 'a'", True),
        ("SELECT 1 FROM f('a') ORDER BY rank", True),
        ("SELECT 1 FROM t JOIN f ON f MATCH 'a'", True),
        ("SELECT 1 FROM f WHERE f MATCH lower('a')", False),
        ("SELECT 1 FROM f WHERE f MATCH 'a' || 'b'", False),
        ("SELECT 1 FROM t JOIN f ON f MATCH t.a", False),
        ("SELECT 1 FROM f WHERE f MATCH (SELECT a FROM t)", False),
        ("SELECT 1 FROM f WHERE f MATCH CAST('a' AS TEXT)", False),
        ("SELECT 1 FROM (SELECT 'a' || 'b' AS x) JOIN f ON f MATCH x", False),
    ],
)
def test_what_is_searched_for_is_given_and_not_computed(sql: str, is_allowed: bool) -> None:
    if is_allowed:
        largest_value(program(sql), searches=True)
    else:
        with pytest.raises(OneTooMany, match="in quotes"):
            largest_value(program(sql), searches=True)


@pytest.mark.parametrize(
    ("sql", "per_instruction"),
    [
        ("SELECT group_concat(a) FROM t", 0),
        ("SELECT json_group_array(a) FROM t", 6 / 3),
        ("SELECT json_group_object('a', 'b') FROM t", 2 * 6 / 4),
        ("SELECT json_group_array('a'), json_group_array('b') FROM t", 2 * 6 / 5),
    ],
)
def test_what_a_loop_gathers_is_shared_among_its_instructions(sql: str, per_instruction: float) -> None:
    assert gathered([*map(Op._make, program(sql))]) == pytest.approx(per_instruction)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT json_group_array(1) FROM t",
        "SELECT " + ", ".join(f"json_group_object('{i}', {i})" for i in range(50)) + " FROM t",
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT json_group_array(i) FROM n",
        "SELECT json_group_array(a) OVER (ROWS BETWEEN 5 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT b, json_group_array(json_object('a', a)) FROM t GROUP BY b",
        "SELECT (SELECT json_group_array(a) FROM t u WHERE u.b = t.b) FROM t",
    ],
)
def test_looks_are_rare_and_what_lies_between_two_of_them_is_bounded(sql: str) -> None:
    compiled = [*map(Op._make, program(sql))]
    largest, instructions = heap.looks(largest_value(compiled, searches=False), gathered(compiled))
    assert instructions >= 300 and largest >= 10_000
    assert gathered(compiled) * largest * instructions <= heap.BETWEEN_LOOKS


# -- the errors ------------------------------------------------------------------------------------------------------


def test_no_error_names_the_views_that_read() -> None:
    conn = sqlite3.connect(":memory:", factory=GuardedConnection)
    try:
        error = sqlite3.OperationalError("no such column: v12_facts.nope")
        assert str(explain(conn, error, "SELECT 1", None, hidden="v12")) == "no such column: facts.nope"
    finally:
        conn.end()
