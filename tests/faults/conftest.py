"""Each campaign tells its figures in one line at the end of the run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINES: list[str] = []


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``figures("300 cuts, 0 lost")``: a line for the end of the run."""
    return lambda line: _LINES.append(f"{request.node.originalname or request.node.name}: {line}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _LINES:
        terminalreporter.section("what was tried")
        for line in _LINES:
            terminalreporter.line(line)
