"""What is wrong with a value, on one line."""

from collections.abc import Mapping

from pydantic import ValidationError


def mistakes(error: ValidationError, *, below: tuple[str, ...] = ()) -> str:
    """Which value is wrong, what is wrong with it, and what it is.

    Args:
        error: Of a model of the settings.
        below: Only what is wrong at this place or below it.

    Returns:
        Mistakes joined by semicolons; empty where there is none at that place.
    """
    lines = []
    for found in error.errors(include_url=False):
        place = tuple(str(key) for key in found["loc"])
        if place[: len(below)] == below:
            message = str(found["msg"]).removeprefix("Value error, ")
            # Of a rule on several values the input is the whole configuration, which says nothing.
            given = "" if isinstance(found["input"], Mapping) else f", got {found['input']!r}"
            lines.append(f"{'.'.join(place)}: {message}{given}" if place else f"{message}{given}")
    return "; ".join(dict.fromkeys(lines))
