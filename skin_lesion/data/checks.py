"""Checks of a data set before anything is learnt from it: a Great Expectations suite with severities.

Three tables are checked. `files` has a row for each picture that the metadata name, usable or put
aside; `images` has a row for each usable picture; `classes` has a row for each diagnosis. A critical
failure means that what follows would be wrong, a warning that a person should look.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from skin_lesion.data.check_rules import USABLE, Rule, TableName, content_rules, schema_rules
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.labels import LABELS
from skin_lesion.settings import ValidateConfig

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

Severity = Literal["critical", "warning"]

_ROW_NAME: dict[TableName, str] = {"files": "image_id", "images": "image_id", "classes": "dx"}
_MAX_NAMED_ROWS = 100


class DataValidationError(ValueError):
    """A critical check failed; the message names the rules and the rows."""


class CheckResult(BaseModel):
    """What one check found.

    Attributes:
        name: The rule, in words.
        table: Which table it looks at.
        severity: `critical` stops the pipeline, `warning` only stands in the report.
        success: Whether the rule holds.
        detail: What was observed.
        failing_rows: Image ids (or diagnoses, for the table of classes) that break the rule, at
            most the first 100.
        failing_count: How many rows break the rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    table: TableName
    severity: Severity
    success: bool
    detail: str
    failing_rows: tuple[str, ...] = ()
    failing_count: int = 0

    def __str__(self) -> str:
        text = f"{self.name}: {self.detail}"
        if self.failing_rows:
            named = self.failing_rows[:10]
            more = self.failing_count - len(named)
            text += f" [{', '.join(named)}{f' and {more} more' if more > 0 else ''}]"
        return text


class ClassFacts(BaseModel):
    """How much there is of one diagnosis."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dx: str
    images: int
    lesions: int
    share: float


class ValidationReport(BaseModel):
    """Result of all checks.

    Attributes:
        data_set: Name of the data set.
        synthetic: Whether no picture shows a real patient.
        images: Usable pictures.
        lesions: Lesions they show.
        quarantined: Pictures put aside.
        classes: Counts for each diagnosis, in the order of the labels.
        expectations: Every check, in the order it was run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_set: str
    synthetic: bool
    images: int
    lesions: int
    quarantined: int
    classes: tuple[ClassFacts, ...]
    expectations: tuple[CheckResult, ...]

    @property
    def critical_failures(self) -> tuple[CheckResult, ...]:
        """Failed checks that stop the pipeline."""
        return tuple(e for e in self.expectations if not e.success and e.severity == "critical")

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Failed checks that a person should look at."""
        return tuple(e for e in self.expectations if not e.success and e.severity == "warning")

    @property
    def passed(self) -> bool:
        """Whether no critical check failed."""
        return not self.critical_failures

    def raise_if_critical(self) -> None:
        """Stop where the data would make everything that follows wrong.

        Raises:
            DataValidationError: A critical check failed. The message names every such rule, the
                first rows that break it and how many there are.
        """
        if self.passed:
            return
        failures = "\n".join(f"  - {failure}" for failure in self.critical_failures)
        raise DataValidationError(
            f"{len(self.critical_failures)} critical checks of '{self.data_set}' failed:\n{failures}\n"
            "Correct the source, or change the limits under `validate` in the configuration where "
            "they do not fit this data set."
        )

    def to_html(self) -> str:
        """Render the report as one page that needs no network."""
        from skin_lesion.data.checks_html import render

        return render(self)


def validate(manifest: Manifest, images: ImageArray, config: ValidateConfig) -> ValidationReport:
    """Check a data set.

    Where columns are missing or of the wrong type, only that is reported, since every other rule
    reads them.

    Args:
        manifest: Table of the images.
        images: Their pixels; only the number of rows is read.
        config: Limits.

    Returns:
        The report; call `raise_if_critical` on it to stop at a critical failure.
    """
    results = _run(schema_rules(manifest.images), {"images": manifest.images})
    classes = _class_facts(manifest.images) if _all_hold(results) else ()
    if _all_hold(results):
        tables: dict[TableName, pd.DataFrame] = {
            "files": _files_table(manifest),
            "images": _images_table(manifest.images),
            "classes": pd.DataFrame([c.model_dump() for c in classes]),
        }
        results += _run(content_rules(len(images), config), tables)
    lesions = manifest.images["lesion_id"].nunique() if "lesion_id" in manifest.images else 0
    return ValidationReport(
        data_set=manifest.provenance.name,
        synthetic=manifest.provenance.synthetic,
        images=len(manifest),
        lesions=int(lesions),
        quarantined=len(manifest.quarantine),
        classes=tuple(classes),
        expectations=tuple(results),
    )


def _all_hold(results: Sequence[CheckResult]) -> bool:
    return all(result.success for result in results)


def _files_table(manifest: Manifest) -> pd.DataFrame:
    """One row for each picture that the metadata name: `image_id`, `status`."""
    ids = pd.concat([manifest.images["image_id"], manifest.quarantine["image_id"]])
    status = [USABLE] * len(manifest) + manifest.quarantine["reason"].tolist()
    return pd.DataFrame({"image_id": ids.to_numpy(), "status": status})


def _images_table(images: pd.DataFrame) -> pd.DataFrame:
    """The manifest plus what rules need to know about a row's lesion and its picture."""
    return images.assign(
        diagnoses_of_lesion=images.groupby("lesion_id")["dx"].transform("nunique"),
        shorter_side=images[["width", "height"]].min(axis=1),
    )


