"""Whether a model is good enough to be used, each rule with its reason in plain words.

**Absolute limits go by the figure itself**, not by the end of its interval. Limits are set beside
published figures, which are point values, and the interval of a small subgroup is so wide that its
lower end says more about the size of the test split than about the model. Where the interval
reaches over the limit, though, the reason says that the test split cannot tell the two apart.

**No regression goes by the interval.** The new model is compared with the one in production on the
same images, resampled together, so that chance differences between images cancel. It fails where
the upper end of the 95 % interval of (new - production) is below `-max_regression`: where even the
kindest reading of the data leaves it worse by more than is allowed. This refuses a proven loss; it
does not prove that there is none.

A figure that is missing fails its check: nothing passes because it was not measured.
"""

import math
from typing import Literal

from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.settings import GateConfig

# Figures of which more is better; the production model's are compared on all of them.
GUARDED: dict[str, str] = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "melanoma_auc": "melanoma AUC",
}


class WorstSubgroup(Figures):
    """The subgroup in which the model does worst.

    Attributes:
        name: Such as `site: face`.
        malignant_auc: AUC of the summed malignant probability there.
    """

    name: str
    malignant_auc: Estimate


class GateFigures(Figures):
    """What the gates judge, all of it measured on the test split.

    Attributes:
        macro_f1: Mean F1 over classes.
        balanced_accuracy: Mean recall over classes.
        macro_auc: Mean one-against-rest AUC over classes.
        melanoma_auc: AUC of melanoma against the rest.
        ece: Expected calibration error of the calibrated top probability.
        melanoma_sensitivity: At the operating point frozen for 95 % sensitivity on validation.
        worst_subgroup: None where no subgroup was large enough to be judged.
        synthetic_only: True where no picture shows a real patient.
        split_hash: Split whose test images were measured.
        bundle_hash: Bundle that was measured.
    """

    macro_f1: Estimate
    balanced_accuracy: Estimate
    macro_auc: Estimate
    melanoma_auc: Estimate
    ece: Estimate
    melanoma_sensitivity: Estimate
    worst_subgroup: WorstSubgroup | None
    synthetic_only: bool
    split_hash: str
    bundle_hash: str


class ProductionDifferences(Figures):
    """New minus production for each figure in `GUARDED`: same images, resampled together."""

    macro_f1: Estimate
    balanced_accuracy: Estimate
    macro_auc: Estimate
    melanoma_auc: Estimate


class ProductionComparison(Figures):
    """The model in production beside the new one.

    Attributes:
        version: Its version in the registry.
        bundle_hash: Its bundle.
        split_hash: Split it was trained and tested on.
        differences: None where it was not measured on the new model's test images.
    """

    version: str
    bundle_hash: str
    split_hash: str
    differences: ProductionDifferences | None


def judge(
    figures: GateFigures, limits: GateConfig, production: ProductionComparison | None
) -> GateReport:
    """Hold a model's figures against the limits and against the model in production.

    Args:
        figures: What was measured on the new model.
        limits: What it has to reach.
        production: The current production model; None where there is none.
    """
    worst = figures.worst_subgroup
    place = f" ({worst.name})" if worst else ""
    checks = (
        _within("macro_f1", "Macro F1", figures.macro_f1, "minimum", limits.min_macro_f1),
        _within(
            "balanced_accuracy",
            "Balanced accuracy",
            figures.balanced_accuracy,
            "minimum",
            limits.min_balanced_accuracy,
        ),
        _within(
            "melanoma_auc", "Melanoma AUC", figures.melanoma_auc, "minimum", limits.min_melanoma_auc
        ),
        _within(
            "melanoma_sensitivity",
            "Melanoma sensitivity at the frozen 95 % point",
            figures.melanoma_sensitivity,
            "minimum",
            limits.min_melanoma_sensitivity,
        ),
        _within(
            "worst_subgroup_auc",
            f"Malignant AUC in the worst subgroup{place}",
            worst.malignant_auc if worst else Estimate(value=None),
            "minimum",
            limits.min_worst_subgroup_auc,
        ),
        _within("ece", "Calibration error (ECE)", figures.ece, "maximum", limits.max_ece),
        *_no_regression(figures, limits.max_regression, production),
    )
    return GateReport(
        passed=all(check.passed for check in checks),
        checks=checks,
        synthetic_only=figures.synthetic_only,
        split_hash=figures.split_hash,
        bundle_hash=figures.bundle_hash,
    )


