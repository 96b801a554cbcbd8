"""The page that is served: live, whichever process writes, and after its connection was lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiomemdb import Memory
from aiomemdb.pageserver.server import serve_page
from tests.page.acting import drawn, fact_ids, look_up, status, titled
from tests.page.conftest import Opening

#: What another process does: it states a fact.
STATE = """
import asyncio, sys
import aiomemdb

async def main():
    async with aiomemdb.Memory.open(sys.argv[1], agent=sys.argv[5]) as memory:
        await memory.add_fact(*sys.argv[2:5])

asyncio.run(main())
"""


@pytest.fixture
async def served(memory: Memory) -> AsyncIterator[str]:
    async with serve_page(memory, title="people") as address:
        yield address


async def state(path: Path, *words: str, agent: str = "zoe") -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", STATE, str(path), *words, agent)
    assert await process.wait() == 0


async def test_the_served_page_shows_what_the_page_from_disk_shows(
    memory: Memory, served: str, opening: Opening
) -> None:
    page = await opening(served)
    assert await fact_ids(page) == {fact.id for fact in await memory.facts()}
    assert await drawn(page) == {entity.name for entity in await memory.entities()}


async def test_a_fact_of_another_process_appears_and_pulses(
    memory: Memory, db_path: Path, served: str, opening: Opening
) -> None:
    page = await opening(served)
    await page.wait_for_selector("html[data-live=true]")
    before = await page.evaluate("() => document.documentElement.app.graph.places()")
    await page.evaluate(
        """() => {
          const { graph } = document.documentElement.app, { pulse } = graph;
          graph.pulse = (ids) => {
            pulse.call(graph, ids);
            window.pulsed = graph.marked("pulse").length;
          };
        }"""
    )
    await state(db_path, "Ada", "writes to", "Mary Somerville")
    await page.wait_for_function(
        "() => window.pulsed >= 3 && document.documentElement.app.graph.marked('pulse').length === 0"
    )
    assert "Mary Somerville" in await drawn(page)
    after = await page.evaluate("() => document.documentElement.app.graph.places()")
    assert before == after[: len(before)], "what the reader looks at stays"
    assert await fact_ids(page) == {fact.id for fact in await memory.facts()}
    assert "1 new fact" in await page.locator(".said-aloud").inner_text()
    await page.get_by_role("button", name="Agents", exact=True).click()
    assert "zoe" in await page.locator(".legend").inner_text()


async def test_after_a_lost_connection_nothing_is_missed(
    memory: Memory, db_path: Path, served: str, opening: Opening
) -> None:
    page = await opening(served, may_say="ERR_INTERNET_DISCONNECTED")
    await page.wait_for_selector("html[data-live=true]")
    # Chromium cuts no stream that is open: the page's own source is closed as a lost connection closes it.
    proxied = await page.evaluate("() => document.documentElement.app.live.source.url")
    assert "/events?" in proxied
    await page.evaluate("() => document.documentElement.app.live.source.close()")
    await state(db_path, "Ada", "writes to", "Mary Somerville")
    await state(db_path, "Mary Somerville", "lives in", "Naples")
    await page.evaluate("() => document.documentElement.app.live.follow(document.documentElement.app)")
    await page.wait_for_function("() => document.documentElement.app.graph.nodes.size >= 10")
    assert {"Mary Somerville", "Naples"} <= await drawn(page)
    assert await fact_ids(page) == {fact.id for fact in await memory.facts()}


async def test_what_is_retracted_or_forgotten_goes(memory: Memory, served: str, opening: Opening) -> None:
    page = await opening(served)
    await page.wait_for_selector("html[data-live=true]")
    [museum] = await memory.facts("Engine", "is kept in")
    await memory.retract(museum)
    count = len(await memory.facts())
    await page.wait_for_function(f"() => document.documentElement.app.graph.shownFacts().length === {count}")
    poetry = await memory.entity("Poetry")
    assert poetry is not None
    await memory.forget(poetry)
    await page.wait_for_function(f"() => !document.documentElement.app.model.entities.has({poetry.id})")
    assert "Poetry" not in await drawn(page)


async def test_it_looks_the_same_tomorrow_in_another_browser(memory: Memory, tmp_path: Path, opening: Opening) -> None:
    places = "() => document.documentElement.app.graph.places().map((place) => place.map(Math.round))"
    file = tmp_path / "positions.json"
    async with serve_page(memory, positions=file) as address:
        page = await opening(address)
        x, y = await page.evaluate("() => document.documentElement.app.graph.standsAt(1)")
        await page.mouse.move(x, y)
        await page.mouse.down()
        await page.mouse.move(x + 40, y + 40, steps=2)
        await page.mouse.up()
        await page.wait_for_function("() => document.documentElement.app.live.keeping === null")
        stood = await page.evaluate(places)
        await page.context.close()  # before its server ends
    async with serve_page(memory, positions=file) as address:  # at another port: the browser knows nothing of it
        page = await opening(address)
        assert await page.evaluate(places) == stood
        await page.context.close()


async def test_a_search_is_recall(memory: Memory, served: str, opening: Opening) -> None:
    page = await opening(served)
    await look_up(page, "Where does Ada live")
    found = await memory.recall("Where does Ada live", limit=30, kinds=("fact", "episode", "entity"))
    # What was typed first is asked for too where typing is slow: this waits for the last answer.
    await page.wait_for_function(
        "(wanted) => document.querySelector('#hits .via') !== null"
        " && [...document.querySelectorAll('#hits .hit-kind')].map((each) => each.innerText).join() === wanted",
        arg=",".join(f"{round(hit.score, 3):.2f}" for hit in found),
    )
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".panel:not([hidden])")


async def test_what_the_page_has_not_is_fetched_when_it_is_unfolded(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "large.db", agent="ann") as memory:
        for hub in range(30):
            await memory.remember(f"hub {hub}", [(f"hub {hub}", "has", f"leaf {hub}.{leaf}") for leaf in range(60)])
        async with serve_page(memory) as address:
            page = await opening(address)
            assert "of 1,830 entities" in await status(page)
            assert "the page holds 1,200" in await status(page)
            await look_up(page, "leaf 29.7")
            await page.keyboard.press("Enter")
            await titled(page, "leaf 29.7")
            await look_up(page, "hub 29")
            await page.keyboard.press("Enter")
            await titled(page, "hub 29")
            for leaves in (40, 60):  # forty at once
                await page.keyboard.press("u")
                await page.wait_for_function(
                    "(leaves) => document.documentElement.app.graph.ranked"
                    ".filter((node) => node.label.startsWith('leaf 29.')).length >= leaves",
                    arg=leaves,
                )
            await page.context.close()  # before its server ends


async def test_an_address_without_its_token_is_refused(served: str, opening: Opening) -> None:
    page = await opening(served)
    answer = await page.request.get(served.partition("?")[0])
    assert answer.status == 403
