"""What tests measured (`record_property`), shown at the end of a run."""

import pytest


def show(reporter: pytest.TerminalReporter) -> None:
    """A line for each figure."""
    reports = [report for outcome in ("passed", "failed") for report in reporter.stats.get(outcome, ())]
    measured = [(name, value) for report in reports for name, value in report.user_properties]
    if measured:
        reporter.section("figures")
    for name, value in measured:
        reporter.line(f"{name}: {value}")
