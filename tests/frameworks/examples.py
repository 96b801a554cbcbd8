"""The examples of frameworks, run as programs of their own."""

from __future__ import annotations

from pathlib import Path

from tests.support.plain import assert_healthy
from tests.support.scripts import run_script

__all__ = ["run_example"]

_FOLDER = Path(__file__).parents[2] / "examples" / "frameworks"
_AS_A_PROGRAM = """
    import os, runpy, sys
    os.chdir(sys.argv.pop(1))
    runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def run_example(name: str, path: Path) -> str:
    """What an example printed; it ended well and its file is healthy."""
    ended = run_script(_AS_A_PROGRAM, path.parent, _FOLDER / f"{name}.py", path)
    ended.assert_ok()
    ended.assert_quiet()  # frameworks may warn of themselves
    assert_healthy(path)
    return ended.stdout
