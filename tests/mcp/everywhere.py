"""Runs the server's tests with the SDKs that it supports, and beside the reference server: ``make test-mcp``.

python -m tests.mcp.everywhere [--only 1.24] [arguments for pytest]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.mcp.clients import CHECKOUT

#: The oldest that serves, the newest of 1.x, the newest of 2.x.
SDKS = ("1.24.0", "1.30.0", "2.3.0")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aiomemdb" / "mcp"
#: Of a test, in seconds: 2,000 random sequences of calls take minutes on a busy machine.
TIMEOUT = 1_800
_TESTS = (
    "hypothesis",
    "opentelemetry-sdk>=1.31",
    "pytest>=8.4",
    "pytest-asyncio>=1.4",
    "pytest-timeout",
    "pytest-xdist",
)


def environment(sdk: str) -> Path:
    """The Python of an environment with this SDK; made once for all of the same needs."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    needs = sorted({*project["dependencies"], *project["optional-dependencies"]["cli"], *_TESTS, f"mcp=={sdk}"})
    digest = hashlib.sha256("\n".join([sys.version, *needs]).encode()).hexdigest()[:12]
    folder = CACHE / f"{sdk}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *needs]
        subprocess.run(install, check=True)
        # Its version is asked for; the checkout itself is on the path.
        [packages] = folder.glob("lib/python*/site-packages")
        info = packages / "aiomemdb-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: aiomemdb\nVersion: 0\n")
        (folder / ".ready").touch()
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="one SDK, or 'reference'")
    chosen, more = parser.parse_known_args()
    runs = {sdk: (environment(sdk) if chosen.only in (None, sdk) else None, ["tests/mcp"]) for sdk in SDKS}
    runs["reference"] = (Path(sys.executable), ["tests/mcp/reference/against_node.py"])
    failed = []
    for name, (python, tests) in runs.items():
        if python is None or chosen.only not in (None, name):
            continue
        print(f"== mcp {name}", flush=True)
        options = ["-q", "-m", "soak or not soak", "-p", "no:cacheprovider", f"--timeout={TIMEOUT}"]
        command = [python, "-m", "pytest", *options, *tests, *more]
        if subprocess.run(command, cwd=CHECKOUT).returncode:
            failed.append(name)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
