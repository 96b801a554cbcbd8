"""What `make dist` tries out is what a user can install."""

from __future__ import annotations

import runpy
from pathlib import Path

DIST = runpy.run_path(str(Path(__file__).parents[2] / ".ci/dist.py"))


def test_each_extra_that_an_error_names_is_tried_out() -> None:
    assert sorted(DIST["PROGRAMS"]) == sorted(DIST["users_extras"]())
