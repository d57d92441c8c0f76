"""georoot."""

VERSION = "0.1.0"  # as pyproject.toml says; no Final: typing costs the health check as much CPU as all the rest