def _class_facts(images: pd.DataFrame) -> tuple[ClassFacts, ...]:
    counts = images["dx"].value_counts()
    lesions = images.groupby("dx")["lesion_id"].nunique()
    return tuple(
        ClassFacts(
            dx=label,
            images=int(counts.get(label, 0)),
            lesions=int(lesions.get(label, 0)),
            share=float(counts.get(label, 0) / max(len(images), 1)),
        )
        for label in LABELS
    )


def _run(rules: Sequence[Rule], tables: Mapping[TableName, pd.DataFrame]) -> list[CheckResult]:
    """Run rules in an ephemeral context that writes no file and shows no progress bar."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # This module sets a level of its own when it is imported, and announces temporary folders.
    logging.getLogger(ProgressBarsConfig.__module__).setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    source = context.data_sources.add_pandas("skin_lesions")
    results: dict[int, CheckResult] = {}
    for name, table in tables.items():
        # Great Expectations answers in an order of its own; the rule's number brings ours back.
        chosen = {number: rule for number, rule in enumerate(rules) if rule.table == name}
        suite = gx.ExpectationSuite(name=name)
        for number, rule in chosen.items():
            suite.add_expectation(rule.expectation.copy(update={"meta": {"rule": number}}))
        batch = (
            source.add_dataframe_asset(name)
            .add_batch_definition_whole_dataframe("all")
            .get_batch({"dataframe": table})
        )
        # Schema rules run before the column that names rows is known to exist.
        index = [_ROW_NAME[name]] if _ROW_NAME[name] in table else []
        validated = batch.validate(
            suite,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": index,
                "return_unexpected_index_query": False,
            },
        )
        for result in validated.results:
            number = result.expectation_config.meta["rule"]
            results[number] = _check_result(chosen[number], result)
    return [results[number] for number in sorted(results)]


def _check_result(rule: Rule, result: "ExpectationValidationResult") -> CheckResult:
    row_name = _ROW_NAME[rule.table]
    rows = tuple(
        str(row[row_name])
        for row in result.result.get("unexpected_index_list") or ()
        if row_name in row
    )
    return CheckResult(
        name=rule.name,
        table=rule.table,
        severity="critical" if rule.expectation.severity == "critical" else "warning",
        success=bool(result.success),
        detail=_detail(result),
        failing_rows=rows[:_MAX_NAMED_ROWS],
        failing_count=int(result.result.get("unexpected_count") or 0),
    )


def _detail(result: "ExpectationValidationResult") -> str:
    """Say in words what was observed; every kind of expectation answers in its own shape."""
    error = _exception_message(result.exception_info or {})
    if error:
        return f"could not be checked: {error}"
    found = result.result
    if "unexpected_count" in found and "element_count" in found:
        text = f"broken by {found['unexpected_count']:,} of {found['element_count']:,} rows"
        values = list(dict.fromkeys(map(str, found.get("partial_unexpected_list") or ())))
        return f"{text}: {', '.join(_shorten(value) for value in values[:5])}" if values else text
    missing = ((found.get("details") or {}).get("mismatched") or {}).get("missing")
    if missing:
        return f"missing: {', '.join(sorted(missing))}"
    observed = found.get("observed_value")
    if isinstance(observed, list):
        return f"found {len(observed)}"
    return f"found {observed}"


def _shorten(text: str, length: int = 20) -> str:
    """Cut a long value, such as a checksum, down to what a person compares."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _exception_message(info: Mapping[str, Any]) -> str:
    """Read both shapes of `exception_info`: flat, or one entry for each failed metric."""
    if "raised_exception" in info:
        return str(info["exception_message"] or "") if info["raised_exception"] else ""
    messages = [str(entry["exception_message"]) for entry in info.values()]
    return "; ".join(dict.fromkeys(messages))
