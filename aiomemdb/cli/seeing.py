"""Verbs that show a memory in a browser."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ..pageserver.server import serve_page
from .options import AlsoRead, Namespace, Place, Target, Timeout
from .output import Output
from .performing import USAGE, memory, perform

__all__ = ["VERBS"]


def graph(
    file: Place,
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
    if page is None and file.is_url:
        output.error(ValueError(), f"name the page: {file} is no file to name it by")
        raise typer.Exit(USAGE)
    target = (page or file.file.with_suffix(".html")).resolve()

    async def work() -> None:
        if not overwrite and target.exists():
            raise FileExistsError(f"{target} exists already: name another page, or replace it with --overwrite")
        async with memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened:
            await opened.export_html(target, around=around, hops=hops, limit=limit, overwrite=overwrite)
        output.text(str(target))
        if open_it:
            webbrowser.open(target.as_uri())

    perform(output, work, timeout=timeout)


def serve(
    file: Place,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0: any free one.")] = 8765,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006
    timeout: Timeout = 60.0,
) -> None:
    """Show the memory in a browser on this machine, live, until Ctrl-C; it reads alone."""
    output = Output()

    async def work() -> None:
        async with (
            memory(file, timeout=timeout, namespace=namespace, also_read=also_read) as opened,
            serve_page(
                opened,
                port=port,
                title="memory" if file.is_url else file.file.stem,
                positions=_kept(file),
            ) as address,
        ):
            output.text(address)
            sys.stdout.flush()
            output.note("anyone with this address reads the memory; Ctrl-C ends it")
            if open_it:
                webbrowser.open(address)
            await asyncio.get_running_loop().create_future()  # until Ctrl-C

    perform(output, work, timeout=None)


def _kept(file: Target) -> Path:
    """Where the page of a memory keeps where things stand: beside no memory, as it reads alone."""
    chosen = os.environ.get("XDG_STATE_HOME")
    folder = Path(chosen) if chosen and os.path.isabs(chosen) else Path.home() / ".local" / "state"
    name = hashlib.sha256(os.fsencode(str(file) if file.is_url else os.path.realpath(file.file))).hexdigest()[:32]
    return folder / "aiomemdb" / "positions" / f"{name}.json"


VERBS: tuple[Callable[..., None], ...] = (graph, serve)
