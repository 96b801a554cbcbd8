"""A pytest plugin: writes each test's outcome into the file that ``AIOMEMDB_OUTCOMES`` names, as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    # A test that failed in its set-up or its end has failed, whatever else it did.
    if report.failed:
        _outcomes[report.nodeid] = "failed"
    # pytest-retry reports a failed attempt as "retried", and then how the next attempt ended.
    elif report.outcome != "retried" and (report.when == "call" or report.skipped):
        _outcomes.setdefault(report.nodeid, report.outcome)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _outcomes[f"{report.nodeid} (collecting)"] = "failed"


def pytest_sessionfinish() -> None:
    Path(os.environ["AIOMEMDB_OUTCOMES"]).write_text(json.dumps(_outcomes))
