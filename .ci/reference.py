"""Writes the plain Markdown of docs/reference from the docstrings and the commands: make reference.

A page has a block between ``<!-- names: make reference -->`` and ``<!-- end -->``. The site leaves the block out, and
has what mkdocstrings renders at the ``:::`` of each name. With --check nothing is written, and the exit code is 1 if a
page is not what the docstrings have.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
PAGES = ROOT / "docs/reference"
_BLOCK = re.compile(r"(<!-- (names|commands): make reference -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_NAME = re.compile(r"^::: (aiomemdb\.[\w.]+)$", re.MULTILINE)
_SECTION = re.compile(r"^(?:Args|Attributes|Returns|Yields|Raises|Example|Examples|Cancellation)\b.*:", re.MULTILINE)


def found(path: str) -> Any:
    """What a dotted name stands for."""
    value = importlib.import_module("aiomemdb")
    for name in path.split(".")[1:]:
        value = getattr(value, name) if hasattr(value, name) else importlib.import_module(f"{value.__name__}.{name}")
    return value


def plain(text: str) -> str:
    """A docstring's text in Markdown."""
    return re.sub(r"::$", ":", re.sub(r"``(.+?)``", r"`\1`", text, flags=re.DOTALL), flags=re.MULTILINE)


def first_sentence(value: object) -> str:
    paragraph = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())
    return re.sub(r":+$", ".", plain(re.split(r"(?<=\.) (?=[A-Z`])", paragraph)[0]))


def raised(value: object) -> str:
    section = re.search(r"^Raises:\n((?:[ ]+.*\n?|\n)+)", inspect.getdoc(value) or "", re.MULTILINE)
    names = re.findall(r"^    (\w[\w.]*(?:, \w+)*):", section[1], re.MULTILINE) if section else []
    return ", ".join(dict.fromkeys(f"`{name}`" for each in names for name in each.split(", ")))


def call(name: str, value: Any) -> str:
    """A function with its parameters, without their types."""
    shown, starred = [], False
    for each in inspect.signature(value).parameters.values():
        if each.name in ("self", "cls"):
            continue
        if each.kind is each.KEYWORD_ONLY and not starred:
            shown.append("*")
        starred |= each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        prefix = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        default = "" if each.default is each.empty else f"={each.default!r}"
        shown.append(prefix + each.name + ("=…" if each.default is ... or len(default) > 24 else default))
    return f"{name}({', '.join(shown)})"


def members(kind: type, documented: set[type]) -> Iterator[tuple[str, Any]]:
    """Its public functions and properties, in the order of the source; not those of a class with a place of its own."""
    seen: set[str] = set()
    for base in kind.__mro__:
        if base is not kind and base in documented:
            break
        for name, value in vars(base).items():
            value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
            if name.startswith("_") or name in seen or not inspect.getdoc(value):
                continue
            if inspect.isfunction(value) or isinstance(value, property):
                seen.add(name)
                yield name, value


def prose(value: object) -> str:
    """A whole docstring; its sections are lists, its examples are blocks."""
    text = plain(inspect.getdoc(value) or "")
    text = re.sub(r"^    (\w[\w, .]*): ", r"- `\1`: ", text, flags=re.MULTILINE)
    text = re.sub(r"^        (?=\S)", "  ", text, flags=re.MULTILINE)
    return re.sub(r"^((?:Args|Raises|Returns|Attributes):)\n(?=- )", r"\1\n\n", text, flags=re.MULTILINE)


def row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def entry(path: str, documented: set[type]) -> str:
    value, short = found(path), path.removeprefix("aiomemdb.")
    if not inspect.isclass(value):
        return f"## {short}\n\n`{call(short, value)}`\n\n{prose(value)}"
    doc = inspect.getdoc(value) or ""
    section = _SECTION.search(doc)
    lines = [f"## {short}", "", plain(doc[: section.start()] if section else doc).strip()]
    for about in re.findall(r"^(?:Raises, from|Cancellation).*?(?=\n\n|\n\w+:|\Z)", doc, re.MULTILINE | re.DOTALL):
        if section and doc.index(about) >= section.start():
            lines += ["", plain(about)]
    if dataclasses.is_dataclass(value):
        lines += ["", "Fields: " + ", ".join(f"`{field.name}`" for field in dataclasses.fields(value)) + "."]
    rows = [
        row(f"`{call(name, member) if inspect.isfunction(member) else name}`", first_sentence(member), raised(member))
        for name, member in members(value, documented)
    ]
    if rows:
        lines += ["", row("verb", "what it does", "its own errors"), "|---|---|---|", *rows]
    if others := [
        base.__name__ for base in value.__mro__[1:] if base in documented and not issubclass(base, Exception)
    ]:
        lines += ["", f"It has everything of `{others[0]}` too."]
    return "\n".join(lines)


def names(page: str) -> str:
    paths = _NAME.findall(page)
    everywhere = [path for each in PAGES.glob("*.md") for path in _NAME.findall(each.read_text())]
    documented = {value for value in map(found, everywhere) if inspect.isclass(value)}
    asked = next((path for path in paths if inspect.isclass(found(path))), paths[0])
    more = f"`help({asked})` and the site (`make docs`) have every argument with its unit, and what cancellation does."
    return "\n\n".join([more, *(entry(path, documented) for path in paths)])


def metavar(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def commands(page: str) -> str:
    import typer.main

    from aiomemdb.cli.app import app

    command: Any = typer.main.get_command(app)
    lines: list[str] = []
    for name, verb in command.commands.items():
        arguments = [each for each in verb.params if each.param_type_name == "argument"]
        usage = " ".join(metavar(each) for each in arguments)
        lines += ["", f"## {name}", "", f"`aiomemdb {name} {usage}`".replace(" `", "`"), "", verb.help, ""]
        lines += [row("option", "what it does"), "|---|---|"]
        for each in verb.params:
            opts = [metavar(each)] if each in arguments else [*each.opts, *each.secondary_opts]
            lines.append(row(", ".join(f"`{opt}`" for opt in opts), " ".join((each.help or "").split())))
    return "\n".join(lines).strip()


WRITTEN = {"names": names, "commands": commands}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not up to date")
    check, stale = parser.parse_args().check, False
    for path in sorted(PAGES.glob("*.md")):
        page = path.read_text()
        text = _BLOCK.sub(lambda block: f"{block[1]}\n{WRITTEN[block[2]](page)}\n\n{block[4]}", page)  # noqa: B023
        if text == page:
            continue
        stale = True
        print(f"{path.relative_to(ROOT)} {'is not what the docstrings have: make reference' if check else 'written'}")
        if not check:
            path.write_text(text)
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
