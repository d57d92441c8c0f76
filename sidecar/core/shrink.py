"""The space that dictionaries and sets once needed goes back."""

from typing import Any


def shrink(*held: dict[Any, Any] | set[Any]) -> None:
    """Clear what is empty: dictionaries and sets keep the space that they once needed until then."""
    for each in held:
        if not each:
            each.clear()
