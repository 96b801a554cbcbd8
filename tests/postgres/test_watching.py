"""Sockets are looked at beside the loop, as long as something is awaited."""

from __future__ import annotations

import asyncio
import socket

from aiomemdb.postgres.watching import Watch, is_ready


async def test_what_is_watched_is_looked_at_again_and_again_until_it_is_taken_out() -> None:
    watch, looks, enough = Watch(asyncio.get_running_loop()), [0], asyncio.Event()

    def look() -> None:
        looks[0] += 1
        if looks[0] == 3:
            watch.looks.discard(look)
            enough.set()

    watch.add(look)
    await asyncio.wait_for(enough.wait(), 60)
    assert watch._timer is None or not watch.looks
    watch.end()
    watch.add(look)
    watch.end()
    assert watch._timer is None


def test_a_socket_is_ready_where_something_has_come_or_the_other_side_is_gone() -> None:
    one, other = socket.socketpair()
    with one:
        assert not is_ready(one.fileno()) and is_ready(one.fileno(), to_read=False)
        other.close()
        assert is_ready(one.fileno())
