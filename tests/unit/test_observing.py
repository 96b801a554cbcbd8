"""Observers: who is told, until when, and what becomes of their errors."""

from __future__ import annotations

import asyncio
import logging

import pytest

from aiomemdb.observing import Event, LockWaited, Observers


def test_there_are_none_at_first_and_it_is_told_when_there_are_some() -> None:
    observers, changes = Observers(), list[bool]()
    observers.on_change.append(changes.append)
    assert not observers
    first, second = observers.add(print), observers.add(print)
    assert observers and changes == [True]
    first()
    first()  # once more does nothing
    assert observers and changes == [True]
    second()
    assert not observers and changes == [True, False]


def test_each_is_told_until_it_leaves() -> None:
    observers, one, other = Observers(), list[Event](), list[Event]()
    leave = observers.add(one.append)
    observers.add(other.append)
    observers.tell(LockWaited(1.0))
    leave()
    observers.tell(LockWaited(2.0))
    assert one == [LockWaited(1.0)] and other == [LockWaited(1.0), LockWaited(2.0)]


def test_an_observer_added_twice_is_called_twice() -> None:
    observers, told = Observers(), list[Event]()
    leave = observers.add(told.append)
    observers.add(told.append)
    observers.tell(LockWaited(1.0))
    leave()
    observers.tell(LockWaited(1.0))
    assert len(told) == 3


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
def test_an_observers_error_is_logged_once_and_the_others_are_called(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event) -> None:
        raise error

    observers, told = Observers(), list[Event]()
    observers.add(fail)
    observers.add(told.append)
    with caplog.at_level(logging.ERROR, "aiomemdb"):
        observers.tell(LockWaited(1.0))
        observers.tell(LockWaited(2.0))
    assert len(told) == 2
    [record] = caplog.records
    assert "LockWaited" in record.message and record.exc_info is not None and record.exc_info[1] is error


def test_an_observer_that_leaves_during_a_call_hears_no_more() -> None:
    observers, told = Observers(), list[Event]()

    def once(event: Event) -> None:
        told.append(event)
        leave()

    leave = observers.add(once)
    observers.tell(LockWaited(1.0))
    observers.tell(LockWaited(2.0))
    assert told == [LockWaited(1.0)]
