"""What the page of a memory costs a browser: first view, search, and work a frame while it is panned and zoomed.

    python bench/page.py                  a memory of facts among 20,000 entities, drawn in part and whole
    python bench/page.py --quick          2,000 alone
    python bench/page.py page.html ...    pages that are there
    python bench/page.py --served 1000000 how soon a memory of so many facts opens, served: half an hour to make it
    python bench/page.py --served my.db   the same of a memory that is there

It needs Chromium and playwright (``make test-page`` installs it), and uses no GPU: without one drawing costs most. Work
is the CPU time of the main thread for a frame: the median, beside the same of an empty page. Between two frames
passes what the reader sees; on a machine that does other things too it says little.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import CDPSession, Page, async_playwright

from aiomemdb import Document, Memory
from aiomemdb.memory.showing import Showing
from aiomemdb.pageserver.server import serve_page

_ALL = "() => document.documentElement.app.drawAll()"
_SETTLED = "() => !document.documentElement.app?.graph.moving"
_SIZE = "() => ['nodes', 'edges'].map((kind) => document.documentElement.app.graph[kind].size)"
_RECORD = """() => {
  window.frames_seen = [];
  const note = (now) => (window.frames_seen.push(now), window.frames_seen.ended || requestAnimationFrame(note));
  requestAnimationFrame(note);
}"""
_GAPS = """() => {
  const seen = window.frames_seen;
  seen.ended = true;
  return seen.slice(1).map((now, place) => now - seen[place]);
}"""
_SEARCH = """() => {
  const { search } = document.documentElement.app, times = [];
  for (const asked of ['entity 1', 'links', 'nowhere', '77', 'text of']) {
    const since = performance.now();
    search.input.value = asked;
    search.run();
    times.push(performance.now() - since);
  }
  search.input.value = '';
  search.run();
  return times;
}"""


async def make(path: Path, entities: int) -> None:
    """Facts as memories have them: few entities are in many."""
    chance = random.Random(7)
    async with Memory.open(path.with_suffix(".db")) as memory:
        for begin in range(0, entities, 500):
            await memory.scoped(agent=f"agent {begin // 500 % 7}").remember(
                f"text of {begin}",
                [
                    (f"entity {number}", "links to", f"entity {int(entities * chance.random() ** 3)}")
                    for number in range(begin, min(begin + 500, entities))
                    for _ in range(2)
                ],
            )
        await memory.export_html(path, limit=entities)


async def task_seconds(session: CDPSession) -> float:
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


async def work_a_frame(page: Page) -> tuple[float, float, float]:
    """Milliseconds of main-thread work for a step of a drag, and of the wheel, each shown at once; and between two
    frames: the medians.
    """
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})  # its CPU time, not that of others
    found: tuple[list[float], list[float]] = ([], [])
    await page.evaluate(_RECORD)
    for go in range(4):
        await page.mouse.move(260, 640)  # where nothing is drawn
        if go % 2 == 0:
            await page.mouse.down()
        for step in range(16):
            before = await task_seconds(session)
            if go % 2:
                await page.mouse.wheel(0, 40 if step < 8 else -40)
            else:
                await page.mouse.move(260 + 6 * step, 640 + 4 * step)
            await page.evaluate("() => new Promise(requestAnimationFrame)")
            found[go % 2].append(1000 * (await task_seconds(session) - before))
        if go % 2 == 0:
            await page.mouse.up()
    return median(found[0]), median(found[1]), median(await page.evaluate(_GAPS))


async def measure(browser: Any, file: Path) -> None:
    page = await (await browser.new_context(viewport={"width": 1440, "height": 900})).new_page()
    await page.goto("about:blank")
    empty = max((await work_a_frame(page))[:2])
    await page.goto(file.as_uri())
    await page.wait_for_selector("html[data-ready=true]", timeout=120_000)
    ready = await page.evaluate("() => performance.now()")
    print(
        f"{file.name}, {file.stat().st_size / 1e6:.2f} MB: first view after {ready / 1000:.2f} s; "
        f"an empty page {empty:.2f} ms a frame"
    )
    for drawn in ("first view", "all"):
        if drawn == "all":
            since = await page.evaluate("() => performance.now()")
            await page.evaluate(_ALL)
            took = await page.evaluate("() => performance.now()") - since
            await page.wait_for_function(_SETTLED)
            print(f"  drawing all took {took / 1000:.2f} s")
        nodes, edges = await page.evaluate(_SIZE)
        panned, zoomed, gap = await work_a_frame(page)
        search = median(await page.evaluate(_SEARCH))
        print(
            f"  {drawn}: {nodes:,} nodes, {edges:,} edges: panned {panned:.2f} ms, zoomed {zoomed:.2f} ms a frame "
            f"({panned / empty:.1f} and {zoomed / empty:.1f} × empty), a frame each {gap:.0f} ms, "
            f"search {search:.1f} ms"
        )
    await page.context.close()


async def fill(path: Path, facts: int) -> None:
    def documents() -> Iterator[Document]:
        for number in range(facts // 10):
            said = [(f"person {number} {n}", "belongs to", f"thing {number % 997}") for n in range(10)]
            yield Document(content=f"text {number} says little of thing {number % 997}", facts=said, key=str(number))

    async with Memory.open(path) as memory:
        await memory.remember_many(documents())


async def measure_served(browser: Any, file: Path) -> None:
    """From the address to the first view, and what of that is the server's: three times, as files get warm."""
    async with Memory.open(file) as memory, serve_page(memory) as address:
        facts = f"{json.loads(await Showing(memory, '').picture())['totals']['facts']:,} facts"
        for _ in range(3):
            page = await (await browser.new_context(viewport={"width": 1440, "height": 900})).new_page()
            since, cpu = time.perf_counter(), time.process_time()
            await page.goto(address)
            await page.wait_for_selector("html[data-ready=true]", timeout=120_000)
            took, cpu = time.perf_counter() - since, time.process_time() - cpu
            sent = await page.evaluate(
                "() => performance.getEntriesByType('resource').reduce((sum, each) => sum + each.encodedBodySize, 0)"
            )
            print(f"{facts}: first view after {took:.2f} s, {cpu:.2f} s of the server's CPU, {sent / 1e6:.2f} MB sent")
            await page.context.close()


async def main(options: argparse.Namespace) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder:
        pages = options.pages
        for entities in () if pages or options.served else (2000,) if options.quick else (2000, 20_000):
            pages = [*pages, Path(folder, f"{entities}.html")]
            await make(pages[-1], entities)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            print(f"Chromium {browser.version} without a GPU, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
            if options.served:
                file = Path(options.served) if not options.served.isdigit() else Path(folder, "served.db")
                if not file.exists():
                    await fill(file, int(options.served))
                await measure_served(browser, file)
            else:
                for page in pages:
                    await measure(browser, page.absolute())
            await browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--served", metavar="FACTS or FILE")
    asyncio.run(main(parser.parse_args()))
