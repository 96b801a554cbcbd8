"""The Python of docs/guides/postgres.md, on the tests' server."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from tests.support import postgres
from tests.support.scripts import run_script

GUIDE = Path(__file__).parents[2] / "docs/guides/postgres.md"
_ADDRESS = re.compile(r"postgresql://(?!standby)[^\"]+")


def test_the_blocks_of_the_guide_run(url: str, tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    text = _ADDRESS.sub(url, "\n".join(blocks))
    main = "async def main():\n" + textwrap.indent(text, "    ")
    run_script(f"import asyncio\n{main}\nasyncio.run(main())", tmp_path).assert_ok()
    assert postgres.execute(url, "SELECT body FROM note") == [("hello, world",)]
