"""The catalogue of words: the same in every language, complete, and written as each language writes."""

import string
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import get_args

import pytest
import yaml

import skin_lesion.texts
from skin_lesion.data.formats import Reason
from skin_lesion.labels import LABELS
from skin_lesion.ood import UNLIKE_TRAINING
from skin_lesion.quality import QUALITY_REASONS
from skin_lesion.texts import LANGUAGES, Language, Texts, best_language, catalogue

FOLDER = Path(skin_lesion.texts.__file__).parent
REASONS = (*get_args(Reason), *QUALITY_REASONS, UNLIKE_TRAINING)
NBSP = "\u00a0"


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def files(language: str) -> set[str]:
    return {path.name for path in (FOLDER / language).glob("*.yaml")}


def repeated_keys(node: yaml.Node, prefix: str) -> Iterator[str]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield f"{prefix}.{key.value}"
            seen.add(key.value)
            yield from repeated_keys(value, f"{prefix}.{key.value}")


def test_every_folder_is_a_language_and_all_have_the_same_areas() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name[0] != "_"} == set(
        LANGUAGES
    )
    assert len({frozenset(files(language)) for language in LANGUAGES}) == 1


def test_all_languages_have_the_same_keys() -> None:
    english = set(catalogue("en"))
    for language in LANGUAGES:
        assert set(catalogue(language)) == english, set(catalogue(language)) ^ english


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_same_placeholders_in_all_languages(language: Language) -> None:
    english = catalogue("en")
    differing = {
        key: (placeholders(text), placeholders(english[key]))
        for key, text in catalogue(language).items()
        if placeholders(text) != placeholders(english[key])
    }
    assert not differing


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_and_none_holds_markup(language: Language) -> None:
    texts = catalogue(language)
    assert not [key for key, text in texts.items() if not text.strip()]
    assert not [key for key, text in texts.items() if "</" in text or "<br" in text]


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_are_plain_names(language: Language) -> None:
    names = {name for text in catalogue(language).values() for name in placeholders(text)}
    assert not [name for name in names if not name.isidentifier()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_stands_twice_in_a_file(language: Language) -> None:
    for path in (FOLDER / language).glob("*.yaml"):
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        assert not list(repeated_keys(node, path.stem))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_and_every_class_has_its_texts(language: Language) -> None:
    texts = Texts(language)
    missing = [
        f"reasons.{reason}.{part}"
        for reason in REASONS
        for part in ("why", "what_to_do")
        if f"reasons.{reason}.{part}" not in texts
    ]
    missing += [
        f"classes.{label}.{part}"
        for label in LABELS
        for part in ("name", "short", "definition", "management")
        if f"classes.{label}.{part}" not in texts
    ]
    assert not missing
    for label in LABELS:
        assert 4 <= len(texts.items(f"classes.{label}.signs")) <= 7
        assert len(texts.items(f"classes.{label}.sources")) >= 2


def test_there_are_texts_of_no_other_reason_or_class() -> None:
    second = {key.split(".")[1] for key in catalogue("en") if key.startswith("reasons.")}
    assert second == set(REASONS)
    assert {key.split(".")[1] for key in catalogue("en") if key.startswith("classes.")} == set(
        LABELS
    )


def test_sources_are_cited_alike_in_all_languages() -> None:
    for label in LABELS:
        cited = {tuple(Texts(language).items(f"classes.{label}.sources")) for language in LANGUAGES}
        assert len(cited) == 1
        assert any("HAM10000" in source for source in cited.pop())


def test_languages_say_different_things() -> None:
    english, spanish = catalogue("en"), catalogue("es")
    # Long texts that are the same word for word were forgotten.
    same = [
        key
        for key, text in english.items()
        if text == spanish[key] and len(text) > 40 and ".sources." not in key
    ]
    assert not same


def test_a_bare_yes_is_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "area.yaml").write_text("yes: no\nnumber: 1.10\nlist: [on, off]\n")
    # The function hides its module.
    monkeypatch.setattr(sys.modules["skin_lesion.texts.catalogue"], "_FOLDER", tmp_path)
    catalogue.cache_clear()
    try:
        assert catalogue("en") == {
            "area.yes": "no", "area.number": "1.10", "area.list.0": "on", "area.list.1": "off",
        }  # fmt: skip
    finally:
        monkeypatch.undo()
        catalogue.cache_clear()


