"""georoot."""
