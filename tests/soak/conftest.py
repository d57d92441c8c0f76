"""The soak: random work and random faults for SOAK_MINUTES (10), SOAK_KILLS (200) kills; `make soak` runs it."""

from tests.support.figures import pytest_terminal_summary
from tests.support.fixtures import engine, project, site

__all__ = ["engine", "project", "pytest_terminal_summary", "site"]
