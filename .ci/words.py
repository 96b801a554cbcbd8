"""Fails where a text uses a word that the project's style leaves out, and says which word serves instead.

Looked at: the pages, and of the code the comments, docstrings, messages (strings of four words and more) and names of
tests. Code inside of backticks and SQL are left out.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: What is left out, and what serves instead.
INSTEAD = {
    r"nobody|somebody|whoever|whom": "name the task, process, caller or reader",
    r"whose|of which": "a sentence of its own, or: with, that has",
    r"tells": "reports, says, shows",
    r"gives(?! (?:up|way)\b)": "returns, has, offers",
    r"mend(?:s|ed|ing)?": "fix",
    r"but for": "except",
    r"(?-i:Else)|[,;] else": "otherwise",
}
_WORDS = re.compile(rf"(?<![\w.])(?:{'|'.join(f'({words})' for words in INSTEAD)})(?!\w|\()", re.IGNORECASE)
_CODE = re.compile(r"(`+)(?:(?!\1).)+\1", re.DOTALL)
#: They list words.
_LISTS = ("aiomemdb/memory/words.py", "tests/unit/test_documentation.py", ".ci/words.py")
_SQL = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|WHERE|CASE)\b")


def _texts_of_code(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of what a person reads in a module."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if len(node.value.split()) > 3 and not _SQL.search(node.value):
                yield node.lineno, node.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.replace("_", " ")


def _texts_of_page(source: str) -> Iterator[tuple[int, str]]:
    """(1, text) of a page, with as many lines as it has, without its blocks of code."""
    yield 1, re.sub(r"^[ ]*```.*?^[ ]*```$", lambda block: "\n" * block[0].count("\n"), source, flags=re.M | re.S)


def found(path: Path) -> Iterator[str]:
    texts = _texts_of_page if path.suffix == ".md" else _texts_of_code
    for line, text in texts(path.read_text()):
        bare = _CODE.sub(lambda code: "`" + "\n" * code[0].count("\n"), text)
        for match in _WORDS.finditer(bare):
            assert match.lastindex is not None
            at = line + bare.count("\n", 0, match.start())
            yield f"{path.relative_to(ROOT)}:{at}: {match[0]!r}: {list(INSTEAD.values())[match.lastindex - 1]}"


def main() -> int:
    listed = subprocess.run(["git", "ls-files", "*.py", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if name not in _LISTS and (ROOT / name).is_file()]
    lines = [line for name in names for line in found(ROOT / name)]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
