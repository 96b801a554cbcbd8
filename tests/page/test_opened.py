"""The page from disk, with the network cut: it shows what the verbs answer, by mouse and by keys."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aiomemdb import Memory
from tests.memory.support import day
from tests.page.acting import at, click_entity, drawn, fact_ids, look_up, status, titled
from tests.page.conftest import Opening


async def test_at_any_time_it_shows_what_the_verbs_answer(memory: Memory, written: Path, opening: Opening) -> None:
    page = await opening(written)
    assert await fact_ids(page) == {fact.id for fact in await memory.facts()}
    events = [fact.created_at for fact in await memory.facts(known_at=None)]
    known = [None, min(events) - timedelta(days=1), *(event + timedelta(milliseconds=2) for event in events)]
    for place, known_at in enumerate(known):
        as_of = day(place * 13)
        if known_at is not None:
            known_at = known_at.replace(microsecond=known_at.microsecond // 1000 * 1000)
        await at(page, as_of=as_of, known_at=known_at)
        answered = await memory.facts(as_of=as_of, known_at=known_at)
        assert await fact_ids(page) == {fact.id for fact in answered}, (as_of, known_at)


async def test_sliders_are_moved_by_keys_and_a_button_leads_back_to_now(written: Path, opening: Opening) -> None:
    page = await opening(written)
    now = await fact_ids(page)
    slider = page.get_by_label("Knowledge time", exact=True)
    await slider.focus()
    await page.keyboard.press("Home")
    assert await slider.get_attribute("aria-valuetext") != "now"
    await page.wait_for_url(re.compile("known_at="))  # written with the next frame
    assert await fact_ids(page) == set()
    assert await drawn(page) == set()
    await page.locator(".slider.moved .now").click()
    assert await fact_ids(page) == now


async def test_playing_shows_the_memory_grow_and_ends_at_now(written: Path, opening: Opening) -> None:
    page = await opening(written)
    everything = await drawn(page)
    await page.evaluate(
        """() => {
          const { graph } = document.documentElement.app, { show } = graph;
          graph.show = (...how) => {
            show.apply(graph, how);
            window.least = Math.min(window.least ?? Infinity, graph.counts().entities);
          };
        }"""
    )
    await page.get_by_label("Play Knowledge time").click()
    await page.wait_for_function("() => window.least < 3 && document.documentElement.app.model.knownAt === null")
    assert await drawn(page) == everything


async def test_a_search_lists_names_aliases_values_facts_and_texts(written: Path, opening: Opening) -> None:
    page = await opening(written)
    assert (await look_up(page, "ada"))[0] == "Ada"
    await page.keyboard.press("Escape")
    for asked, found in (
        ("countess", "Ada also countess of lovelace"),
        ("1815", "Ada born 1815"),
        ("had built", "In 1833 Ada moved"),
    ):
        listed = await look_up(page, asked)
        assert any(found in " ".join(line.split()) for line in listed), (asked, listed)
        await page.keyboard.press("Escape")
    assert await look_up(page, "zzz") == []
    assert "Nothing found" in await page.locator("#hits").inner_text()


async def test_enter_flies_to_what_was_found(written: Path, opening: Opening) -> None:
    page = await opening(written)
    await look_up(page, "museum")
    await page.keyboard.press("Enter")
    await titled(page, "Museum")
    await page.wait_for_function("() => !document.documentElement.app.graph.moving")
    assert await page.evaluate("() => document.documentElement.app.graph.stage.view.zoom") >= 1.1


async def test_a_click_on_an_entity_lists_its_facts_and_their_evidence(written: Path, opening: Opening) -> None:
    page = await opening(written)
    await click_entity(page, "Ada")
    panel = page.locator(".panel")
    await titled(page, "Ada")
    text = " ".join((await panel.inner_text()).split())
    assert "Also: countess of lovelace" in text
    assert "lives in Ockham" in text and "born 1815" in text
    sections = [" ".join(each.split()) for each in await panel.locator(".section > summary").all_inner_texts()]
    assert sections == ["Believed 3", "Past or to come 1", "Retracted or replaced 1", "Texts 1"]
    await panel.get_by_role("button", name="met", exact=True).click()
    await titled(page, "Ada met Charles Babbage")
    assert await panel.locator("mark").inner_text() == "she met Charles Babbage"
    assert "In 1833 Ada moved to London." in await panel.locator("blockquote").inner_text()
    await panel.get_by_role("button", name="letter 1").click()
    assert set(await panel.locator(".whole mark").all_inner_texts()) == {
        "Ada moved to London",
        "she met Charles Babbage",
    }


async def test_a_link_leads_to_an_entity_at_a_time(memory: Memory, written: Path, opening: Opening) -> None:
    ada = await memory.entity("Ada")
    assert ada is not None
    page = await opening(written)
    await at(page, as_of=day(20))
    await click_entity(page, "Ada")
    await titled(page, "Ada")
    await page.wait_for_url(lambda url: f"entity={ada.id}" in url and "as_of=2020-01-21" in url)
    address = page.url
    await page.goto("about:blank")
    await page.goto(address)
    await page.wait_for_selector("html[data-ready]")
    await titled(page, "Ada")
    assert await fact_ids(page) == {fact.id for fact in await memory.facts(as_of=day(20))}


async def test_an_agent_is_filtered(memory: Memory, written: Path, opening: Opening) -> None:
    page = await opening(written)
    await page.get_by_role("button", name="Agents", exact=True).click()
    agent = page.locator(".legend button.legend-item", has_text="bob")
    assert "Ada" in await agent.inner_text()  # what it said last
    await agent.click()
    assert await fact_ids(page) == {fact.id for fact in await memory.facts() if fact.agent != "bob"}
    assert await agent.get_attribute("aria-pressed") == "false"
    await agent.click()
    assert await fact_ids(page) == {fact.id for fact in await memory.facts()}


async def test_a_path_between_two_is_that_of_the_verb(memory: Memory, written: Path, opening: Opening) -> None:
    chain = await memory.path("Ada", "Museum")
    assert chain is not None
    page = await opening(written)
    panel = page.locator(".panel")
    await click_entity(page, "Ada")
    await titled(page, "Ada")
    await page.keyboard.press("0")  # nothing is behind the panel
    await click_entity(page, "Museum", shift=True)
    await titled(page, "Ada → Museum")
    assert await panel.locator(".chain > li").count() == len(chain) == 3
    assert await page.evaluate("() => document.documentElement.app.graph.lines.filter((each) => each.path).length") == 3
    await page.keyboard.press("Escape")
    await click_entity(page, "Ada")
    await panel.get_by_role("button", name="Path to…").click()
    await look_up(page, "Poetry")
    await page.keyboard.press("Enter")
    await titled(page, "Ada → Poetry")
    assert "No chain of at most four facts" in await panel.inner_text()


async def test_neighbours_unfold_and_a_line_says_how_many_are_shown(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "large.db", agent="ann") as memory:
        for hub in range(12):
            await memory.remember(
                f"hub {hub}", [(f"hub {hub}", "has", f"leaf {hub}.{leaf}") for leaf in range(40)]
                + [(f"hub {hub}", "next", f"hub {(hub + 1) % 12}")]
            )  # fmt: skip
        await memory.export_html(tmp_path / "large.html", limit=400)
    page = await opening(tmp_path / "large.html")
    first = await drawn(page)
    assert 40 <= len(first) <= 140
    assert await status(page) == f"{len(first)} of 492 entities · {len(first)} of 492 facts shown · the page holds 400"
    before = await page.evaluate("() => document.documentElement.app.graph.places()")
    await click_entity(page, "hub 3", double=True)
    await page.wait_for_function(f"() => document.documentElement.app.graph.drawn.size > {len(first)}")
    unfolded = await drawn(page) - first
    assert unfolded and all(name.startswith("leaf 3.") for name in unfolded)
    after = await page.evaluate("() => document.documentElement.app.graph.places()")
    assert before == [place for place in after if place[0] in {id for id, *_ in before}], "what was read stays"
    await page.get_by_role("button", name="Draw all 400").click()
    await page.wait_for_function("() => document.querySelector('#status').innerText.startsWith('400 of 492 entities')")


async def test_many_are_drawn_the_best_connected_first(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "many.db", agent="ann") as memory:
        await memory.add_entities([f"leaf {number}" for number in range(4200)])
        await memory.remember("hubs", [(f"hub {hub}", "next", f"hub {(hub + 1) % 9}") for hub in range(9)])
        await memory.export_html(tmp_path / "many.html", limit=5000)
    page = await opening(tmp_path / "many.html")
    steps = await page.evaluate(
        """async () => {
          const { app } = document.documentElement, { graph } = app, { draw } = graph, steps = [];
          graph.draw = async (ids, how) => {
            const fresh = await draw.call(graph, ids, how);
            steps.push([graph.ranked.slice(0, 9).every((node) => node.label.startsWith("hub")), graph.drawn.size]);
            return fresh;
          };
          await app.drawAll();
          return steps;
        }"""
    )
    assert [hubs for hubs, _ in steps] == [True, True]
    assert 2000 <= steps[0][1] < 2200 and steps[1][1] == 4209
    assert await page.evaluate(
        "() => document.documentElement.app.graph.ranked.every(({ x, y }) => x === x && y === y)"
    )


async def test_keys_alone_lead_through_the_page(written: Path, opening: Opening) -> None:
    page = await opening(written)
    await page.keyboard.press("Tab")
    await look_up(page, "babbage")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await titled(page, "Charles Babbage")
    assert "Charles Babbage, no type" in await page.locator(".said-aloud").inner_text()
    seen = {"Charles Babbage"}
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown") * 2:
        await page.keyboard.press(key)
        await page.wait_for_function("() => !document.documentElement.app.graph.moving")
        seen.add(await page.locator(".panel h2").inner_text())
    assert len(seen) >= 3
    await page.keyboard.press("Enter")
    assert await page.evaluate("() => document.activeElement.closest('.panel') !== null")
    await page.keyboard.press("Escape")
    assert await page.locator(".panel").is_hidden()
    await page.keyboard.press("t")
    assert await page.get_by_role("table").count() == 2
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    assert await page.get_by_role("dialog").is_visible()
    await page.keyboard.press("Escape")
    assert await page.get_by_role("dialog").is_hidden()


async def test_the_focus_is_shown(written: Path, opening: Opening) -> None:
    page = await opening(written)
    for _ in range(3):
        await page.keyboard.press("Tab")
        outlined = await page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e.closest('.search') ?? e);"
            " return s.outlineStyle !== 'none' || s.boxShadow !== 'none' }"
        )
        assert outlined


async def test_light_and_dark_follow_the_system_and_a_button(written: Path, opening: Opening) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = await opening(written, color_scheme=scheme)
        grounds.append(await page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
        await page.get_by_label("Light or dark").click()
        grounds.append(await page.evaluate("() => getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] == grounds[3] != grounds[1] == grounds[2]


async def test_with_reduced_motion_nothing_moves(written: Path, opening: Opening) -> None:
    page = await opening(written, reduced_motion="reduce")
    await look_up(page, "museum")
    await page.keyboard.press("Enter")
    await titled(page, "Museum")
    assert not await page.evaluate("() => document.documentElement.app.graph.moving")
    assert await page.evaluate("() => getComputedStyle(document.querySelector('.panel')).animationName") == "none"


async def test_the_same_memory_looks_the_same_again(written: Path, opening: Opening) -> None:
    places = "() => document.documentElement.app.graph.places()"
    one, two = await opening(written), await opening(written)
    assert await one.evaluate(places) == await two.evaluate(places)


async def test_while_the_view_moves_the_picture_moves_along_and_is_painted_when_it_rests(
    written: Path, opening: Opening
) -> None:
    page = await opening(written)
    found = await page.evaluate(
        """async () => {
          const { stage } = document.documentElement.app.graph, { paint } = stage;
          let paints = 0;
          stage.paint = (...what) => (paints++, paint(...what));
          for (let step = 0; step < 500; step++) stage.look({ ...stage.view, x: stage.view.x + 1 });
          const meanwhile = paints, moved = stage.canvas.style.transform;
          await new Promise((resume) => { stage.paint = (...what) => (paint(...what), resume()) });
          await new Promise(requestAnimationFrame);
          return [meanwhile, moved, stage.canvas.style.transform, stage.painted.x === stage.view.x];
        }"""
    )
    assert found == [0, "translate(500px, 0px) scale(1)", "none", True]


async def test_an_entity_is_dragged_to_where_it_stays(written: Path, opening: Opening) -> None:
    page = await opening(written)
    place = "() => document.documentElement.app.graph.standsAt(1)"
    x, y = await page.evaluate(place)
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(x + 30, y + 20, steps=3)
    await page.mouse.up()
    assert await page.evaluate(place) == pytest.approx([x + 30, y + 20])
    again = await page.context.new_page()
    await again.goto(page.url)
    await again.wait_for_selector("html[data-ready]")
    ids = "() => document.documentElement.app.graph.places().map((place) => place.map(Math.round)).sort()"
    assert await again.evaluate(ids) == await page.evaluate(ids), "the page keeps where things stand"


async def test_a_click_on_an_edge_shows_its_fact_and_the_wheel_zooms_to_the_pointer(
    written: Path, opening: Opening
) -> None:
    page = await opening(written)
    x, y = await page.evaluate(
        """() => {
          const { graph } = document.documentElement.app, edge = graph.lines.find((each) => each.label === "built");
          const [[ax, ay], [bx, by]] = [edge.a.id, edge.b.id].map((id) => graph.standsAt(id));
          return [(ax + bx) / 2, (ay + by) / 2];
        }"""
    )
    await page.mouse.click(x, y)
    await titled(page, "Charles Babbage built Engine")
    x, y = await page.evaluate("() => document.documentElement.app.graph.standsAt(1)")
    zoom = await page.evaluate("() => document.documentElement.app.graph.stage.view.zoom")
    await page.mouse.move(x, y)
    await page.mouse.wheel(0, -100)
    await page.wait_for_function(f"() => document.documentElement.app.graph.stage.view.zoom > {zoom}")
    nx, ny = await page.evaluate("() => document.documentElement.app.graph.standsAt(1)")
    assert abs(nx - x) < 0.5 and abs(ny - y) < 0.5


async def test_the_view_is_saved_as_svg_and_png(written: Path, opening: Opening) -> None:
    page = await opening(written)
    found = {}
    for kind in ("SVG", "PNG"):
        await page.get_by_label("Save the view").click()
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name=f"As {kind}").click()
        download = await waiting.value
        found[download.suggested_filename] = Path(await download.path()).read_bytes()
    assert found["people.png"].startswith(b"\x89PNG")
    names = {each.text for each in ElementTree.fromstring(found["people.svg"]).iter("{http://www.w3.org/2000/svg}text")}
    assert await drawn(page) <= names


async def test_an_empty_memory_says_how_to_begin(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "empty.db") as memory:
        await memory.export_html(tmp_path / "empty.html")
    page = await opening(tmp_path / "empty.html")
    assert "This memory is empty" in await page.locator(".begin").inner_text()
    assert "aiomemdb remember" in await page.locator(".begin").inner_text()
    assert re.match("0 of 0 entities", await status(page))