def _within(
    name: str, title: str, figure: Estimate, kind: Literal["minimum", "maximum"], limit: float
) -> GateCheck:
    """Hold one figure against one limit."""
    value, low, high = _known(figure.value), _known(figure.ci_low), _known(figure.ci_high)
    minimum, maximum = (limit, None) if kind == "minimum" else (None, limit)
    if value is None:
        return _missing(name, title, minimum=minimum, maximum=maximum)
    if kind == "minimum":
        passed, words = value >= limit, ("is below", "reaches")
    else:
        passed, words = value <= limit, ("is above", "is within")
    # Enough digits to tell a near miss from its limit.
    digits = 3 if f"{value:.3f}" != f"{limit:.3f}" or value == limit else 6
    return GateCheck(
        name=name, value=value, ci_low=low, ci_high=high, minimum=minimum, maximum=maximum,
        passed=passed,
        reason=f"{title} is {value:.{digits}f}, which {words[passed]} the {kind} of "
        f"{limit:.{digits}f}{_doubt(low, limit, high)}.",
    )  # fmt: skip


def _no_regression(
    figures: GateFigures, max_regression: float, production: ProductionComparison | None
) -> list[GateCheck]:
    if production is None:
        return [_verdict_alone(True, "There is no production model to fall behind.")]
    if production.bundle_hash == figures.bundle_hash:
        return [_verdict_alone(True, "It is the production model itself.")]
    if production.split_hash != figures.split_hash:
        return [
            _verdict_alone(
                False,
                f"Refused: this model was tested on split {figures.split_hash[:12]} and production "
                f"version {production.version} belongs to split {production.split_hash[:12]}, so "
                "their figures cannot be compared, and it may have trained on these test images; "
                "train on the production model's split, or retire that version first.",
            )
        ]
    if production.differences is None:
        return [
            _verdict_alone(
                False,
                f"Production version {production.version} was not measured on these very test images, so "
                "nothing can be said; register it anew on this data set, or retire its alias.",
            )
        ]
    return [
        _not_behind(name, getattr(production.differences, name), max_regression, production.version)
        for name in GUARDED
    ]


def _not_behind(name: str, difference: Estimate, allowed: float, version: str) -> GateCheck:
    """`allowed` is how much worse the new model may be."""
    value, low, high = (
        _known(difference.value), _known(difference.ci_low), _known(difference.ci_high)
    )  # fmt: skip
    rule, title = f"no_regression_{name}", f"{GUARDED[name]} against production version {version}"
    if value is None or low is None or high is None:
        return _missing(rule, f"The difference in {title}, with its interval,", minimum=-allowed)
    passed = high >= -allowed
    interval = f"{value:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"
    verdict = (
        f"no loss beyond {allowed:.3f} is proven"
        if passed
        else f"even its upper end is a loss of more than {allowed:.3f}"
    )
    return GateCheck(
        name=rule, value=value, ci_low=low, ci_high=high, minimum=-allowed, passed=passed,
        reason=f"The difference in {title} is {interval}: {verdict}.",
    )  # fmt: skip


def _verdict_alone(passed: bool, reason: str) -> GateCheck:
    return GateCheck(name="no_regression", value=None, passed=passed, reason=reason)


def _missing(
    name: str, title: str, *, minimum: float | None = None, maximum: float | None = None
) -> GateCheck:
    return GateCheck(
        name=name, value=None, minimum=minimum, maximum=maximum, passed=False,
        reason=f"{title} is missing: it was not measured, or the test split is too small for it.",
    )  # fmt: skip


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _doubt(low: float | None, limit: float, high: float | None) -> str:
    if low is None or high is None:
        return ", though no interval could be given"
    return ", though its interval reaches over the limit" if low < limit < high else ""
