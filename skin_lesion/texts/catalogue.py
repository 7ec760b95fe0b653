"""Looking words up, and writing numbers and dates as a language writes them."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_FOLDER = Path(__file__).parent
_NBSP = "\u00a0"
# The smallest probability that is written as a figure.
_LEAST = 0.001
# Of numbers and dates: day before month, and 24 hours, as the world outside the United States writes.
_LOCALES: Mapping[Language, str] = {"en": "en_GB", "es": "es"}


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every text of a language, by its dotted key; the items of a list are numbered from 0.

    Raises:
        ValueError: A value is neither a text nor a list or mapping of texts.
    """
    import yaml

    found: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.yaml")):
        # Everything is a text: a bare `yes` is no truth value here, and 1.10 no number.
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        found.update(_flat(content, file.stem))
    return found


def best_language(wanted: str | None) -> Language:
    """The language for a browser's locale, such as `es-MX`; English where it is none of ours."""
    code = (wanted or "").replace("_", "-").split("-")[0].lower()
    return next((language for language in LANGUAGES if language == code), "en")


def time_zone(name: str | None) -> tzinfo | None:
    """The zone that a browser names, such as `Europe/Madrid`; None where it names none we know."""
    try:
        return ZoneInfo(name) if name else None
    except (
        ValueError,
        LookupError,
        OSError,
    ):  # it is the browser that says it, and it may say anything
        return None


class Texts:
    """The words of one language: `texts("read.title")`."""

    def __init__(self, language: Language, zone: str | None = None) -> None:
        """Take a language.

        Args:
            language: One of `LANGUAGES`.
            zone: Name of the time zone in which moments are shown; None, or a name that is none,
                shows them in UTC.

        Raises:
            ValueError: The language is none of ours.
        """
        if language not in LANGUAGES:
            raise ValueError(f"language {language!r}; expected one of {', '.join(LANGUAGES)}")
        self.language: Language = language
        self._zone = time_zone(zone)
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its braces filled.

        Raises:
            KeyError: There is no such text, or a value for its braces is missing.
        """
        return self._texts[key].format_map(values)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def items(self, key: str) -> list[str]:
        """The texts of a list, in order; empty where there is none."""
        found: list[str] = []
        while f"{key}.{len(found)}" in self._texts:
            found.append(self(f"{key}.{len(found)}"))
        return found

    def number(self, value: float, digits: int = 0) -> str:
        """A number with so many decimals."""
        from babel.numbers import format_decimal

        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=pattern, locale=_LOCALES[self.language])

    def percent(self, share: float, digits: int = 0) -> str:
        """A share from 0 to 1 in per cent."""
        from babel.numbers import format_percent

        pattern = "#,##0" + ("." + "0" * digits if digits else "") + f"{_NBSP}%"
        return format_percent(share, format=pattern, locale=_LOCALES[self.language])

    def probability(self, share: float) -> str:
        """What a model holds probable, from 0 to 1, in per cent with one decimal.

        A model rules nothing out and proves nothing: what would be rounded to 0 or to 100 % is written
        as less than 0.1 %, and as more than 99.9 %.
        """
        if share < _LEAST / 2:
            return f"<{_NBSP}{self.percent(_LEAST, 1)}"
        if share > 1 - _LEAST / 2:
            return f">{_NBSP}{self.percent(1 - _LEAST, 1)}"
        return self.percent(share, 1)

    def date(self, moment: datetime, *, time: bool = True, zone: bool = False) -> str:
        """A moment as the language writes it, in the reader's zone.

        Args:
            moment: When; one without a zone counts as UTC.
            time: Whether to say the time of day, and not the day alone.
            zone: Whether to say how far that is from UTC.
        """
        from babel.dates import format_date, format_datetime

        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        local = aware.astimezone(self._zone or UTC)
        locale = _LOCALES[self.language]
        if not time:
            return format_date(local, format="medium", locale=locale)
        written = format_datetime(local, format="medium", locale=locale)
        return f"{written}{_NBSP}({_offset(local)})" if zone else written


def _offset(moment: datetime) -> str:
    """How far from UTC, such as `UTC+02:00`."""
    sign = moment.strftime("%z")
    return f"UTC{sign[:3]}:{sign[3:5]}" if moment.utcoffset() else "UTC"


def _flat(value: Any, prefix: str) -> dict[str, str]:
    if isinstance(value, str):
        return {prefix: value.strip()}
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = dict(enumerate(value)).items()
    else:
        raise ValueError(f"{prefix} is {value!r}; expected a text, or a list or mapping of texts")
    found: dict[str, str] = {}
    for key, inner in pairs:
        found |= _flat(inner, f"{prefix}.{key}")
    return found
