"""The mutants keep up with the code: whether they are caught, ``make mutants`` reports."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATCHES = sorted((Path(__file__).parent / "mutants").glob("*.patch"))


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_mutant_still_applies_and_names_tests_that_are_there(patch: Path) -> None:
    text = patch.read_text()
    with open(patch) as diff:
        done = subprocess.run(
            ["patch", "--strip=1", "--dry-run", "--force"], stdin=diff, cwd=ROOT, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout + done.stderr
    [what] = re.findall(r"^Removed: (.+)\.$", text, re.MULTILINE)
    [likely] = re.findall(r"^Likely: (.+)$", text, re.MULTILINE)
    assert what
    assert all((ROOT / name).exists() for name in likely.split())
