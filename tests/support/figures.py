"""What tests measured (`record_property`), shown at the end of a run."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each figure; a conftest that imports this has it."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, ())]
    measured = [(name, value) for report in reports for name, value in report.user_properties]
    if measured:
        terminalreporter.section("figures")
    for name, value in measured:
        terminalreporter.line(f"{name}: {value}")
