"""Reading Python source: which files there are, and what one file says of its module and its classes.

`read_notes` runs in worker processes, so everything here is plain functions over plain tuples and lists.
What a name means is judged by the file alone: a base class is named after the import it came through.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import random
import signal
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

Entity = tuple[str, str]  # its kind ("module", "class" or "function") and its name
Link = tuple[str, Entity, Entity]  # "imports", "defines", "subclasses" or "decorates"; from; to

ASKED_ABOUT = {"argparse", "asyncio", "configparser", "json", "re", "socket"}


class SourceFile(NamedTuple):
    path: str
    module: str


class Note(NamedTuple):
    """What one module or class says of itself, each thing once: the text and the facts that an agent writes at once."""

    key: str  # its file and its name
    about: Entity
    text: str  # docstrings, the first paragraph of each after the name of what it is of
    links: list[Link]


def installed_folders() -> list[Path]:
    """The interpreter's standard library and what is installed beside it."""
    paths = sysconfig.get_paths()
    folders = (Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def find_files(folders: Iterable[Path]) -> list[SourceFile]:
    """Every Python file below the folders, once, sorted by its module's name.

    Hidden folders are left out, and so are installed packages below a folder that is not itself theirs.
    """
    found: dict[str, SourceFile] = {}
    for folder in folders:
        root = folder = folder.resolve()
        while (root / "__init__.py").exists():  # a package's modules are named from the package's parent
            root = root.parent
        for path in _python_files(folder):
            parts = path.relative_to(root).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            found.setdefault(str(path), SourceFile(str(path), ".".join(parts)))
    return sorted(found.values(), key=lambda file: (file.module, file.path))


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, subfolders, names in os.walk(folder):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and name not in ("__pycache__", "site-packages", "dist-packages")
        ]
        yield from (Path(parent, name) for name in names if name.endswith(".py"))


def in_reading_order(files: list[SourceFile]) -> list[SourceFile]:
    """First what the questions are about, then the rest shuffled, the same way each time: time may end the reading."""
    shuffled = random.Random(0).sample(files, len(files))
    return sorted(shuffled, key=lambda file: file.module.partition(".")[0] not in ASKED_ABOUT)


@contextmanager
def parsing_processes(count: int) -> Iterator[Executor]:
    """Processes for `read_notes`. They leave Ctrl-C to their parent, which ends them in good order."""
    spawn = multiprocessing.get_context("spawn")  # a process that has threads should not be forked
    with ProcessPoolExecutor(count, spawn) as pool:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a new process inherits what is blocked
        try:
            for _ in range(count):
                pool.submit(int)  # starts a process
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        yield pool


def read_notes(file: SourceFile) -> list[Note]:
    """Read and parse one file; a file that is no Python says nothing."""
    try:
        file.module.encode()  # a file's name may be bytes that are no text
        with open(file.path, "rb") as source, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.read(), file.path)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return []
    is_package = os.path.basename(file.path) == "__init__.py"
    return _Reading(file, is_package).read(tree)


class _Reading:
    """One walk over a file's statements; without recursion, as generated files nest deeply."""

    def __init__(self, file: SourceFile, is_package: bool) -> None:
        self.path, self.module = file
        self.package = self.module if is_package else self.module.rpartition(".")[0]
        self.meaning: dict[str, str] = {}  # a name in this file -> the full name it stands for
        self.links: dict[Entity, dict[Link, None]] = {}  # of each note; dicts, as they keep the order
        self.texts: dict[Entity, list[str]] = {}

    def read(self, tree: ast.Module) -> list[Note]:
        for definition in tree.body:
            if isinstance(definition, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self.meaning[definition.name] = f"{self.module}.{definition.name}"
        module: Entity = ("module", self.module)
        self._open_note(module)
        self._document(module, tree, self.module)
        # What stands below a definition: the definition itself, and the module or class that has it in its note.
        waiting: list[tuple[ast.AST, Entity, Entity]] = [(tree, module, module)]
        while waiting:
            node, owner, note = waiting.pop()
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                owner, note = self._define(node, owner, note)
            waiting.extend((child, owner, note) for child in reversed(_statements_below(node)))
        return [
            Note(
                f"{self.path}:{about[1]}",
                about,
                "\n".join(self.texts[about]) or f"{about[1]} says nothing of itself",
                list(links),
            )
            for about, links in self.links.items()
        ]

    def _open_note(self, about: Entity) -> None:
        self.links.setdefault(about, {})
        self.texts.setdefault(about, [])

    def _document(
        self, note: Entity, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
    ) -> None:
        if docstring := ast.get_docstring(node):
            paragraph = " ".join(docstring.split("\n\n")[0].replace("\0", " ").split())
            self.texts[note].append(f"{name}: {paragraph.encode(errors='replace').decode()}")

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self.meaning[alias.asname] = alias.name
            self._imports(alias.name)

    def _import_from(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            parents = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            source = ".".join([*parents, source] if source else parents)
        for alias in node.names:
            self.meaning[alias.asname or alias.name] = f"{source}.{alias.name}"
        if source:  # a relative import that climbs out of every package names nothing
            self._imports(source)

    def _imports(self, name: str) -> None:
        module: Entity = ("module", self.module)
        self.links[module]["imports", module, ("module", name)] = None

    def _define(
        self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, owner: Entity, note: Entity
    ) -> tuple[Entity, Entity]:
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        defined = (kind, f"{owner[1]}.{node.name}")
        self.links[note]["defines", owner, defined] = None
        if kind == "class":
            note = defined
            self._open_note(note)
        self._document(note, node, defined[1])
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            if name := self._full_name(base):
                self.links[note]["subclasses", defined, ("class", name)] = None
        for decorator in node.decorator_list:
            if name := self._full_name(decorator):
                self.links[note]["decorates", ("function", name), defined] = None
        return defined, note

    def _full_name(self, expression: ast.expr) -> str | None:
        """`Generic[T]` is "typing.Generic", `app.route("/")` is "app.route"; what has no name is None."""
        attributes: list[str] = []
        while True:
            match expression:
                case ast.Call(func=inner) | ast.Subscript(value=inner):
                    expression = inner
                case ast.Attribute(value=inner, attr=attribute):
                    attributes.append(attribute)
                    expression = inner
                case ast.Name(id=name):
                    return ".".join([self.meaning.get(name, name), *reversed(attributes)])
                case _:
                    return None


def _statements_below(node: ast.AST) -> list[ast.AST]:
    """The statements directly inside this one; expressions define nothing, so they are left out."""
    return [
        child for block in ("body", "orelse", "handlers", "finalbody", "cases") for child in getattr(node, block, ())
    ]
