"""The verb that serves: mcp."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer

from .. import telemetry
from ..engines import connect
from ..errors import NormaliserChanged
from ..formats.files import replace_file
from ..mcp import lines
from ..mcp.mirror import Mirror
from ..mcp.places import Place, place
from ..mcp.sdk.choosing import SDK, MissingSDK, load
from ..mcp.serving import MemoryService, Options
from ..mcp.stdio import Wire, claim, serve_stdio
from ..memory.memory import Memory
from .options import Agent, AlsoRead, Namespace
from .output import Output
from .performing import INTERRUPTED, OK, USAGE, perform
from .private import Written, refusal

__all__ = ["VERBS"]

_Serve: TypeAlias = Callable[[MemoryService, asyncio.Event], Coroutine[Any, Any, None]]

# A client ends a server by the end of its input, and kills what is still there some seconds later.
_TO_CLOSE = 0.8


def mcp(
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="The database file, or a URL; default: see the guide."),
    ] = None,
    names: Annotated[
        Literal["folded", "exact"] | None,
        typer.Option("--names", help="For a new file: which spellings are one name; default: folded."),
    ] = None,
    tools: Annotated[
        Literal["graph", "memory", "full"],
        typer.Option("--tools", help="The nine of the reference server, seven of our own, or all."),
    ] = "graph",
    read_only: Annotated[bool, typer.Option("--read-only", help="No tool that writes.")] = False,
    no_delete: Annotated[bool, typer.Option("--no-delete", help="No tool that deletes.")] = False,
    delete: Annotated[
        Literal["forget", "retract"],
        typer.Option("--delete", help="What delete_entities does: for good, or kept in the history."),
    ] = "forget",
    max_answer: Annotated[
        int, typer.Option("--max-answer", min=100, metavar="TOKENS", help="How long an answer of our own tools may be.")
    ] = 25_000,
    agent: Agent = None,
    namespace: Namespace = "default",
    also_read: AlsoRead = [],  # noqa: B006 (typer's way to say: may repeat)
    imported: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Add what a file of JSON Lines has, then serve.")
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Write the graph as JSON Lines, and end; - is stdout."),
    ] = None,
    mirror: Annotated[
        Path | None, typer.Option("--mirror", metavar="FILE", help="A file of JSON Lines, kept as the graph is.")
    ] = None,
    http: Annotated[
        str | None, typer.Option("--http", metavar="HOST:PORT", help="Serve all sessions of this machine over HTTP.")
    ] = None,
    host: Annotated[
        list[str], typer.Option("--host", metavar="NAME", help="What other machines call this one; may repeat.")
    ] = [],  # noqa: B006
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="Has the token that each request must have.")
    ] = None,
) -> None:
    """Serve a memory to agents, by the Model Context Protocol: over standard input and output, or over HTTP."""
    output = Output()
    try:
        sdk = load()
        where = place(file, os.environ)
        over_http = None if http is None else _http(sdk, http, host, token_file, output)
    except (MissingSDK, ValueError, OSError) as error:
        output.error(error, str(error))
        raise typer.Exit(USAGE) from None
    serve = over_http or _stdio(sdk)
    options = Options(
        tools=tools,
        agent=agent,
        also_read=tuple(also_read),
        read_only=read_only,
        deletes=not no_delete,
        retracts=delete == "retract",
        max_answer=max_answer,
    )

    async def work() -> int:
        async with _memory(where, names, namespace, read_only) as (memory, written, refuses):
            if refuses is not None and imported is not None:
                raise NormaliserChanged(refuses)
            if imported is not None:
                await lines.import_file(memory, imported)
            if exported is not None:
                await _export(memory.scoped(also_read=also_read), exported)
                return OK
            kept = None if mirror is None else Mirror(mirror)
            if kept is not None:
                await kept.refresh(memory.scoped(also_read=also_read))
            before = None if written is None else written.refresh
            service = MemoryService(memory, replace(options, refuses=refuses), kept, before)
            try:
                return await _until_stopped(serve, service)
            finally:
                await service.close()

    perform(output, work, timeout=None)


@asynccontextmanager
async def _memory(
    where: Place, names: str | None, namespace: str, read_only: bool
) -> AsyncIterator[tuple[Memory, Written | None, str | None]]:
    """The memory; of one that is read by its names as they are written also these, and why it can't be written."""
    path = where.path
    if path is not None and not read_only:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    more: dict[str, Any] = {} if path is None else {"read_only": read_only, "max_hold": 120.0}
    with _telemetry():
        db = await connect(where.target, **more)
        try:
            named: dict[str, Any] = {} if names is None else {"normaliser": names}
            written, refuses = None, None
            try:
                memory = await Memory.open(db, namespace=namespace, **named)
            except NormaliserChanged as error:
                if names is not None:
                    raise
                written, refuses = await Written.of(db), str(refusal(error))
                memory = await written.open(namespace=namespace, agent=None)
            try:
                if where.imported is not None and where.imported.exists() and not (read_only or refuses):
                    await lines.import_once(memory, where.imported)
                yield memory, written, refuses
            finally:
                await memory.close(_TO_CLOSE)
        finally:
            await db.close(_TO_CLOSE)


@contextmanager
def _telemetry() -> Iterator[None]:
    """A program that sets a provider, as ``opentelemetry-instrument aiomemdb mcp`` does, has imported its package."""
    if "opentelemetry" not in sys.modules:
        yield
        return
    end = telemetry.instrument()
    try:
        yield
    finally:
        end()


async def _export(memory: Memory, path: Path) -> None:
    pieces = await lines.exported(memory)
    if str(path) == "-":
        sys.stdout.writelines(pieces)
        sys.stdout.write("\n")
    else:
        await asyncio.to_thread(replace_file, path, pieces)


def _stdio(sdk: SDK) -> _Serve:
    async def serve(service: MemoryService, stop: asyncio.Event) -> None:
        await serve_stdio(sdk, sdk.server(service), Wire(*claim()), stop)

    return serve


def _http(sdk: SDK, listen: str, named: list[str], token_file: Path | None, output: Output) -> _Serve:
    """Raises: ValueError, OSError: this can't be served safely."""
    from ..mcp.http import address, hosts_of, serve_http, token_of

    host, port = address(listen)
    token = token_of(token_file, os.environ)
    hosts_of(host, port, named, token)

    async def serve(service: MemoryService, stop: asyncio.Event) -> None:
        await serve_http(
            sdk,
            sdk.server(service),
            host,
            port,
            named=named,
            token=token,
            stop=stop,
            listening=lambda url: output.note(f"serving {url}{'' if token else ' without a token'}"),
        )

    return serve


async def _until_stopped(serve: _Serve, service: MemoryService) -> int:
    stop, status = asyncio.Event(), OK

    def interrupt() -> None:
        nonlocal status
        status = INTERRUPTED
        stop.set()

    gc.freeze()  # the SDK's thousands of classes stay: no collection looks at them again, that at the end neither
    gc.set_threshold(20_000, 20, 20)  # a call of many rows makes many objects, and nearly none of them is garbage
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    await serve(service, stop)
    return status


VERBS: tuple[Callable[..., None], ...] = (mcp,)
