"""What a server goes through while a memory is used: its callers wait, and what was acknowledged is there once."""

from __future__ import annotations

import asyncio
import random
import time

import psycopg
import pytest

import aiomemdb
from aiomemdb import Memory
from tests.memory.on_postgres import assert_sound
from tests.postgres.proxy import Proxy
from tests.support.postgres import execute, no_connection_left


async def test_backends_that_are_ended_at_any_moment_fail_no_call_and_double_nothing(url: str) -> None:
    """Jobs of two namespaces and questions of several statements, while an administrator ends 100 connections."""
    randomness = random.Random(20)
    said: set[tuple[str, str]] = set()
    is_over = False
    async with Memory.open(url) as memory:

        async def tell(namespace: str, number: int) -> None:
            view, turn = memory.scoped(namespace=namespace), 0
            while not is_over:
                turn += 1
                text = f"agent {number} saw bird {turn}"
                await view.remember(text, [(f"agent {number}", "saw", f"bird {turn}")], key=text)
                said.add((namespace, text))

        async def ask(namespace: str) -> None:
            view = memory.scoped(namespace=namespace)
            while not is_over:
                await view.recall("which bird?")
                await view.graph()

        def end_connections() -> None:
            ended = 0
            with psycopg.connect(url, autocommit=True) as administrator:
                while ended < 100 and not is_over:
                    busy = "application_name LIKE 'aiomemdb:%' AND (state <> 'idle' OR pid % 16 = 0)"
                    found = administrator.execute(f"SELECT pid FROM pg_stat_activity WHERE {busy}").fetchall()
                    time.sleep(randomness.random() * 0.03)
                    if found:
                        administrator.execute("SELECT pg_terminate_backend(%s)", randomness.choice(found))
                        ended += 1

        namespaces = ("one", "two")
        async with asyncio.TaskGroup() as team:
            for namespace in namespaces:
                for number in range(4):
                    team.create_task(tell(namespace, number))
                team.create_task(ask(namespace))
            try:
                await asyncio.to_thread(end_connections)
            finally:
                is_over = True
    rows = "SELECT n.name, t.{} FROM aiomemdb.{} t JOIN aiomemdb.memory_namespace n ON n.id = t.namespace ORDER BY 1, 2"
    assert execute(url, rows.format("key", "episode")) == sorted(said)
    assert execute(url, rows.format("text", "fact")) == sorted(said)
    assert_sound(url)
    no_connection_left(url)


async def test_a_question_that_loses_its_snapshot_is_asked_again_of_another(url: str) -> None:
    async with Memory.open(url) as memory:
        await memory.remember("Ann grows roses", [("Ann", "grows", "roses")])
        expected = [hit.item.id for hit in await memory.recall("who grows roses?")]
    async with Proxy.before(url) as proxy, Memory.open(f"{proxy.url}?sslmode=disable&gssencmode=disable") as memory:
        for place in range(30):  # at each of the server's messages in turn
            left = [place]

            def is_cut(kind: bytes, body: bytes, left: list[int] = left) -> bool:
                left[0] -= 1
                return left[0] == -1

            proxy.cut_answer = is_cut
            assert [hit.item.id for hit in await memory.recall("who grows roses?")] == expected
            assert len((await memory.graph()).facts) == 1
        assert proxy.connections > 10


async def test_a_job_gets_an_error_of_its_own_if_the_server_does_not_come_back(url: str) -> None:
    async with Proxy.before(url) as proxy:
        url_there = f"{proxy.url}?sslmode=disable&gssencmode=disable"
        async with aiomemdb.connect(url_there, reconnect=0.3) as db, Memory.open(db) as memory:
            proxy.refuses = True
            proxy.cut_all()
            for work in (memory.remember("Ann grows roses"), memory.recall("roses")):
                with pytest.raises(aiomemdb.ServerLost) as caught:
                    await work
                assert caught.value.applied is False
            proxy.refuses = False
            await memory.remember("Ann grows roses")
    assert execute(url, "SELECT count(*) FROM aiomemdb.episode") == [(1,)]


async def test_a_question_that_is_cancelled_at_any_moment_leaves_its_connection_to_the_next(url: str) -> None:
    async with Memory.open(url) as memory:
        await memory.remember("Ann grows roses", [("Ann", "grows", "roses")])
        for turns in range(40):
            asking = asyncio.ensure_future(memory.recall("who grows roses?"))
            for _ in range(turns):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            assert (await memory.recall("who grows roses?")).hits
        readers = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'aiomemdb:%reader'"
        [(count,)] = execute(url, f"{readers} AND datname = current_database()")
        assert count is not None and int(str(count)) <= 8
    no_connection_left(url)


async def test_a_clock_of_the_server_that_is_set_back_keeps_the_order_of_what_became_known(url: str) -> None:
    """Its function is hidden behind one that is set back, for both handles."""
    async with Memory.open(url):
        pass
    execute(url, "CREATE SCHEMA wrong; CREATE TABLE wrong.by (hours int); INSERT INTO wrong.by VALUES (0)")
    execute(
        url,
        "CREATE FUNCTION wrong.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        "'SELECT pg_catalog.clock_timestamp() - hours * interval ''1 hour'' FROM wrong.by'",
    )
    set_back = f"{url}?options=-c%20search_path%3Dwrong,pg_catalog,public"
    async with Memory.open(set_back) as one, Memory.open(set_back) as two:
        facts = [await one.add_fact("Ann", "lives in", value="Paris", replace=True)]
        execute(url, "UPDATE wrong.by SET hours = 5")
        facts.append(await two.add_fact("Ann", "lives in", value="Rome", replace=True))
        execute(url, "UPDATE wrong.by SET hours = 3")
        facts.append(await one.add_fact("Ann", "lives in", value="Oslo", replace=True))
        assert facts[1].created_at < facts[2].created_at < facts[0].created_at
        for memory in (one, two):
            assert [fact.value for fact in await memory.facts("Ann")] == ["Oslo"]
            lines = [event.operation for event in await memory.history(facts[0])]
            assert lines.index("create") < lines.index("supersede")
        assert execute(url, "SELECT count(*) FROM aiomemdb.memory_clock_back") == [(1,)]
    assert_sound(url)


async def test_a_job_that_pauses_is_not_ended_by_an_administrators_limit_for_idle_transactions(url: str) -> None:
    """That of aiomemdb, max_hold, is in its place: a job that computes between its steps goes on."""
    limited = f"{url}?options=-c%20idle_in_transaction_session_timeout%3D50"
    async with Memory.open(limited) as memory, memory.db.transaction() as tx:
        inside = memory.within(tx)
        await inside.remember("Ann grows roses")
        assert await tx.read_value("SHOW idle_in_transaction_session_timeout") == "10s"
        await inside.remember("Bob grows lilies")
    assert execute(url, "SELECT count(*) FROM aiomemdb.episode") == [(2,)]
