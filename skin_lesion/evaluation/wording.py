"""How figures are written for people."""

from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.figures import Estimate

NOT_MEASURED = "<p>Not measured here.</p>"
METHOD_NAMES = {
    "none": "none",
    "temperature": "temperature",
    "vector": "vector scaling",
    "isotonic": "isotonic regression",
}
OUTLIER_NAMES = {
    "crops": "Photographs without a lesion",
    "corruptions": "Spoilt pictures",
    "skin": "Drawn skin without a lesion",
}


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or that there is none."""
    return "not defined" if value is None else f"{value:.{digits}f}"


def with_interval(figure: Estimate, digits: int = 3) -> str:
    """A figure with its 95 % interval."""
    if figure.value is None:
        return "not defined"
    if figure.ci_low is None or figure.ci_high is None:
        return f"{figure.value:.{digits}f} (no interval)"
    return f"{figure.value:.{digits}f} ({figure.ci_low:.{digits}f} to {figure.ci_high:.{digits}f})"


def per_cent(figure: Estimate, digits: int = 0) -> str:
    """A share in per cent with its 95 % interval."""
    if figure.value is None:
        return "not defined"
    value = f"{100 * figure.value:.{digits}f} %"
    if figure.ci_low is None or figure.ci_high is None:
        return value
    return f"{value} ({100 * figure.ci_low:.{digits}f} to {100 * figure.ci_high:.{digits}f})"


def stacked(figure: Estimate, digits: int = 2) -> str:
    """A figure above its interval, as HTML for a narrow cell."""
    return _stack(with_interval(figure, digits))


def stacked_per_cent(figure: Estimate, digits: int = 0) -> str:
    """A share in per cent above its interval, as HTML for a narrow cell."""
    return _stack(per_cent(figure, digits))


def asked(point: OperatingPoint) -> str:
    """An operating point in words."""
    if point.criterion == "ppv":
        return f"{point.target} risk of {100 * point.goal:g} % (referral)"
    return f"{point.target} at {100 * point.goal:g} % sensitivity"


def words(name: str) -> str:
    """A dotted code name in words."""
    return name.replace("_", " ").replace(".", ": ")


def _stack(text: str) -> str:
    value, bracket, ends = text.partition(" (")
    return f"{value}<br><small>{ends.removesuffix(')')}</small>" if bracket else value
