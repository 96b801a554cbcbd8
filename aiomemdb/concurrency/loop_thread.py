"""An event loop in a thread of the library's own: for callers that have no loop, or another one.

There is one in a process, from the first ``stay()`` to the end of the last::

    here = stay()
    try:
        db = here.thread.run(opened)              # in a thread: it waits
        rows = await here.thread.call(reading)    # or in a coroutine, on any loop
    finally:
        here.end()

The thread is a daemon, which an exit ends in good order: Python calls what is registered at exit when all threads that
are no daemons have ended. Until then these go on; a loop in a thread that is no daemon would have to end before them.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from contextlib import suppress

from ..errors import DatabaseClosed
from ..runner import loop_factory
from .bell import call_on_loop
from .crossing import Crossing

__all__ = ["LoopThread", "Stay", "stay"]

# Seconds that the loop goes on for tasks that have not ended when its last user leaves; then they are cancelled.
_END = 10.0

# Seconds that the end of the interpreter may wait for the loop: it drains what is queued for two.
_EXIT = 10.0


class LoopThread(Crossing):
    """The loop, and its thread. ``run`` and ``call`` reach it."""

    def __init__(self) -> None:
        super().__init__((loop_factory() or asyncio.new_event_loop)())
        self._stays = 0
        self._over: asyncio.Future[None] = self.loop.create_future()
        self._living: asyncio.Task[None] | None = None
        self._runs = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="aiomemdb:loop", daemon=True)
        try:
            self._thread.start()
        except BaseException:  # there are too many threads
            self.loop.close()
            raise
        _alive.add(self)
        self._runs.wait()

    def __repr__(self) -> str:
        return f"<LoopThread {self._stays} stays{'' if self._thread.is_alive() else ', ended'}>"

    def _serve(self) -> None:
        try:
            with suppress(asyncio.CancelledError), asyncio.Runner(loop_factory=lambda: self.loop) as runner:
                runner.run(self._live())
        finally:
            self._step_down()  # also where something has raised SystemExit on it
            _alive.discard(self)

    async def _live(self) -> None:
        self._living = asyncio.current_task()
        self._runs.set()
        await self._over
        # A call of another thread, a close() that Ctrl-C has left.
        deadline = self.loop.time() + _END
        while (left := asyncio.all_tasks() - {self._living}) and (seconds := deadline - self.loop.time()) > 0:
            await asyncio.wait(left, timeout=seconds)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def end_at_exit(self) -> None:
        """End it and wait until it has ended. Where its last user has left before, a ``close()`` may be going on."""
        call_on_loop(self.loop, self._cut_short)
        self.join(_EXIT)

    def _cut_short(self) -> None:
        """On the loop, behind what its last user has asked for."""
        if not self._over.done() and self._living is not None:
            self._living.cancel()

    def _count_down(self) -> bool:
        """Whether that was the last stay."""
        with _changing:
            self._stays -= 1
            if self._stays:
                return False
            self._step_down()
        return call_on_loop(self.loop, self._end)

    def _step_down(self) -> None:
        """The next stay is at another one."""
        global _current
        if _current is self:
            _current = None

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)


class Stay:
    """Keeps the loop's thread until ``end``, or until it is collected.

    Attributes:
        thread: its ``run`` and ``call`` reach the loop.
    """

    def __init__(self, thread: LoopThread) -> None:
        self.thread: LoopThread = thread
        self._end = weakref.finalize(self, _collected, thread)
        self._end.atexit = False

    def again(self) -> Stay:
        """Another stay at the same thread.

        Raises:
            DatabaseClosed: it has ended.
        """
        with _changing:
            if not self._end.alive:
                raise DatabaseClosed("the database is closing or closed")
            self.thread._stays += 1
            return Stay(self.thread)

    def end(self, *, wait: bool = True) -> None:
        """End it, and the thread with the last stay. Idempotent.

        Args:
            wait: whether until that thread has ended; where an event loop runs, nothing is waited for.
        """
        if self._end.detach() is None or self.thread.is_of_parent:
            return
        if self.thread._count_down() and wait and asyncio._get_running_loop() is None:
            self.thread.join()


def _collected(thread: LoopThread) -> None:
    """On any thread, perhaps in the middle of what _changing guards: the loop counts down."""
    if not thread.is_of_parent:
        call_on_loop(thread.loop, thread._count_down)


_changing = threading.Lock()
_current: LoopThread | None = None
_alive: set[LoopThread] = set()


def stay() -> Stay:
    """Begin a stay at the process's loop; start its thread where there is none.

    Raises:
        OSError, RuntimeError: there are too many descriptors or threads.
    """
    global _current
    with _changing:
        if _current is None:
            _current = LoopThread()
        _current._stays += 1
        return Stay(_current)


def _end_at_exit() -> None:
    for thread in list(_alive):  # one may still be ending, if its last user was interrupted
        thread.end_at_exit()


def _after_fork_in_child() -> None:
    global _changing, _current
    _changing, _current = threading.Lock(), None
    _alive.clear()


atexit.register(_end_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
