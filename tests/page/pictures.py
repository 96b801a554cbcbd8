"""The pictures of the page in README.md and docs/guides/seeing.md, in light and in dark.

    python -m tests.page.pictures

writes docs/pictures/page-light.png and page-dark.png: what three agents know of a company that is made up.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import async_playwright

from aiomemdb import Memory, Name, Statement
from tests.page.acting import look_up, titled
from tests.page.conftest import chromium

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
PEOPLE = (
    "Amara Osei", "Ben Fischer", "Chiara Neri", "Dev Patel", "Elif Kaya", "Farah Aziz", "Goran Ilic", "Hana Sato",
    "Ines Duarte", "Jonas Berg", "Kofi Mensah", "Lena Novak", "Mateo Ruiz", "Nora Lind", "Omar Haddad", "Priya Nair",
)  # fmt: skip
PROJECTS = ("Billing", "Search", "Mobile app", "Data lake", "Onboarding")
TOOLS = ("Postgres", "SQLite", "Kafka", "React", "Kubernetes", "Python", "Rust", "Grafana")
CITIES = ("Lisbon", "Berlin", "Nairobi", "Osaka", "Oslo")
CUSTOMERS = ("Northwind", "Blue Harbor", "Tallgrass", "Orchid Labs")
AGENTS = ("mail agent", "meeting notes", "code review")
BEGIN = datetime(2024, 1, 8, tzinfo=UTC)


def said(chance: random.Random) -> list[tuple[str, str, str, str, str, datetime]]:
    """(subject, its type, predicate, object, its type, when)."""
    facts = []
    for person in PEOPLE:
        when = BEGIN + timedelta(days=chance.randrange(400))
        facts.append((person, "person", "lives in", chance.choice(CITIES), "city", when))
        facts += [
            (person, "person", "works on", project, "project", when + timedelta(days=7))
            for project in chance.sample(PROJECTS, chance.choice((1, 1, 2)))
        ]
        facts.append((person, "person", "knows", chance.choice(TOOLS), "tool", when + timedelta(days=20)))
    for project in PROJECTS:
        facts += [
            (project, "project", "uses", tool, "tool", BEGIN + timedelta(days=chance.randrange(500)))
            for tool in chance.sample(TOOLS, 3)
        ]
        facts.append(
            (chance.choice(CUSTOMERS), "customer", "asked for", project, "project", BEGIN + timedelta(days=90))
        )
    return facts


async def fill(memory: Memory) -> None:
    chance = random.Random(5)
    for number, (subject, kind, predicate, object, other, when) in enumerate(said(chance)):
        words = f"{subject} {predicate} {object}"
        await memory.scoped(agent=chance.choice(AGENTS)).remember(
            f"{when:%d %B}. We went through the list. {words} from this week on, as was agreed. Next: the budget.",
            [
                Statement(
                    subject=Name(subject, kind), predicate=predicate, object=Name(object, other), valid_at=when,
                    quote=words, replace=predicate == "lives in",
                )
            ],
            key=f"note {number + 1}", session="weekly",
        )  # fmt: skip
    for person in PEOPLE[:6]:  # who moved since
        moved = Statement(
            subject=Name(person, "person"), predicate="lives in", object=Name(chance.choice(CITIES), "city"),
            valid_at=BEGIN + timedelta(days=450 + chance.randrange(200)), replace=True,
        )  # fmt: skip
        await memory.scoped(agent="mail agent").remember(f"{person} moved.", [moved], key=f"move of {person}")


async def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page_file = Path(folder, "team.html")
        async with Memory.open(Path(folder, "team.db")) as memory:
            await fill(memory)
            await memory.export_html(page_file)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            for scheme in ("light", "dark"):
                context = await browser.new_context(
                    viewport={"width": 1280, "height": 760}, color_scheme=scheme, reduced_motion="reduce"
                )
                page = await context.new_page()
                await page.goto(page_file.as_uri())
                await page.wait_for_selector("html[data-ready=true]")
                await look_up(page, "Search")
                await page.keyboard.press("Enter")
                await titled(page, "Search")
                await page.evaluate(
                    "() => { document.querySelector('.facts .fact details').open = true;"
                    " document.querySelector('#search').value = ''; document.activeElement.blur();"
                    " document.documentElement.app.graph.fit(false) }"
                )
                await page.evaluate("() => new Promise((resume) => setTimeout(resume, 400))")
                await page.screenshot(path=PICTURES / f"page-{scheme}.png")
                await context.close()
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
