"""Is every safety missed when it is gone? ``make mutants``, or ``make mutants ARGS="fence savepoint"`` for some.

Each patch of mutants/ takes one safety out of a copy of the tree. The test files that its head names as likely run
first, then all; the first test that fails has caught it. A mutant that none has caught is a safety without a test.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
# Without the mutants themselves: that one does not apply any more, where it has been applied, is no test of it.
_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.db", "*.db-*", "mutants")
_LIMIT = 900.0


def main(wanted: list[str]) -> int:
    patches = [
        patch
        for patch in sorted((_HERE / "mutants").glob("*.patch"))
        if not wanted or any(word in patch.name for word in wanted)
    ]
    survivors = 0
    for patch in patches:
        began = time.monotonic()
        caught_by = _try(patch)
        survivors += caught_by is None
        print(f"{patch.stem:40} {time.monotonic() - began:5.0f} s  {caught_by or 'NOT CAUGHT'}", flush=True)
    print(f"{len(patches) - survivors} of {len(patches)} mutants caught")
    return 1 if survivors else 0


def _try(patch: Path) -> str | None:
    """Returns the test that has caught it, or None."""
    likely = re.search(r"^Likely: (.*)$", patch.read_text(), re.MULTILINE)
    assert likely is not None, f"{patch} does not say which tests are likely to catch it"
    with TemporaryDirectory(prefix="aiomemdb-mutant-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(_ROOT, copy, ignore=_LEFT_OUT)
        with open(patch) as text:
            subprocess.run(["patch", "--strip=1", "--quiet"], stdin=text, cwd=copy, check=True)
        return _first_failure(copy, likely[1].split()) or _first_failure(copy, [])


def _first_failure(copy: Path, files: list[str]) -> str | None:
    # Word by word as it goes: a test that runs out of time ends the run without a summary.
    command = [sys.executable, "-m", "pytest", "-x", "-v", "--tb=no", "-p", "no:cacheprovider", *files]
    process = subprocess.Popen(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        output, _ = process.communicate(timeout=_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    if process.returncode == 0:
        return None
    begun = re.findall(r"^(tests/\S+?\.py::.*?)(?: (?:PASSED|SKIPPED|FAILED|ERROR|\++ ).*)?$", output, re.MULTILINE)
    if not begun:
        raise RuntimeError(f"the tests could not be run:\n{output}")
    failed = re.findall(r"^(?:FAILED|ERROR) (tests/\S.*?)(?: - .*)?$", output, re.MULTILINE)
    return str((failed or begun)[-1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
