"""What agents wrote is text, whatever it looks like."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from aiomemdb import Memory, Statement
from tests.memory.test_seeing import HOSTILE
from tests.page.acting import drawn, look_up
from tests.page.conftest import Opening

_RUN = "<img src=x onerror=\"document.title='run'\">"
TEXTS = (*HOSTILE, _RUN, "\"'><svg onload=alert(1)>", "a\x01b\x0bc", "\U0001f600" * 40)
# Elements and attributes that the page never makes.
_FOREIGN = (
    "() => document.querySelectorAll('img, iframe, object, embed, base, form, [onerror], [onload], [href^=javascript]')"
    ".length"
)


async def test_hostile_names_and_texts_show_as_text(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "hostile.db", agent=_RUN) as memory:
        for text in TEXTS:
            await memory.remember(
                f"before {text} after",
                [
                    Statement(subject=text, predicate=text, object="Ada", quote=text, text=text),
                    Statement(subject="Ada", predicate=text, value=text),
                ],
                key=text, session=text, source=text, mentions=[text],
            )  # fmt: skip
            await memory.find_or_create_entity(text, text, text)
        names = {entity.name for entity in await memory.entities()}
        await memory.export_html(tmp_path / "hostile.html")
    page = await opening(tmp_path / "hostile.html")
    assert await drawn(page) == names
    for kind, kinds in (("entity", "entities"), ("fact", "facts"), ("episode", "episodes")):
        ids = await page.evaluate("(kinds) => [...document.documentElement.app.model[kinds].keys()]", kinds)
        for id in ids:
            await page.evaluate("([kind, id]) => document.documentElement.app.choose(kind, id)", [kind, id])
            await page.evaluate(
                "() => document.querySelectorAll('.panel details').forEach((each) => (each.open = true))"
            )
            assert await page.evaluate(_FOREIGN) == 0
    await page.get_by_role("button", name="Agents", exact=True).click()
    assert _RUN in await page.locator(".legend").inner_text()
    for text in TEXTS[:3]:
        assert await look_up(page, text)
        assert await page.evaluate(_FOREIGN) == 0
        await page.keyboard.press("Escape")
    await page.evaluate("() => document.documentElement.app.table.toggle(true)")
    assert await page.evaluate(_FOREIGN) == 0
    assert await page.title() == "hostile · aiomemdb"
    await page.evaluate("() => document.documentElement.app.table.toggle(false)")
    await page.get_by_label("Save the view").click()
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="As SVG").click()
    drawing = ElementTree.parse(await (await waiting.value).path())
    kinds = {each.tag.rpartition("}")[2] for each in drawing.iter()}
    assert kinds == {"svg", "rect", "path", "title", "text", "g", "circle"}


async def test_what_came_from_the_memory_can_not_run_though_it_became_markup(written: Path, opening: Opening) -> None:
    """The second wall: were a text made markup by a mistake, the policy would still keep it from running."""
    page = await opening(written, may_say="Content Security Policy")
    ran = await page.evaluate(
        """async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
          window.ran = false;
          const box = document.createElement("div");
          document.body.append(box);
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          box.append(script);
          const frame = document.createElement("iframe");
          frame.src = "data:text/html,<script>parent.ran = true</script>";
          box.append(frame);
          await new Promise((resume) => setTimeout(resume, 100));
          return [window.ran, refused.length > 0];
        }"""
    )
    assert ran == [False, True]


async def test_ten_thousand_facts_and_a_huge_value_leave_the_page_usable(tmp_path: Path, opening: Opening) -> None:
    async with Memory.open(tmp_path / "hub.db", agent="ann") as memory:
        await memory.remember("t", [Statement(subject="hub", predicate="is", value=number) for number in range(10_000)])
        await memory.add_fact("hub", "says", value="v" * 1_000_000)
        await memory.export_html(tmp_path / "hub.html")
    page = await opening(tmp_path / "hub.html")
    await look_up(page, "hub")
    await page.keyboard.press("Enter")
    panel = page.locator(".panel")
    assert "more facts about it are beyond what the page shows" in await panel.inner_text()
    before = await panel.locator(".fact").count()
    assert before == 60
    await panel.get_by_role("button", name="Show 340 more").click()
    assert await panel.locator(".fact").count() == 400
