"""The parameters of a statement and the functions of a job, as they are handed over.

A job runs later than its call, so what the caller does to its parameters meanwhile must change nothing: the sequence or
mapping is copied, and so is each value that can change. SQLite would store a scalar of numpy by its bytes, as a BLOB:
it becomes the number that it stands for.
"""

from __future__ import annotations

import inspect
import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeVar

from ...database import Params

__all__ = ["PLAIN", "are_plain", "checked_function", "checked_params", "checked_rows", "finished", "unwrapped"]

F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")

#: Values of these types can't change, and SQLite stores them as what they are.
PLAIN: frozenset[type] = frozenset([int, float, str, bytes, bool, type(None)])

#: ``are_plain(map(type, params))``: whether all may be handed on as they are.
are_plain: Callable[[Iterable[type]], bool] = PLAIN.issuperset


def checked_params(params: Params) -> Params:
    """Parameters as a value of our own.

    Raises:
        TypeError: neither a sequence nor a mapping.
        Exception: what an adapter of the caller's raises.
    """
    if params.__class__ is tuple:
        return _checked_values(params)
    if isinstance(params, Mapping):
        return dict(zip(params, _checked_values(params.values()), strict=True))
    if isinstance(params, sqlite3.Row | Sequence) and not isinstance(params, str | bytes | bytearray | memoryview):
        return _checked_values(params)
    raise TypeError(
        f"params must be a sequence (for ?) or a mapping (for :name), not {type(params).__name__}"
        + ("; for one value write (value,)" if isinstance(params, str | bytes | int | float) else "")
    )


def checked_rows(rows: Iterable[Params]) -> list[Params]:
    """Many parameter sets, each as ``checked_params`` has it.

    Raises: what that raises, and what ``rows`` does; a note names the row.
    """
    if rows.__class__ is list and {*map(type, rows)} == {tuple} and are_plain(map(type, chain.from_iterable(rows))):
        return rows.copy()
    checked: list[Params] = []
    try:
        # Each as it comes: a generator may fill the same buffer anew for each row.
        for params in rows:
            is_plain = params.__class__ is tuple and are_plain(map(type, params))
            checked.append(params if is_plain else checked_params(params))
    except Exception as error:
        error.add_note(f"in row {len(checked) + 1} of write_many")
        raise
    return checked


def _checked_values(values: Iterable[object]) -> tuple[object, ...]:
    """The same values; none can change any more."""
    values = tuple(values)
    return values if are_plain(map(type, values)) else tuple(map(_as_it_is_now, values))


def _as_it_is_now(value: object) -> object:
    if value.__class__ in PLAIN:
        return value
    # As sqlite3 does, but at the call: registered adapters and __conform__ come first.
    value = sqlite3.adapt(value, sqlite3.PrepareProtocol, value)
    # Not imported: where nothing else has, no value is of numpy's.
    if (numpy := sys.modules.get("numpy")) is not None and isinstance(value, numpy.generic):
        value = float(value) if isinstance(value, numpy.floating) else value.item()
    if isinstance(value, int | float | str | bytes):
        return value
    try:
        return memoryview(value).tobytes()  # type: ignore[arg-type]
    except TypeError:  # no buffer; SQLite says whether it can be stored
        return value


def checked_function(fn: F, verb: str) -> F:
    if not callable(fn):
        raise TypeError(f"{verb} takes a function fn(conn, *args), not {type(fn).__name__}")
    innermost = unwrapped(fn)
    if inspect.iscoroutinefunction(innermost) or inspect.isasyncgenfunction(innermost):
        raise TypeError(
            f"{verb} takes a synchronous function: it runs on a database thread, where nothing can be awaited; "
            "await first and pass the result as an argument, or use transaction() for several awaited steps"
        )
    if inspect.isgeneratorfunction(innermost):
        raise TypeError(f"{verb} takes a function that runs when it is called, not a generator")
    return fn


def unwrapped(fn: object) -> object:
    """The function inside of ``functools.partial``."""
    while hasattr(fn, "func"):
        fn = fn.func
    return fn


def finished(result: R) -> R:
    """What a user's function returned, if all its work is done.

    Raises:
        TypeError: it is an awaitable, a generator or a cursor, which would go on outside the transaction and thread.
    """
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("the function returned an awaitable: it must be synchronous, nothing is awaited on its thread")
    if inspect.isgenerator(result):
        raise TypeError("the function returned a generator, and nothing of it has run: return a list")
    if isinstance(result, sqlite3.Cursor):
        raise TypeError("a cursor can't leave its thread: fetch the rows inside the function")
    return result
