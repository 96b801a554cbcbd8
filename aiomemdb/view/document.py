"""The page as one document: the built program and style, and data beside them that is never markup.

The data is gzip in base64: no character of it means anything to a parser of HTML. The policy in the document's head
lets run what was built, by its hash, and nothing else; it lets nothing be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import secrets
from functools import cache
from pathlib import Path

__all__ = ["check_target", "page_of", "policy", "served_page", "write_page"]

BUILT = Path(__file__).parent / "built"

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{policy}<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>aiomemdb</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<noscript>This page draws a memory by a program that it contains: allow it to run scripts.</noscript>
<div id="app"></div>
"""


@cache
def _built(name: str) -> str:
    return (BUILT / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def policy(connect: str = "'none'") -> str:
    """The Content-Security-Policy of the page: its own program and style by their hashes, nothing from data.

    Args:
        connect: where the program may fetch from.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(_built('page.js'))}",
            f"style-src {_hash(_built('page.css'))}",
            "worker-src blob:",
            "img-src data: blob:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _document(middle: str, meta: str) -> bytes:
    head = _HEAD.format(policy=meta, style=_built("page.css"))
    return f"{head}{middle}<script>{_built('page.js')}</script>\n</body>\n</html>\n".encode()


def page_of(data: bytes) -> bytes:
    """The page around data, which is JSON."""
    packed = base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy()}">\n'
    return _document(f'<script id="data" type="application/gzip">{packed}</script>\n', meta)


def served_page() -> bytes:
    """The page without data, which fetches it; its policy comes in the head of the answer."""
    return _document("", "")


def check_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """The file to write, before the memory is read for it.

    Raises: FileExistsError, FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError.
    """
    target = Path(os.path.abspath(path))
    folder = target.parent
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder: name a file in it, such as {target / 'memory.html'}")
    if not folder.exists():
        raise FileNotFoundError(f"the folder {folder} does not exist; create it first")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder: name a folder for the page")
    if not overwrite and os.path.lexists(target):
        raise FileExistsError(f"{target} exists already: write to a new name, or replace it with overwrite=True")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"the folder {folder} can't be written: choose another one, or change its permissions")
    return target


def write_page(target: Path, content: bytes, *, overwrite: bool) -> None:
    """Whole or not at all: written beside it, and moved to its name.

    Raises: OSError; FileExistsError: another process has made the file meanwhile.
    """
    beside = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    try:
        with open(beside, "xb") as file:
            file.write(content)
        if overwrite:
            os.replace(beside, target)
        else:
            try:
                os.link(beside, target)  # fails if the name is taken
            except FileExistsError:
                raise FileExistsError(f"{target} was made by another process meanwhile; choose a new name") from None
            except OSError:  # a file system without links
                os.rename(beside, target)
    finally:
        beside.unlink(missing_ok=True)
