"""Container tests want an engine, the image and the test image; `make test` sees to them."""

from tests.support.figures import pytest_terminal_summary
from tests.support.fixtures import engine, project, site

__all__ = ["engine", "project", "pytest_terminal_summary", "site"]
