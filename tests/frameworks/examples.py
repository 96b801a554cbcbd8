"""The examples of frameworks and the blocks of their guides, run as programs of their own."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from tests.support.plain import assert_healthy
from tests.support.scripts import run_script

__all__ = ["run_example", "run_guide"]

_ROOT = Path(__file__).parents[2]
_FOLDER = _ROOT / "examples" / "frameworks"
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


def run_guide(page: str, folder: Path, before: str = "", after: str = "") -> str:
    """What the Python blocks of a guide printed, run one after the other in a coroutine.

    Args:
        before: makes what a reader's own program has: ``agent``, say. It may import from examples/frameworks.
        after: runs in the coroutine too, behind the blocks.
    """
    blocks = re.findall(r"^```python\n(.*?)^```$", (_ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    assert blocks
    main = "async def main():\n" + textwrap.indent("\n".join([*blocks, textwrap.dedent(after)]), "    ")
    find = f"import asyncio, os, sys\nos.chdir(sys.argv[1])\nsys.path.insert(0, {str(_FOLDER)!r})"
    ended = run_script("\n".join([find, textwrap.dedent(before), main, "asyncio.run(main())"]), folder)
    ended.assert_ok()
    ended.assert_quiet()
    return ended.stdout
