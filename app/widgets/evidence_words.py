"""How measured figures are written in the reader's language."""

from skin_lesion.evaluation.figures import Estimate
from skin_lesion.texts import Texts


def figure(texts: Texts, estimate: Estimate | None, digits: int = 3) -> str:
    """A figure with its 95 % interval."""
    if estimate is None or estimate.value is None:
        return texts("evidence.none")
    value = texts.number(estimate.value, digits)
    if estimate.ci_low is None or estimate.ci_high is None:
        return texts("evidence.no_interval", value=value)
    low, high = texts.number(estimate.ci_low, digits), texts.number(estimate.ci_high, digits)
    return texts("evidence.interval", value=value, low=low, high=high)


def share(texts: Texts, estimate: Estimate | None, digits: int = 1) -> str:
    """A share in per cent with its 95 % interval."""
    if estimate is None or estimate.value is None:
        return texts("evidence.none")
    value = texts.percent(estimate.value, digits)
    if estimate.ci_low is None or estimate.ci_high is None:
        return texts("evidence.no_interval", value=value)
    low = texts.number(100 * estimate.ci_low, digits)
    high = texts.percent(estimate.ci_high, digits)
    return texts("evidence.interval", value=value, low=low, high=high)


def ends(texts: Texts, estimate: Estimate, digits: int = 3, *, per_cent: bool = False) -> str:
    """The interval alone."""
    if estimate.value is None or estimate.ci_low is None or estimate.ci_high is None:
        return texts("evidence.interval_missing")
    if per_cent:
        low = texts.number(100 * estimate.ci_low, digits)
        high = texts.percent(estimate.ci_high, digits)
    else:
        low, high = texts.number(estimate.ci_low, digits), texts.number(estimate.ci_high, digits)
    return texts("evidence.ends", low=low, high=high)


def signed(texts: Texts, value: float, digits: int = 3) -> str:
    """A difference with its sign."""
    sign = "+" if value > 0 else "\u2212" if value < 0 else "±"
    return f"{sign}{texts.number(abs(value), digits)}"
