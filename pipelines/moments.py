"""Times as a person writes them on the command line: a moment, or a day that means all of itself."""

import argparse
from datetime import UTC, date, datetime, timedelta


def start_of(text: str) -> datetime:
    """A moment, or the first one of a day, in UTC; for `argparse`.

    Raises:
        argparse.ArgumentTypeError: It is no time.
    """
    return _ends(text)[0]


def end_of(text: str) -> datetime:
    """A moment, or the first one after a day, in UTC; for `argparse`.

    Raises:
        argparse.ArgumentTypeError: It is no time.
    """
    return _ends(text)[1]


def _ends(text: str) -> tuple[datetime, datetime]:
    try:
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):
        pass  # no day, or the last one there is
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; expected one such as 2026-01-31 or 2026-01-31T08:00+01:00"
        ) from error
    return moment, moment
