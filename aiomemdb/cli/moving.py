"""Verbs that move memories: export and import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import Progress

from ..formats import lines
from ..formats.files import opened_twice
from .options import Agent, AsJson, Place, Timeout
from .output import Output
from .performing import memory, perform

__all__ = ["VERBS"]


def _reports(bar: Progress) -> Callable[[int, int | None], None]:
    task = bar.add_task("", total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def export(
    file: Place,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A file that is not there yet, or a folder; - is standard output."),
    ] = "-",
    format: Annotated[
        Literal["aiomemdb", "server-memory", "markdown"],
        typer.Option("--format", help="All that there is; server-memory's JSON Lines; a folder of Markdown pages."),
    ] = "aiomemdb",
    namespace: Annotated[list[str], typer.Option("--namespace", help="What to write; may repeat; default: all.")] = [],  # noqa: B006
    vectors: Annotated[bool, typer.Option("--vectors", help="Write the vectors too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    as_json: AsJson = False,
    timeout: Timeout = 3600.0,
) -> None:
    """Write a memory to a file that `import` brings back, with all its past."""
    output = Output(as_json)
    chosen: list[str] | Literal["all"] = namespace or "all"
    if format == "markdown" and target == "-":
        raise typer.BadParameter("pages need a folder: give its path")

    async def work() -> None:
        async with memory(file, timeout=timeout) as opened:
            with output.progress("writing") as bar:
                progress = _reports(bar)
                if format == "markdown":
                    pages = await opened.export_markdown(
                        target, namespaces=chosen, overwrite=overwrite, progress=progress
                    )
                    written = asdict(pages)
                else:
                    rows = await opened.export(
                        target,
                        format=format,
                        vectors=vectors,
                        namespaces=chosen,
                        overwrite=overwrite,
                        progress=progress,
                    )
                    written = asdict(rows)
        if target == "-":
            output.note(", ".join(f"{count:,} {kind}" for kind, count in written.items()))
        else:
            output.document(written)

    perform(output, work, timeout=timeout)


def import_(
    file: Place,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="What `export` wrote, server-memory's JSON Lines, or a folder of Markdown; - reads standard input.",
            show_default=False,
        ),
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Where all of it goes; default: where it comes from.")
    ] = None,
    agent: Agent = None,
    as_json: AsJson = False,
    timeout: Timeout = 3600.0,
) -> None:
    """Bring a memory into a file; make one if there is none. The same source again changes nothing."""
    output = Output(as_json)

    async def work() -> None:
        normaliser = None if not file.is_url and file.file.exists() else _normaliser(source)
        async with memory(file, timeout=timeout, agent=agent, writes=True, normaliser=normaliser) as opened:
            with output.progress("reading") as bar:
                imported = await opened.import_(source, namespace=namespace, progress=_reports(bar))
        output.document(asdict(imported))

    perform(output, work, timeout=timeout)


def _normaliser(source: str) -> Literal["exact"] | None:
    """What a new memory is to be opened with. Raises: OSError: the source can't be read: then none is made."""
    if source == "-" or not Path(source).is_file():
        if source != "-":
            Path(source).stat()
        return None
    with opened_twice(source) as file:
        first = file.readline()
        exact = lines.is_header(first) and lines.read_header(first).normalisers.get("normaliser") == "exact"
    return "exact" if exact else None


VERBS: tuple[Callable[..., None], ...] = (export, import_)
