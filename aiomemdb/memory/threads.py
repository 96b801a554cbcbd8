"""What blocks runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

__all__ = ["in_thread"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


async def in_thread(function: Callable[[*Ts], R], *args: *Ts) -> R:
    """Run what blocks in a thread. Cancelled, it waits for that: it leaves nothing half done."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
        raise
