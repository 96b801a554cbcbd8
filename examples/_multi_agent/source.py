"""Reading Python source: which files there are, and what one file says about modules, classes and functions.

`read_facts` runs in worker processes, so everything here is plain functions over plain tuples and lists.
What a name means is judged by the file alone: a base class is named after the import it came through.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
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


class SourceFile(NamedTuple):
    path: str
    module: str


class FileFacts(NamedTuple):
    """What one file says, each thing once, in the order in which the file says it."""

    path: str
    module: str
    entities: list[Entity]
    links: list[Link]
    text: str  # its docstrings, the first paragraph of each after the name of what it is of


class Skipped(NamedTuple):
    """A file that could not be read as Python, and why."""

    path: str
    reason: str


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


def spread(files: list[SourceFile], count: int) -> list[SourceFile]:
    """At most `count` of the files, evenly from the whole list."""
    if len(files) <= count:
        return files
    return [files[i * len(files) // count] for i in range(count)]


@contextmanager
def parsing_processes(count: int) -> Iterator[Executor]:
    """Processes for `read_facts`. They leave Ctrl-C to their parent, which ends them in good order."""
    spawn = multiprocessing.get_context("spawn")  # a process that has threads should not be forked
    with ProcessPoolExecutor(count, spawn) as pool:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a new process inherits that something is ignored
        try:
            for _ in range(count):
                pool.submit(int)  # starts a process
        finally:
            signal.signal(signal.SIGINT, handler)
        yield pool


def read_facts(file: SourceFile) -> FileFacts | Skipped:
    """Read and parse one file; never raises for what a file may hold."""
    try:
        file.module.encode()  # a file's name may be bytes that are no text
        with open(file.path, "rb") as source, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source.read(), file.path)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        return Skipped(file.path, type(error).__name__)
    is_package = os.path.basename(file.path) == "__init__.py"
    return _Reading(file, is_package).read(tree)


class _Reading:
    """One walk over a file's statements; without recursion, as generated files nest deeply."""

    def __init__(self, file: SourceFile, is_package: bool) -> None:
        self.path, self.module = file
        self.package = self.module if is_package else self.module.rpartition(".")[0]
        self.meaning: dict[str, str] = {}  # a name in this file -> the full name it stands for
        self.entities: dict[Entity, None] = {("module", self.module): None}  # a dict, as it keeps the order
        self.links: dict[Link, None] = {}
        self.texts: list[str] = []

    def read(self, tree: ast.Module) -> FileFacts:
        for definition in tree.body:
            if isinstance(definition, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self.meaning[definition.name] = f"{self.module}.{definition.name}"
        self._document(tree, self.module)
        waiting: list[tuple[ast.AST, Entity]] = [(tree, ("module", self.module))]
        while waiting:
            node, owner = waiting.pop()
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
            elif isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                owner = self._define(node, owner)
            waiting.extend((child, owner) for child in reversed(_statements_below(node)))
        text = "\n".join(self.texts) or f"{self.module} says nothing of itself"
        return FileFacts(self.path, self.module, list(self.entities), list(self.links), text)

    def _document(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> None:
        if docstring := ast.get_docstring(node):
            paragraph = " ".join(docstring.split("\n\n")[0].replace("\0", " ").split())
            self.texts.append(f"{name}: {paragraph.encode(errors='replace').decode()}")

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self.meaning[alias.asname] = alias.name
            self._link("imports", ("module", self.module), ("module", alias.name))

    def _import_from(self, node: ast.ImportFrom) -> None:
        source = node.module or ""
        if node.level:
            parents = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            source = ".".join([*parents, source] if source else parents)
        for alias in node.names:
            self.meaning[alias.asname or alias.name] = f"{source}.{alias.name}"
        if source:  # a relative import that climbs out of every package names nothing
            self._link("imports", ("module", self.module), ("module", source))

    def _define(self, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, owner: Entity) -> Entity:
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        defined = (kind, f"{owner[1]}.{node.name}")
        self._link("defines", owner, defined)
        self._document(node, defined[1])
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            if name := self._full_name(base):
                self._link("subclasses", defined, ("class", name))
        for decorator in node.decorator_list:
            if name := self._full_name(decorator):
                self._link("decorates", ("function", name), defined)
        return defined

    def _link(self, kind: str, source: Entity, target: Entity) -> None:
        self.entities[source] = self.entities[target] = None
        self.links[kind, source, target] = None

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
