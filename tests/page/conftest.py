"""The page in a browser: ``make test-page`` runs these; ``make test`` leaves them out, as few machines have one.

Chromium is the system's (``apt install chromium``), or playwright's own (``playwright install chromium``), or the one
that AIOMEMDB_CHROMIUM names. Without any the tests skip, and say so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aiomemdb import Memory, Statement
from tests.memory.support import day

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

WANTED = bool(os.environ.get("AIOMEMDB_PAGE"))
if not WANTED:
    collect_ignore_glob = ["test_*.py"]

PATIENCE = 60_000.0  # ms: to end a hang

#: Opens an address in a browser's window of its own.
Opening = Callable[..., Awaitable["Page"]]


def chromium() -> str | None:
    """Where the browser is; None: playwright's own."""
    named = os.environ.get("AIOMEMDB_CHROMIUM")
    return named or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    if find_spec("playwright") is None:
        pytest.skip("playwright is not installed: pip install 'aiomemdb[page]'")
    from playwright.async_api import Error, async_playwright

    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(
                executable_path=chromium(), args=["--no-sandbox"], timeout=PATIENCE
            )
        except Error as error:
            if chromium() is not None:
                raise  # it is there, and does not start
            pytest.skip(f"no Chromium: apt install chromium ({str(error).splitlines()[0]})")
        yield browser
        await browser.close()


@pytest.fixture
async def opening(browser: Browser) -> AsyncIterator[Opening]:
    """Opens pages; at the end none of them has written to the console, or asked anything of another server."""
    wrong: list[str] = []
    pages: list[Page] = []

    async def open(address: str | Path, *, may_say: str | None = None, **options: Any) -> Page:
        from_disk = isinstance(address, Path)
        url = address.as_uri() if isinstance(address, Path) else address
        options = {"viewport": {"width": 1280, "height": 800}, "offline": from_disk, **options}
        context = await browser.new_context(**options)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE)
        allowed = ("blob:", "data:", url.split("?")[0].split("#")[0] if from_disk else "/".join(url.split("/")[:3]))
        page.on("console", lambda said: (may_say and may_say in said.text) or wrong.append(f"console: {said.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: request.url.startswith(allowed) or wrong.append(f"request: {request.url}"))
        await page.goto(url)
        await page.wait_for_selector("html[data-ready]")
        pages.append(page)
        return page

    yield open
    for page in pages:
        await page.context.close()
    assert wrong == []


@pytest.fixture
async def memory(db_path: Path) -> AsyncIterator[Memory]:
    """Two agents' memory of some people: with periods, evidence, a retracted fact and one that was replaced."""
    async with Memory.open(db_path) as memory:
        ann, bob = memory.scoped(agent="ann"), memory.scoped(agent="bob")
        await ann.remember(
            "In 1833 Ada moved to London. There she met Charles Babbage, who had built an engine.",
            [
                Statement(subject="Ada", predicate="lives in", object="London", quote="Ada moved to London",
                          valid_at=day(10), invalid_at=day(40)),
                Statement(subject="Ada", predicate="met", object="Charles Babbage", quote="she met Charles Babbage"),
                Statement(subject="Charles Babbage", predicate="built", object="Engine"),
            ],
            key="letter 1",
        )  # fmt: skip
        await bob.add_fact("Ada", "lives in", "Ockham", valid_at=day(40))
        await bob.add_fact("Engine", "is kept in", "Museum", valid_at=day(90))
        await bob.add_fact("Ada", "born", value=1815)
        await bob.retract(await bob.add_fact("Ada", "hates", "Poetry"), "she does not")
        await ann.add_fact("Charles Babbage", "works at", "Cambridge", valid_at=day(5))
        await ann.add_fact("Charles Babbage", "works at", "London", valid_at=day(60), replace=True)
        ada = await memory.entity("Ada")
        assert ada is not None
        await ann.add_alias(ada, "Countess of Lovelace")
        yield memory


@pytest.fixture
async def written(memory: Memory, tmp_path: Path) -> Path:
    """The page of that memory."""
    await memory.export_html(tmp_path / "people.html")
    return tmp_path / "people.html"
