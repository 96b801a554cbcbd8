"""Work on a loop that no cancellation reaches. Knows no SQL.

An event loop that ends cancels all its tasks. What has begun, and has callers to answer, is no task's: it goes on by
callbacks, as long as the loop runs. So it may await futures, and no more; what needs a task of its own gets one.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["detached"]

R = TypeVar("R")


def detached(work: Coroutine[Any, Any, R], loop: asyncio.AbstractEventLoop) -> asyncio.Future[R]:
    """Starts ``work`` at once, on the loop's thread; returns the future of its outcome, which cancels nothing."""
    outcome: asyncio.Future[R] = loop.create_future()
    context = contextvars.copy_context()

    def step(_: object = None) -> None:
        try:
            awaited = work.send(None)
        except StopIteration as end:
            if not outcome.done():
                outcome.set_result(end.value)
        except BaseException as error:
            if not outcome.done():
                outcome.set_exception(error)
            if not isinstance(error, Exception | asyncio.CancelledError):
                raise
        else:
            if awaited is None:  # asyncio.sleep(0)
                loop.call_soon(step, context=context)
            else:
                awaited._asyncio_future_blocking = False  # what a task does, too
                awaited.add_done_callback(step, context=context)

    context.run(step)
    return outcome
