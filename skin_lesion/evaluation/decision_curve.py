"""Decision curves: whether acting on the model does more good than acting on all, or on none.

Source: Vickers and Elkin, "Decision curve analysis: a novel method for evaluating prediction
models", Med. Decis. Making 26, 2006. A patient who would have 1 / p lesions removed to find one
that is of the target acts from the risk p on; a false alarm then costs p / (1 - p) of what a find is
worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skin_lesion.decisions import Target, target_score, target_truth
from skin_lesion.evaluation.figures import Estimate, Figures
from skin_lesion.evaluation.proportions import Flags, Values
from skin_lesion.evaluation.resampling import Resamples, estimate, interval
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.style import BLUE, INK, ORANGE, dress, new_figure, png

# Range over which doctors and patients may reasonably differ; beyond 1 in 2 nobody hesitates.
THRESHOLDS: Values = np.round(np.arange(0.01, 0.505, 0.01), 2)
_TITLES: dict[Target, str] = {
    "melanoma": "Melanoma",
    "malignant": "Malignant (mel + bcc + akiec)",
}


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit at each of T threshold probabilities; that of treating none is 0 throughout.

    Attributes:
        target: What is looked for.
        prevalence: Share of the target among the images.
        thresholds: Ascending, shape (T,).
        model: Treating from the threshold on, as finds per image, shape (T,).
        low: Lower end of its 95 % interval, NaN where there is none, shape (T,).
        high: Upper end, shape (T,).
        treat_all: Treating every image, shape (T,).
    """

    target: Target
    prevalence: float
    thresholds: Values
    model: Values
    low: Values
    high: Values
    treat_all: Values


class DecisionRow(Figures):
    """Net benefit at one threshold probability, as finds per image without a false alarm.

    Attributes:
        threshold: Risk from which one would act, 0 to 1.
        model: Net benefit of acting on the model.
        treat_all: Net benefit of acting on every image.
        gain: What the model gains over the better of acting on all and acting on none, on the same
            resamples.
        spared_per_100: Images in 100 that the model spares an intervention at no loss of finds,
            against acting on all; negative where it does harm.
    """

    threshold: float
    model: Estimate
    treat_all: Estimate
    gain: Estimate
    spared_per_100: Estimate


class DecisionFigures(Figures):
    """Decision curve of one target at a few thresholds, at the prevalence of the sample.

    Attributes:
        target: What is looked for.
        prevalence: Share of the target among the images.
        rows: One for each threshold.
    """

    target: Target
    prevalence: float
    rows: tuple[DecisionRow, ...]


def decision_curve(
    sample: Sample, target: Target, resamples: Resamples, *, thresholds: Values
) -> DecisionCurve:
    """Net benefit over a range of threshold probabilities.

    Args:
        sample: N images.
        target: What is looked for.
        resamples: Of the same images.
        thresholds: Such as `THRESHOLDS`, above 0 and below 1, shape (T,).

    Raises:
        ValueError: A threshold that is not between 0 and 1.
    """
    positive, score = _of(sample, target)
    every = np.ones(len(positive), bool)
    ends = [
        interval(_net_benefits(score >= risk, positive, risk, resamples))
        for risk in _checked(thresholds)
    ]
    return DecisionCurve(
        target=target,
        prevalence=float(positive.mean()),
        thresholds=thresholds,
        model=np.array([_net_benefit(score >= risk, positive, risk) for risk in thresholds]),
        low=np.array([np.nan if end is None else end.ci_low for end in ends]),
        high=np.array([np.nan if end is None else end.ci_high for end in ends]),
        treat_all=np.array([_net_benefit(every, positive, risk) for risk in thresholds]),
    )


def decision_figures(
    sample: Sample, target: Target, resamples: Resamples, *, thresholds: Sequence[float]
) -> DecisionFigures:
    """Net benefit at a few threshold probabilities, with what the model gains.

    Args:
        sample: N images.
        target: What is looked for.
        resamples: Of the same images.
        thresholds: Above 0 and below 1.

    Raises:
        ValueError: A threshold that is not between 0 and 1.
    """
    positive, score = _of(sample, target)
    rows = tuple(
        _row(score >= risk, positive, float(risk), resamples)
        for risk in _checked(np.asarray(thresholds, dtype=np.float64))
    )
    return DecisionFigures(target=target, prevalence=float(positive.mean()), rows=rows)


def draw_decision_curves(curves: Sequence[DecisionCurve]) -> bytes:
    """One panel for each target: the model with its band, against treating all and none."""
    figure = new_figure(5.6 * len(curves), 4.6)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, curve in zip(panels, curves, strict=True):
        percent = 100 * curve.thresholds
        axes.fill_between(
            percent, 100 * curve.low, 100 * curve.high, color=BLUE, alpha=0.18, linewidth=0
        )
        axes.plot(percent, 100 * curve.model, color=BLUE, linewidth=2.2, label="Model, 95 % band")
        axes.plot(
            percent,
            100 * curve.treat_all,
            color=ORANGE,
            linewidth=1.6,
            linestyle=(0, (5, 2)),
            label="Act on every picture",
        )
        axes.axhline(0, color=INK, linewidth=1.2, linestyle=(0, (1, 2)), label="Act on no picture")
        dress(
            axes,
            f"{_TITLES[curve.target]}, prevalence {curve.prevalence:.0%}",
            "Risk from which one would act (%)",
            "Net benefit (finds per 100 pictures)",
        )
        top = 100 * float(max(np.nanmax([*curve.model, *curve.high]), curve.treat_all.max(), 0.01))
        # Acting on all falls without end; what matters happens near and above 0.
        axes.set(xlim=(0, percent[-1]), ylim=(-0.35 * top, 1.12 * top))
        axes.legend(loc="upper right", fontsize=8.5, frameon=False, labelcolor=INK)
    return png(figure)


def _row(flagged: Flags, positive: Flags, risk: float, resamples: Resamples) -> DecisionRow:
    every = np.ones(len(positive), bool)
    model = _net_benefit(flagged, positive, risk)
    treat_all = _net_benefit(every, positive, risk)
    models = _net_benefits(flagged, positive, risk, resamples)
    all_treated = _net_benefits(every, positive, risk, resamples)
    price = risk / (1 - risk)
    return DecisionRow(
        threshold=risk,
        model=estimate(model, models),
        treat_all=estimate(treat_all, all_treated),
        gain=estimate(model - max(treat_all, 0.0), models - np.maximum(all_treated, 0.0)),
        spared_per_100=estimate(
            100 * (model - treat_all) / price, 100 * (models - all_treated) / price
        ),
    )


def _of(sample: Sample, target: Target) -> tuple[Flags, Values]:
    return target_truth(sample.truth, target), target_score(sample.probabilities, target)


def _gains(flagged: Flags, positive: Flags, risk: float) -> Values:
    """What each image adds: a find 1, a false alarm its price, the others nothing."""
    return np.where(flagged, np.where(positive, 1.0, -risk / (1 - risk)), 0.0)


def _net_benefit(flagged: Flags, positive: Flags, risk: float) -> float:
    return float(_gains(flagged, positive, risk).mean())


def _net_benefits(flagged: Flags, positive: Flags, risk: float, resamples: Resamples) -> Values:
    return resamples.means(_gains(flagged, positive, risk))


def _checked(thresholds: Values) -> Values:
    if not ((thresholds > 0) & (thresholds < 1)).all():
        raise ValueError(f"thresholds are {thresholds}; expected risks above 0 and below 1")
    return thresholds
