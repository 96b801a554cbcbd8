"""The page on paper: what is drawn, in light colours, and whole what is open beside it."""

from __future__ import annotations

import re
from pathlib import Path

from aiomemdb import Memory
from tests.memory.support import day
from tests.page.acting import at, click_entity, titled
from tests.page.conftest import Opening

_WHOLE = "each => each.scrollHeight <= each.clientHeight + 1 && each.scrollWidth <= each.clientWidth + 1"
_DIM = "() => document.documentElement.app.graph.marked('dim').length"


async def test_paper_has_what_is_drawn_in_light_colours_and_the_panel_below_it(written: Path, opening: Opening) -> None:
    page = await opening(written, color_scheme="dark")
    await at(page, as_of=day(20))
    await click_entity(page, "Ada")
    await titled(page, "Ada")
    dim = await page.evaluate(_DIM)
    assert dim > 0
    await page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")
    assert await page.evaluate("() => document.documentElement.dataset.theme") == "light"
    picture, panel = page.locator(".paper canvas"), page.locator(".panel")
    drawn, beside = await picture.bounding_box(), await panel.bounding_box()
    assert drawn is not None
    assert beside is not None
    assert beside["y"] >= drawn["y"] + drawn["height"]
    assert re.match(r"As of 20\d\d-.* · 8 of 8 entities", await page.locator(".paper figcaption").inner_text())
    assert await panel.evaluate(_WHOLE)
    assert await page.locator(".panel-body").evaluate(_WHOLE)
    for what in (".tools", ".search", ".timeline", ".zoom", ".panel-close", ".canvas"):
        assert not await page.locator(what).first.is_visible(), what
    await page.emulate_media(media="screen")
    await page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert await page.locator(".paper").count() == 0
    assert await page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert await page.evaluate(_DIM) == dim


async def test_long_tables_go_on_over_pages(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "many.db") as memory:
        await memory.remember("t", [(f"person {number}", "knows", f"person {number + 1}") for number in range(120)])
        await memory.export_html(tmp_path / "many.html")
    page = await opening(tmp_path / "many.html")

    async def pages() -> int:
        return (await page.pdf(format="A4")).count(b"/Type /Page\n")

    assert await pages() == 1
    await page.evaluate("() => document.documentElement.app.table.toggle(true)")
    assert await pages() > 4


async def test_paper_of_an_empty_memory_says_how_to_begin(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "empty.db") as memory:
        await memory.export_html(tmp_path / "empty.html")
    page = await opening(tmp_path / "empty.html")
    await page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    await page.emulate_media(media="print")
    assert await page.locator(".begin").is_visible()
    assert await page.locator(".paper").count() == 0
