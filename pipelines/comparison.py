"""Two registered versions side by side, as text."""

from collections.abc import Iterator

from skin_lesion.evaluation.comparison import Difference
from skin_lesion.registry import VersionComparison

_NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "melanoma_auc": "Melanoma AUC",
    "malignant_auc": "Malignant AUC",
    "brier": "Brier score",
    "nll": "Log-likelihood (NLL)",
    "ece": "Calibration error (ECE)",
}


def describe(found: VersionComparison) -> str:
    """A table of every figure of both, with the difference, its interval and its p-value."""
    comparison = found.comparison
    a, b = f"version {found.a.version}", f"version {found.b.version}"
    return "\n".join(
        [
            f"On the same {comparison.n_images} test images of {comparison.n_lesions} lesions; "
            f"{comparison.resamples} bootstrap resamples of the lesions, both models on the same.",
            "",
            f"{'':<25}{a:>11}{b:>11}{'difference':>12}  {'95 % interval':<19}{'p':>7}",
            *(
                _row(_NAMES.get(name, name), figure, found)
                for name, figure in comparison.figures.items()
            ),
            "",
            "Lower is better for Brier score, log-likelihood and calibration error. The p-values",
            "are two-sided and not corrected for the number of figures. A difference in calibration",
            "error has no interval that could be relied on: the log-likelihood tells more.",
            *_thin(found.comparison.thin_classes),
        ]
    )


def _thin(classes: tuple[str, ...]) -> list[str]:
    if not classes:
        return []
    return [
        f"Of {', '.join(classes)} there are so few lesions that many resamples lack them: the intervals",
        "of means over classes say little about these.",
    ]


def _row(name: str, figure: Difference, found: VersionComparison) -> str:
    return "".join(_cells(name, figure, found)).rstrip()


def _cells(name: str, figure: Difference, found: VersionComparison) -> Iterator[str]:
    difference = figure.difference
    yield f"{name:<25}{_number(figure.a):>11}{_number(figure.b):>11}"
    yield f"{_number(difference.value, '+.4f'):>12}"
    if difference.ci_low is None or difference.ci_high is None or figure.p_value is None:
        yield "  no interval"
        return
    interval = f"{difference.ci_low:+.4f} to {difference.ci_high:+.4f}"
    # No number of resamples proves more than this.
    smallest = 2 / (found.comparison.resamples + 1)
    p = f"< {smallest:.3f}" if figure.p_value <= smallest else f"{figure.p_value:.3f}"
    yield f"  {interval:<19}{p:>7}"
    if difference.ci_low > 0 or difference.ci_high < 0:
        better = found.a if figure.b_is_worse else found.b
        yield f"  version {better.version} is better"


def _number(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)
