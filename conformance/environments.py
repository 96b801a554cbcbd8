"""What the suites need, kept in the user's cache: sources by their version, environments by a hash of their pins."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .suites import Suite

__all__ = ["CHECKOUT", "environment", "source"]

CHECKOUT = Path(__file__).parents[1]
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiomemdb" / "conformance"


def environment(suite: Suite) -> Path:
    """Returns the Python of the suite's environment, which is made if it is not there: one for all of the same pins.

    aiomemdb itself is not installed in it: the checkout is on its path, so that each checkout can use it. Its entry
    points alone are written into it, by which SQLAlchemy finds the dialect.
    """
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    pins = sorted({*project["dependencies"], *suite.packages})
    digest = hashlib.sha256("\n".join([sys.version, *pins]).encode()).hexdigest()[:16]
    folder = _CACHE / "environments" / digest
    python, ready = folder / "bin" / "python", folder / ".ready"
    with _locked(folder):
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            _pip(python, "install", *pins)
            ready.touch()
        _write_entry_points(folder, project["entry-points"])
    return python


def _write_entry_points(folder: Path, groups: Mapping[str, Mapping[str, str]]) -> None:
    [packages] = folder.glob("lib/python*/site-packages")
    distribution = packages / "aiomemdb-0.dist-info"
    distribution.mkdir(exist_ok=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: aiomemdb\nVersion: 0\n")
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *map(" = ".join, points.items()))]
    (distribution / "entry_points.txt").write_text("\n".join(lines) + "\n")


def source(pin: str) -> Path:
    """Returns the folder of an sdist, which is fetched if it is not there."""
    name = pin.partition("==")[0]
    folder = _CACHE / "sources" / pin.replace("==", "-")
    with _locked(folder):
        if not folder.exists():
            fetched = folder.with_suffix(".fetching")
            shutil.rmtree(fetched, ignore_errors=True)
            _pip(Path(sys.executable), "download", "--no-deps", "--no-binary", name, "--dest", str(fetched), pin)
            [archive] = fetched.glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(fetched, filter="data")
            archive.unlink()
            fetched.rename(folder)
    [unpacked] = folder.iterdir()
    return unpacked


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs at once make it once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
