"""Each rule of the data checks can fail, with the severity and the rows that it should name."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.checks import (
    CheckResult,
    DataValidationError,
    Severity,
    ValidationReport,
    validate,
)
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import (
    IMAGE_COLUMNS,
    QUARANTINE_COLUMNS,
    Manifest,
    Provenance,
)
from skin_lesion.labels import LABELS
from skin_lesion.settings import ValidateConfig

PER_CLASS = 20
CONFIG = ValidateConfig(min_images=100, min_lesions_per_class=10)
Change = Callable[[pd.DataFrame], None]


def _images() -> pd.DataFrame:
    number = np.arange(PER_CLASS * len(LABELS))
    table = pd.DataFrame(
        {
            "image_id": [f"image_{i:03}" for i in number],
            "lesion_id": [f"lesion_{i:03}" for i in number],
            "dx": [LABELS[i % len(LABELS)] for i in number],
            "dx_type": "histo",
            "age": np.where(number % 10 == 0, np.nan, 20.0 + number % 60),
            "sex": "female",
            "localization": "back",
            "sha256": [f"{i:064x}" for i in number],
            "phash": [f"{i:016x}" for i in number],
            "width": 200,
            "height": 150,
            "brightness": 150.0,
            "contrast": 30.0,
        }
    )
    return table.astype(IMAGE_COLUMNS)


def _quarantine(*reasons: str) -> pd.DataFrame:
    rows = [(f"lost_{i}", f"lost_{i}.jpg", reason, "") for i, reason in enumerate(reasons)]
    return pd.DataFrame(rows, columns=list(QUARANTINE_COLUMNS)).astype("str")


def _check(
    change: Change | None = None,
    quarantine: pd.DataFrame | None = None,
    array_rows: int | None = None,
    config: ValidateConfig = CONFIG,
) -> ValidationReport:
    table = _images()
    if change:
        change(table)
    provenance = Provenance(
        kind="synthetic", name="a <small> set", licence="CC0-1.0", citation="none", synthetic=True,
        source_height=150, source_width=200,
    )  # fmt: skip
    manifest = Manifest(table, _quarantine() if quarantine is None else quarantine, provenance)
    rows = len(table) if array_rows is None else array_rows
    return validate(manifest, ImageArray(Path("unread.npy"), (rows, 8, 8, 3), "0" * 64), config)


def _failed(report: ValidationReport, rule: str) -> list[CheckResult]:
    """Failed checks whose name starts so, without the ones that tolerate a few rows."""
    return [
        e
        for e in report.expectations
        if not e.success and e.name.startswith(rule) and "for 99%" not in e.name
    ]


def _set(column: str, value: object, rows: slice) -> Change:
    def change(table: pd.DataFrame) -> None:
        table.loc[rows, column] = value

    return change


def test_a_sound_data_set_passes_without_warnings() -> None:
    report = _check()
    assert report.passed
    assert not report.warnings
    report.raise_if_critical()
    assert report.images == 140
    assert report.lesions == 140
    assert [c.dx for c in report.classes] == list(LABELS)
    assert {c.images for c in report.classes} == {PER_CLASS}


# One broken table for all the rules below: each breaks on rows of its own, and checking takes time.
BROKEN: list[tuple[str, str, Severity, str, object, list[int]]] = [
    ("an unknown class", "every diagnosis is one of", "critical", "dx", "wart", [0]),
    ("no diagnosis", "`dx` is filled in", "critical", "dx", None, [1]),
    ("no lesion", "`lesion_id` is filled in", "critical", "lesion_id", None, [2]),
    ("no checksum", "`sha256` is filled in", "critical", "sha256", None, [3]),
    ("a mixed lesion", "a lesion has one diagnosis", "critical", "lesion_id", "shared", [7, 8]),
    ("a bad hash", "perceptual hashes are", "critical", "phash", "not hexadecimal!", [9]),
    ("a file twice", "no file occurs twice", "warning", "sha256", "f" * 64, [12, 13]),
    ("a great age", "known ages lie between", "warning", "age", 900.0, [14]),
    ("a negative age", "known ages lie between", "warning", "age", -1.0, [15]),
    ("an odd sex", "sex is male, female", "warning", "sex", "?", [16]),
    ("a small picture", "the shorter side has at least 100", "warning", "height", 20, [17]),
    ("a dark picture", "brightness lies between 30 and 245", "warning", "brightness", 2.0, [18]),
    ("a white picture", "brightness lies between 30 and 245", "warning", "brightness", 254.0, [19]),
    ("an even picture", "contrast is at least 4", "warning", "contrast", 0.5, [20]),
]


@pytest.fixture(scope="module")
def broken() -> ValidationReport:
    def change(table: pd.DataFrame) -> None:
        for *_, column, value, rows in BROKEN:
            table.loc[rows, column] = value
        table.loc[[30, 31], "image_id"] = "twin"
        table.loc[32, "image_id"] = None

    return _check(change)


@pytest.mark.parametrize(
    ("rule", "severity", "rows"),
    [pytest.param(rule, sev, rows, id=name) for name, rule, sev, _, _, rows in BROKEN],
)
def test_a_broken_rule_is_reported_with_its_severity_and_rows(
    broken: ValidationReport, rule: str, severity: Severity, rows: list[int]
) -> None:
    [failure] = _failed(broken, rule)
    assert failure.severity == severity
    assert {f"image_{row:03}" for row in rows} <= set(failure.failing_rows)
    alike = [row for _, other, _, _, _, row in BROKEN if other == rule]
    assert failure.failing_count == sum(map(len, alike))


def test_image_ids_that_are_not_unique_or_not_there_are_critical(broken: ValidationReport) -> None:
    [twins] = _failed(broken, "image ids are unique")
    [absent] = _failed(broken, "`image_id` is filled in")
    assert twins.failing_rows == ("twin", "twin")
    assert absent.failing_count == 1
    assert {twins.severity, absent.severity} == {"critical"}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("brightness", 2.0, "brightness lies between 30 and 245, for 99% of them"),
        ("contrast", 0.5, "contrast is at least 4, for 99% of them"),
        ("width", 20, "the shorter side has at least 100 pixels, for 99% of them"),
    ],
)
def test_a_rule_that_tolerates_few_rows_is_critical_for_many(
    column: str, value: float, rule: str
) -> None:
    assert _check(_set(column, value, slice(3, 3))).passed
    many = _check(_set(column, value, slice(0, 9)))
    assert [e.name for e in many.critical_failures] == [rule]
    assert many.critical_failures[0].failing_count == 10


def test_one_missing_file_is_a_warning_and_many_are_critical() -> None:
    one = _check(quarantine=_quarantine("missing"))
    assert one.passed
    assert {e.failing_rows for e in one.warnings} == {("lost_0",)}
    assert [e.name for e in one.warnings] == ["no file is missing", "no image was put aside"]
    many = _check(quarantine=_quarantine("missing", "missing", "missing", "truncated"))
    assert [e.name for e in many.critical_failures] == ["no file is missing, for 99% of them"]


def test_an_image_put_aside_for_another_reason_is_a_warning() -> None:
    report = _check(quarantine=_quarantine("truncated"))
    assert report.passed
    [warning] = report.warnings
    assert warning.name == "no image was put aside"
    assert "truncated" in warning.detail


def test_table_and_array_of_different_lengths_are_critical() -> None:
    [failure] = _check(array_rows=139).critical_failures
    assert "equally many rows" in failure.name


def test_too_few_images_are_critical() -> None:
    [failure] = _check(config=CONFIG.model_copy(update={"min_images": 141})).critical_failures
    assert failure.name == "there are enough images"
    assert "140" in failure.detail


def test_too_few_lesions_of_a_class_are_critical_and_name_the_class() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["dx"] == "df", "lesion_id"] = "one"

    [failure] = _check(change).critical_failures
    assert failure.failing_rows == ("df",)


def test_an_absent_class_is_critical() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["dx"] == "vasc", "dx"] = "nv"

    assert _check(change).critical_failures[0].failing_rows == ("vasc",)


def test_a_class_that_dominates_is_a_warning() -> None:
    report = _check(config=CONFIG.model_copy(update={"max_class_share": 0.1}))
    assert report.passed
    [warning] = report.warnings
    assert warning.failing_rows == LABELS


def _without(*columns: str) -> Change:
    def change(table: pd.DataFrame) -> None:
        for column in columns:
            del table[column]

    return change


def test_a_missing_column_is_critical_and_named() -> None:
    report = _check(_without("age", "phash"))
    [failure] = report.critical_failures
    assert failure.detail == "missing: age, phash"


@pytest.mark.parametrize("column", ["image_id", "lesion_id", "dx"])
def test_a_missing_column_that_other_rules_read_is_reported_and_not_a_crash(column: str) -> None:
    report = _check(_without(column))
    assert [e.detail for e in report.critical_failures] == [f"missing: {column}"]
    assert column in report.to_html()


def test_a_column_of_the_wrong_type_is_critical() -> None:
    def change(table: pd.DataFrame) -> None:
        table["age"] = table["age"].astype("str")

    [failure] = _check(change).critical_failures
    assert failure.name == "`age` is of type float64"


def test_the_error_names_the_rule_the_first_rows_and_their_number() -> None:
    report = _check(_set("dx", "wart", slice(0, 13)))
    with pytest.raises(DataValidationError) as error:
        report.raise_if_critical()
    message = str(error.value)
    assert "every diagnosis is one of the seven classes" in message
    assert "image_000, " in message
    assert "image_009 and 4 more" in message
    assert "image_010" not in message


def test_the_report_survives_json() -> None:
    report = _check(_set("dx", "wart", slice(3, 3)), quarantine=_quarantine("missing"))
    assert ValidationReport.model_validate_json(report.model_dump_json()) == report


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    report = _check(_set("dx", "<script>alert(1)</script>", slice(3, 3)))
    html = report.to_html()
    assert "http" not in html
    assert "<script" not in html
    assert "a &lt;small&gt; set" in html
    assert "image_003" in html
    assert "1 critical" in html


def test_checking_reads_no_network_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a data check opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    before = _images()
    seen: list[pd.DataFrame] = []
    _check(seen.append)
    pd.testing.assert_frame_equal(seen[0], before)
