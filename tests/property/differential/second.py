"""Another process, which writes by an aiomemdb of its own between the rounds of a program."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support.others import OtherProcess

from .programs import Program

__all__ = ["SecondProcess"]

_SET_UP = """
from contextlib import suppress
from functools import partial
from tests.property.differential.programs import Program, prepare

signal.alarm(0)  # it ends with its standard input

async def run(path, limits, pragmas, statements):
    prepares = partial(prepare, Program((), (), limits))
    async with aiomemdb.connect(path, readers=1, prepare=prepares, pragmas=pragmas) as db:
        for statement in statements:
            with suppress(sqlite3.Error, aiomemdb.AiomemdbError):
                await db.write(statement)
"""


class SecondProcess:
    """Starts when it is first needed, as that takes as long as fifty programs; ends with the block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._process: OtherProcess | None = None

    async def run(self, path: Path, program: Program, statements: tuple[str, ...]) -> None:
        """Each statement is a job of its own; those that fail are passed over."""
        if self._process is None:
            self._process = self._stack.enter_context(OtherProcess(path))
            await self._process.does(_SET_UP)
        await self._process.does(f"await run({str(path)!r}, {program.limits!r}, {program.pragmas!r}, {statements!r})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