def test_a_key_or_a_value_that_is_missing_is_an_error() -> None:
    texts = Texts("en")
    with pytest.raises(KeyError, match=r"no\.such\.key"):
        texts("no.such.key")
    key = next(key for key, text in catalogue("en").items() if placeholders(text))
    with pytest.raises(KeyError):
        texts(key)


def test_a_language_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="'fr'"):
        Texts("fr")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("es-MX", "es"), ("es_ES", "es"), ("ES", "es"), ("es-419", "es"), ("en-GB", "en"),
        ("fr-FR", "en"), ("", "en"), (None, "en"), ("est", "en"),
    ],
)  # fmt: skip
def test_the_browsers_language_is_followed_where_it_is_ours(
    wanted: str | None, expected: Language
) -> None:
    assert best_language(wanted) == expected


def test_numbers_and_shares_are_written_by_language() -> None:
    english, spanish = Texts("en"), Texts("es")
    assert english.number(12345.678, 1) == "12,345.7"
    assert spanish.number(12345.678, 1) == "12.345,7"
    assert english.number(7) == spanish.number(7) == "7"
    assert english.percent(0.1234, 1) == f"12.3{NBSP}%"
    assert spanish.percent(0.1234, 1) == f"12,3{NBSP}%"


MOMENT = datetime(2026, 11, 25, 23, 31, 5, tzinfo=UTC)


def test_moments_are_shown_in_the_readers_zone() -> None:
    assert Texts("en", "Europe/Madrid").date(MOMENT) == "26 Nov 2026, 00:31:05"
    assert Texts("es", "America/Caracas").date(MOMENT) == "25 nov 2026, 19:31:05"
    assert Texts("en", "Europe/Madrid").date(MOMENT, time=False) == "26 Nov 2026"
    assert Texts("en").date(MOMENT.replace(tzinfo=None)) == "25 Nov 2026, 23:31:05"
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-5)))
    assert Texts("en").date(elsewhere) == "25 Nov 2026, 23:31:05"


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Madrid", "UTC+01:00"), ("Asia/Kolkata", "UTC+05:30"),
        ("America/Caracas", "UTC-04:00"), ("Europe/London", "UTC"), (None, "UTC"),
    ],
)  # fmt: skip
def test_a_moment_says_its_zone_where_it_is_asked_to(zone: str | None, said: str) -> None:
    assert Texts("en", zone).date(MOMENT, zone=True).endswith(f"{NBSP}({said})")


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "x\0", ""]
)
def test_a_zone_that_is_none_counts_as_utc(zone: str) -> None:
    assert Texts("en", zone).date(MOMENT) == "25 Nov 2026, 23:31:05"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0, "< 0,1 %"),
        (0.00049, "< 0,1 %"),
        (0.0006, "0,1 %"),
        (0.5, "50,0 %"),
        (0.9994, "99,9 %"),
        (0.99951, "> 99,9 %"),
        (1.0, "> 99,9 %"),
    ],
)
def test_no_probability_is_rounded_to_none_or_to_certainty(share: float, said: str) -> None:
    assert Texts("es").probability(share) == said.replace(" ", NBSP)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_seborrhoeic_keratosis_does_not_wobble(language: Language) -> None:
    """Papillomatous dermal naevi do, which is what tells the two apart."""
    texts = Texts(language)
    keratosis = " ".join(texts.items("classes.bkl.signs")).casefold()
    assert "wobble" not in keratosis
    assert "bamboleo" not in keratosis
