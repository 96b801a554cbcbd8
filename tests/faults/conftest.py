"""Each campaign reports its figures in one line at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_FIGURES = "figures"  # a property of the test's report, which travels from the worker that ran it


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``figures("300 cuts, 0 lost")``: a line for the end of the run."""
    name = request.node.originalname or request.node.name
    return lambda line: request.node.user_properties.append((_FIGURES, f"{name}: {line}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    ended = (report for report in reports if getattr(report, "when", None) == "teardown")
    if lines := [line for report in ended for name, line in report.user_properties if name == _FIGURES]:
        terminalreporter.section("what was tried")
        for line in lines:
            terminalreporter.line(line)
