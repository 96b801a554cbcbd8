"""Verbs that show a memory in a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .options import AlsoRead, File, Namespace, Timeout
from .output import Output
from .performing import memory, perform

__all__ = ["VERBS"]


def graph(
    file: File,
    page: Annotated[
        Path | None, typer.Argument(metavar="[PAGE]", help="The page to write; default: FILE with .html in its place.")
    ] = None,
    around: Annotated[str | None, typer.Option("--around", help="What is around this entity, by name.")] = None,
    hops: Annotated[int, typer.Option("--hops", min=1, help="How many facts away from it.")] = 2,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many entities at most.")] = 2000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a page that is there.")] = False,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006 (typer's way to say: may repeat)
    timeout: Timeout = 60.0,
) -> None:
    """Write a page that shows the memory: one file, for any browser, without a network."""
    output = Output()
    target = (page or file.with_suffix(".html")).resolve()

    async def work() -> None:
        if not overwrite and target.exists():
            raise FileExistsError(f"{target} exists already: name another page, or replace it with --overwrite")
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            await opened.export_html(target, around=around, hops=hops, limit=limit, overwrite=overwrite)
        output.text(str(target))
        if open_it:
            webbrowser.open(target.as_uri())

    perform(output, work, timeout=timeout)


VERBS: tuple[Callable[..., None], ...] = (graph,)
