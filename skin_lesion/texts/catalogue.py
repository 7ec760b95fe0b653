"""Looking words up, and writing numbers and dates as a language writes them."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_FOLDER = Path(__file__).parent
_NBSP = "\u00a0"


@cache
def catalogue(language: Language) -> Mapping[str, str]:
    """Every text of a language, by its dotted key; the items of a list are numbered from 0.

    Raises:
        ValueError: A value is neither a text nor a list or mapping of texts.
    """
    import yaml

    found: dict[str, str] = {}
    for file in sorted((_FOLDER / language).glob("*.yaml")):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        found.update(_flat(content, file.stem))
    return found


def best_language(wanted: str | None) -> Language:
    """The language for a browser's locale, such as `es-MX`; English where it is none of ours."""
    code = (wanted or "").replace("_", "-").split("-")[0].lower()
    return next((language for language in LANGUAGES if language == code), "en")


class Texts:
    """The words of one language: `texts("read.title")`."""

    def __init__(self, language: Language) -> None:
        """Take a language.

        Raises:
            ValueError: It is none of ours.
        """
        if language not in LANGUAGES:
            raise ValueError(f"language {language!r}; expected one of {', '.join(LANGUAGES)}")
        self.language = language
        self._texts = catalogue(language)

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its braces filled.

        Raises:
            KeyError: There is no such text, or a value for its braces is missing.
        """
        return self._texts[key].format_map(values) if values else self._texts[key]

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def items(self, key: str) -> list[str]:
        """The texts of a list, in order; empty where there is none."""
        found = []
        while f"{key}.{len(found)}" in self._texts:
            found.append(self._texts[f"{key}.{len(found)}"])
        return found

    def number(self, value: float, digits: int = 0) -> str:
        """A number with so many decimals."""
        from babel.numbers import format_decimal

        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(value, format=pattern, locale=self.language)

    def percent(self, share: float, digits: int = 0) -> str:
        """A share from 0 to 1 in per cent."""
        from babel.numbers import format_percent

        pattern = "#,##0" + ("." + "0" * digits if digits else "") + f"{_NBSP}%"
        return format_percent(share, format=pattern, locale=self.language)

    def date(self, moment: datetime, *, time: bool = True) -> str:
        """A moment as the language writes it, in the zone that the moment has."""
        from babel.dates import format_date, format_datetime

        if time:
            return format_datetime(moment, format="medium", locale=self.language)
        return format_date(moment, format="medium", locale=self.language)


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
