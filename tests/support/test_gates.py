from __future__ import annotations

import asyncio

import pytest

from tests.support.gates import Gate


async def test_a_blocked_function_goes_on_when_the_gate_opens() -> None:
    with Gate() as gate:
        held = asyncio.create_task(asyncio.to_thread(gate.block, "a connection"))
        await gate.wait_entered()
        assert not held.done()
        gate.open()
        await held


async def test_a_gate_counts_the_calls_that_entered() -> None:
    with Gate() as gate:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(asyncio.to_thread(gate.block))
            await gate.wait_entered(3)
            assert gate.entered == 3
            gate.open()


async def test_waiting_for_no_arrival_ends_with_a_clear_error_and_can_be_repeated() -> None:
    with Gate() as gate:
        with pytest.raises(TimeoutError, match="0 of 1 entered the gate"):
            await gate.wait_entered(timeout=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(gate.block))
            await gate.wait_entered()
            gate.open()


async def test_a_test_that_fails_inside_opens_its_gate() -> None:
    with pytest.raises(ZeroDivisionError), Gate() as gate:
        held = asyncio.create_task(asyncio.to_thread(gate.block))
        await gate.wait_entered()
        raise ZeroDivisionError
    await held
