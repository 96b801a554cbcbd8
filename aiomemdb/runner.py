"""``run``: a coroutine on uvloop, where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["loop_factory", "run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T] | Callable[[], Coroutine[Any, Any, T]], *, debug: bool | None = None) -> T:
    """As ``asyncio.run``, on uvloop where it is installed: ``aiomemdb.run(main())``, or ``aiomemdb.run(main)``.

    Raises: what ``main`` raises; ``RuntimeError`` inside a running event loop.
    Ctrl-C cancels ``main`` and raises ``KeyboardInterrupt``.
    """
    if asyncio._get_running_loop() is not None:
        if asyncio.iscoroutine(main):
            main.close()
        raise RuntimeError(
            "aiomemdb.run() starts an event loop, and one runs here already (a notebook's, a framework's): "
            "await main() instead"
        )
    with asyncio.Runner(debug=debug, loop_factory=loop_factory()) as runner:
        return runner.run(main() if callable(main) else main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's loops, or None where it is not installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
