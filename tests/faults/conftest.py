"""Each campaign reports its figures in one line at the end of the run."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

_FIGURES = "figures"  # a property of the test's report, which travels from the worker that ran it


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``figures("300 cuts, 0 lost")``: a line for the end of the run."""
    name = request.node.originalname or request.node.name
    campaign = request.path.stem.removeprefix("test_")
    return lambda line: request.node.user_properties.append((_FIGURES, (campaign, name, line)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    ended = (report for report in reports if getattr(report, "when", None) == "teardown")
    if lines := [line for report in ended for name, line in report.user_properties if name == _FIGURES]:
        terminalreporter.section("what was tried")
        for _, name, line in lines:
            terminalreporter.line(f"{name}: {line}")
        if path := terminalreporter.config.getoption("--figures"):
            _write(Path(path), lines)


def _write(path: Path, lines: list[tuple[str, str, str]]) -> None:
    """Writes what the campaigns did into the file that docs/measured is made from; campaigns that did not run stay."""
    content = json.loads(path.read_text()) if path.exists() else {"figures": {}}
    load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    content["context"] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.platform(terse=True)}; load {load}",
        "versions": f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
    }
    of_campaign: dict[str, list[str]] = {}
    for campaign, name, line in lines:
        of_campaign.setdefault(campaign, []).append(f"{name.removeprefix('test_').replace('_', ' ')}: {line}")
    content["figures"] |= of_campaign
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
