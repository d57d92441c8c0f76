"""The acceptance: what the README promises, at full size; `make accept` runs it."""

from tests.support.figures import pytest_terminal_summary
from tests.support.fixtures import engine, project, site

__all__ = ["engine", "project", "pytest_terminal_summary", "site"]
