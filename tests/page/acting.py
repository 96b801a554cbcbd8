"""What a reader does with the page, by mouse and by keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["at", "click_entity", "drawn", "fact_ids", "look_up", "status", "titled"]

_PLACE = """name => {
  const { graph, model } = document.documentElement.app;
  const id = [...model.entities.values()].find((entity) => entity.name === name).id;
  return graph.standsAt(id);
}"""
_SETTLED = "() => !document.documentElement.app.graph.moving"


async def click_entity(page: Page, name: str, *, double: bool = False, shift: bool = False) -> None:
    """Clicks where the entity is drawn."""
    await page.wait_for_function(_SETTLED)
    x, y = await page.evaluate(_PLACE, name)
    if shift:
        await page.keyboard.down("Shift")
    await (page.mouse.dblclick(x, y) if double else page.mouse.click(x, y))
    if shift:
        await page.keyboard.up("Shift")


async def drawn(page: Page) -> set[str]:
    """The names that are drawn, bright or faint."""
    names: list[str] = await page.evaluate(
        "() => document.documentElement.app.graph.ranked.filter((node) => !node.absent)"
        ".map((node) => document.documentElement.app.model.entities.get(node.id).name)"
    )
    return set(names)


async def fact_ids(page: Page) -> set[int]:
    """The facts that the table view lists."""
    await page.evaluate("() => document.documentElement.app.table.toggle(true)")
    found = await page.locator("tr[data-fact]").evaluate_all("rows => rows.map((row) => Number(row.dataset.fact))")
    await page.evaluate("() => document.documentElement.app.table.toggle(false)")
    return set(found)


async def at(page: Page, **times: datetime | None) -> None:
    """Moves the sliders to times, as a link does."""
    parts = "&".join(f"{name}={when.isoformat()}" for name, when in times.items() if when is not None)
    await page.evaluate("(hash) => { location.hash = hash; }", parts.replace("+", "%2B"))
    wanted = [None if times.get(name) is None else times[name].timestamp() * 1000 for name in ("as_of", "known_at")]  # type: ignore[union-attr]
    await page.wait_for_function(
        "([a, k]) => document.documentElement.app.model.asOf === a && document.documentElement.app.model.knownAt === k",
        arg=wanted,
    )


async def look_up(page: Page, text: str) -> list[str]:
    """Types into the search, and returns what is listed."""
    if await page.evaluate("() => document.activeElement.id") != "search":
        await page.keyboard.press("/")
    await page.keyboard.type(text)
    await page.wait_for_selector("#hits:not([hidden])")
    return await page.locator("#hits .hit-text").all_inner_texts()


async def status(page: Page) -> Any:
    return await page.locator("#status").inner_text()


async def titled(page: Page, title: str) -> None:
    """Waits until the panel shows this."""
    await page.wait_for_function(
        "(title) => { const head = document.querySelector('.panel:not([hidden]) h2');"
        " return head && head.innerText.trim() === title }",
        arg=title,
    )
