"""``write_script`` cuts a script into the statements that SQLite's own ``executescript`` would run."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiomemdb.sqlite.connection.script import split_script

SCHEMA = "CREATE TABLE t (x); CREATE TABLE log (x);"

STATEMENTS = [
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t VALUES ('a;b')",
    "INSERT INTO t VALUES ('it''s; -- no comment')",
    "INSERT INTO t VALUES ('/* no; comment */')",
    'INSERT INTO "t" SELECT "x" FROM "t" AS "a;b"',
    "INSERT INTO [t] SELECT x FROM `t`",
    "INSERT INTO t VALUES (2) -- a comment; with a semicolon\n",
    "INSERT INTO t /* a comment; of\ntwo lines */ VALUES (3)",
    "INSERT INTO t VALUES (x'3b')",
    "DELETE FROM t WHERE x = ';'",
    "CREATE TABLE IF NOT EXISTS u (x DEFAULT ';', CHECK (x <> ';'))",
    "CREATE TRIGGER IF NOT EXISTS one AFTER INSERT ON t BEGIN INSERT INTO log VALUES (new.x); END",
    "create temp trigger if not exists two after insert on t begin"
    " insert into log values (';'); update log set x = case x when ';' then 'end;' else x end; select 1; END",
    "CREATE TRIGGER IF NOT EXISTS three AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('END;'); /* END; */ END",
    "EXPLAIN SELECT 1",
    "SELECT CASE WHEN 1 THEN 2 END",
    "WITH n AS (SELECT 9 AS x) INSERT INTO t SELECT x FROM n",
]
BLANKS = ["", " ", "\n\t", "-- nothing; here\n", "/* nor; here */", "/* ** / */", ";", "\ufeff"]
BROKEN = ["INSERT INTO t VALUES (", "'open", '"open', "/* open", "INSERT INTO missing VALUES (1)", "x;y", "\v", "\xa0"]

statements = st.sampled_from(STATEMENTS)
blanks = st.sampled_from(BLANKS)
#: Statements with all kinds of nothing between them; the last one may lack its semicolon.
scripts = st.lists(st.one_of(statements.map(lambda sql: f"{sql};"), blanks), max_size=8).map(" ".join)
endings = st.one_of(statements, st.sampled_from([*BLANKS, "-- at the end", "/* open"]))
#: Anything that SQLite's tokens are made of.
soup = st.lists(st.sampled_from([*STATEMENTS, *BLANKS, *BROKEN, ";", "'", '"', "--", "/*", "*/", "\n", "END", "BEGIN"]))


def after_executescript(script: str) -> tuple[list[str], str | None]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.executescript(SCHEMA)
        try:
            conn.executescript(script)
        except sqlite3.Error as error:
            return list(conn.iterdump()), str(error)
        return list(conn.iterdump()), None


def after_split(script: str) -> tuple[list[str], str | None]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        conn.executescript(SCHEMA)
        try:
            for statement in split_script(script):
                conn.execute(statement).close()
        except sqlite3.Error as error:
            return list(conn.iterdump()), str(error)
        return list(conn.iterdump()), None


@given(body=scripts, end=endings)
def test_a_script_does_what_executescript_does(body: str, end: str) -> None:
    assert after_split(body + end) == after_executescript(body + end)


@given(script=soup.map("".join))
@example(script="\v")
@example(script="/*")
@example(script="\ufeffCREATE TRIGGER one AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END; INSERT INTO t VALUES (1)")
@example(script="\xa0;")
@example(script="/*/ INSERT INTO t VALUES (1); /*/ INSERT INTO t VALUES (2);")
@example(script="CREATE TRIGGER one AFTER INSERT ON t BEGIN SELECT 1")
def test_whatever_it_is_the_file_ends_the_same_and_an_error_is_an_error(script: str) -> None:
    (split_dump, split_error), (dump, error) = after_split(script), after_executescript(script)
    assert split_dump == dump
    assert (split_error is None) == (error is None)


@given(body=scripts)
def test_nothing_of_a_script_but_nothing_is_left_out(body: str) -> None:
    given_text = "".join(body.split())
    kept = "".join("".join(statement.split()) for statement in split_script(body))
    position = 0
    for character in kept:  # in order, all of it
        position = given_text.index(character, position) + 1


@pytest.mark.parametrize("blank", ["", ";", " ; ;; ", "-- ;\n", "/* ; */", "/* ; */ ; -- ;", "\ufeff"])
def test_a_script_of_nothing_has_no_statements(blank: str) -> None:
    assert list(split_script(blank)) == []
