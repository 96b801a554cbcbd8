"""Builds the sdist and the wheel, has twine check them, and installs the wheel into empty environments: make dist.

One environment has the wheel alone, and each extra has another. In each a program runs in an empty folder and uses what
the extra installs; without the extra, the same program reports an error that names it. The environments are deleted.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"

#: What runs with the wheel alone.
CORE = """
import asyncio, importlib.metadata, importlib.resources, subprocess, sys
import aiomemdb

async def main():
    async with aiomemdb.Memory.open("memory.db") as memory:
        await memory.remember("Ada lives in London.", [("Ada", "lives in", "London")])
        assert (await memory.recall("Ada")).hits
        assert await memory.db.read_value("SELECT count(*) FROM entity") == 2

aiomemdb.run(main())
with aiomemdb.blocking.connect("plain.db") as db:
    db.write("CREATE TABLE note (body)")
    assert db.write("INSERT INTO note VALUES ('a')") == 1
assert importlib.metadata.version("aiomemdb") == aiomemdb.__version__
assert importlib.resources.files("aiomemdb").joinpath("py.typed").is_file()
"""

#: For each extra that users install: a program that uses it. tests/unit/test_extras.py compares them.
PROGRAMS = {
    "adk": "from aiomemdb.integrations.google_adk import AiomemdbSessionService",
    "agent-framework": "from aiomemdb.integrations.agent_framework import AiomemdbCheckpointStorage",
    "claude": "from aiomemdb.integrations.claude_agent import AiomemdbSessionStore",
    "cli": "import subprocess, sys; subprocess.run([sys.executable, '-m', 'aiomemdb', '--version'], check=True)",
    "embeddings-http": "import aiomemdb; aiomemdb.embedders.openai_compatible('m', 2, base_url='http://a/v1')",
    "embeddings": "import asyncio, aiomemdb; assert len(asyncio.run(aiomemdb.embedders.packaged().embed(['a']))[0])",
    "langgraph": "from aiomemdb.integrations.langgraph import AiomemdbSaver, AiomemdbStore",
    "llama-index": "from aiomemdb.integrations.llama_index import AiomemdbChatStore",
    "mcp": "from aiomemdb.mcp.sdk.choosing import load; load()",
    "openai": "from aiomemdb.integrations.openai_agents import AiomemdbSession",
    "otel": "import aiomemdb.telemetry; aiomemdb.telemetry.instrument()",
    "postgres": "import aiomemdb; aiomemdb.connect('postgresql://nowhere')",
    "pydantic-ai": "from aiomemdb.integrations.pydantic_ai import AiomemdbConversationStore",
    "serve": """
import aiomemdb
from aiomemdb.pageserver.server import serve_page

async def main():
    async with aiomemdb.Memory.open("page.db") as memory, serve_page(memory) as address:
        assert address.startswith("http://127.0.0.1:")

aiomemdb.run(main())
""",
    "sqlalchemy": "from sqlalchemy.ext.asyncio import create_async_engine as c; c('sqlite+aiomemdb:///a.db')",
}
#: What the page of a memory is built from; the package has what is built.
SOURCES = "aiomemdb/view/page/"


def users_extras() -> set[str]:
    """The extras of pyproject.toml that the package itself names, in the error where one is missing."""
    named = {
        extra
        for room in (ROOT / "aiomemdb").rglob("*.py")
        for extras in re.findall(r"aiomemdb\[([a-z,-]+)\]", room.read_text())
        for extra in extras.split(",")
    }
    with open(ROOT / "pyproject.toml", "rb") as file:
        declared = set(tomllib.load(file)["project"]["optional-dependencies"])
    assert named <= declared, f"the package names extras that pyproject.toml lacks: {sorted(named - declared)}"
    return named


def run(*command: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], cwd=folder, check=True, text=True, capture_output=True)


def build() -> tuple[Path, Path]:
    """Builds into dist/, which is made anew. Returns the sdist and the wheel."""
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    print(run(sys.executable, "-m", "twine", "check", "--strict", *DIST.iterdir()).stdout, end="")
    [sdist], [wheel] = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    return sdist, wheel


def strays(sdist: Path, wheel: Path) -> list[str]:
    """What either holds that is not under version control, or lacks what a user needs."""
    kept = set(run("git", "ls-files").stdout.splitlines())
    with tarfile.open(sdist) as archive:
        packed = {member.name.partition("/")[2] for member in archive if member.isfile()} - {"PKG-INFO"}
    with zipfile.ZipFile(wheel) as archive:
        installed = {name for name in archive.namelist() if ".dist-info/" not in name}
    needed = {name for name in kept if name.startswith("aiomemdb/") and not name.startswith(SOURCES)}
    needed.add("pytest_aiomemdb.py")
    return [
        *(f"{sdist.name} holds {name}, which is not kept" for name in sorted(packed - kept)),
        *(f"{wheel.name} lacks {name}" for name in sorted(needed - installed)),
        *(f"{wheel.name} holds {name}, which is no part of the package" for name in sorted(installed - needed)),
    ]


def try_out(wheel: Path, extra: str) -> str | None:
    """Installs the wheel with an extra ("" for none) and runs its program. Returns what went wrong."""
    with tempfile.TemporaryDirectory(prefix="aiomemdb-dist-") as place:
        folder = Path(place)
        venv.create(folder / "venv", with_pip=True)
        python, work = folder / "venv/bin/python", folder / "work"
        work.mkdir()
        target = f"aiomemdb[{extra}] @ {wheel.as_uri()}" if extra else wheel
        try:
            run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", target)
            run(python, "-c", PROGRAMS[extra] if extra else CORE, folder=work)
        except subprocess.CalledProcessError as error:
            return (error.stderr or error.stdout).strip()
        if extra:
            return None
        return "\n".join(filter(None, (_without(python, other, work) for other in PROGRAMS))) or None


def _without(python: Path, extra: str, work: Path) -> str | None:
    """Runs an extra's program where the extra is absent. Returns what is wrong with the error that it reports."""
    ran = subprocess.run([python, "-c", PROGRAMS[extra]], cwd=work, capture_output=True, text=True, check=False)
    if ran.returncode and re.search(rf"aiomemdb\[(?:[a-z-]+,)*{extra}\]", ran.stderr):
        return None
    if extra == "sqlalchemy" and "No module named 'sqlalchemy'" in ran.stderr:
        return None  # the program itself imports SQLAlchemy first
    return f"without the extra {extra}, its users get: {ran.stderr.strip() or 'no error'}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make dist", description=__doc__)
    parser.add_argument("--only", action="append", metavar="EXTRA", help="install with this extra alone; '' for none")
    only = parser.parse_args().only
    if without := users_extras() ^ set(PROGRAMS):
        print(f"add to PROGRAMS, or remove from it: {sorted(without)}", file=sys.stderr)
        return 1
    sdist, wheel = build()
    problems = strays(sdist, wheel)
    for extra in ["", *sorted(PROGRAMS)] if only is None else only:
        wrong = try_out(wheel, extra)
        print(f"{extra or 'the wheel alone':<16} {'ok' if wrong is None else 'FAILED'}", flush=True)
        problems += [f"{extra or 'the wheel alone'}: {wrong}"] if wrong else []
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
