"""The soak: random work and random faults for SOAK_MINUTES (10); `make soak` runs it."""

from tests.support.figures import pytest_terminal_summary
from tests.support.fixtures import engine, project, site

__all__ = ["engine", "project", "pytest_terminal_summary", "site"]
