"""A finished run beside runs of something else on the same data, within its standard errors."""

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pandas as pd

    from skin_lesion.evaluation.report import EvaluationReport
    from skin_lesion.evaluation.summary import ReportSummary

COMPARED = (
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "melanoma_auc",
)  # fmt: skip
RESAMPLES = 500


class Baseline(BaseModel):
    """A run of something else on the same data.

    Attributes:
        fine_tune_epochs: Epochs of its second phase.
        minutes: How long it took.
        split: Its split, in words.
        test: Figures by name, on the test part of that split.
    """

    model_config = ConfigDict(frozen=True)

    fine_tune_epochs: int
    minutes: float
    split: str
    test: dict[str, int | float]


class Baselines(BaseModel):
    """The file that `--baseline` names.

    Attributes:
        what: What ran, in words.
        runs: Its runs.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    runs: tuple[Baseline, ...]


class Comparison(BaseModel):
    """A run beside the baselines.

    Attributes:
        baselines: What it is compared with.
        resamples: Bootstrap resamples of the lesion groups behind each standard error.
        standard_errors: Of our figures on the test split, by name.
        no_worse: For each run of the baselines, by name of the figure: whether ours is no worse
            within one standard error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baselines: Baselines
    resamples: int
    standard_errors: dict[str, float]
    no_worse: tuple[dict[str, bool], ...]


def look(report: "EvaluationReport", run: str) -> None:
    """Write down that standard errors will be computed from the answers to the test pictures."""
    from skin_lesion.data.looking import LookedAt, Purpose, look_at_answers
    from skin_lesion.evaluation.report import sample_of_test
    from skin_lesion.ledger import environments_ledger

    summary = report.summary
    look_at_answers(
        sample_of_test(report.predictions).rows["image_id"],
        summary.split_hash,
        environments_ledger(),
        LookedAt(summary.decided_bundle_hash or summary.bundle_hash, summary.bundle_hash),
        Purpose("benchmarks/baselines.py", "standard errors beside the baselines", run),
    )


def compare(
    predictions: "pd.DataFrame",
    summary: "ReportSummary",
    baselines: Baselines,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Put a run beside baselines.

    Args:
        predictions: Those of its report.
        summary: Its figures.
        baselines: The others' figures.
        resamples: Bootstrap resamples of the lesion groups.
    """
    errors = standard_errors(predictions, summary, resamples)
    ours = summary.test.model_dump()
    verdicts = tuple(
        {
            name: bool(ours[name] + errors[name] >= baseline.test[name])
            for name in COMPARED
            if name in baseline.test and name in errors
        }
        for baseline in baselines.runs
    )
    return Comparison(
        baselines=baselines,
        resamples=resamples,
        standard_errors={name: round(error, 4) for name, error in errors.items()},
        no_worse=verdicts,
    )


def standard_errors(
    predictions: "pd.DataFrame", summary: "ReportSummary", resamples: int
) -> dict[str, float]:
    """Standard error of each compared figure on the test split; none of an undefined figure.

    Whole lesion groups are drawn, since the pictures of one lesion are not independent.
    """
    from skin_lesion.evaluation.measured import measured
    from skin_lesion.evaluation.report import sample_of_test
    from skin_lesion.evaluation.resampling import Resamples

    sample = sample_of_test(predictions)
    drawn = Resamples.over_lesions(sample.groups, resamples, summary.seed)
    found = measured(sample, drawn, bins=summary.freezing.calibration.bins)
    known = [name for name in COMPARED if getattr(summary.test, name) is not None]
    return {name: float(np.nanstd(found.resampled[name], ddof=1)) for name in known}
