"""What frozen thresholds and bands of confidence come to."""

from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.confidence_bands import BandFigures, ConfidenceBand
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.wording import (
    NOT_MEASURED,
    asked,
    counted,
    stacked,
    stacked_per_cent,
    with_interval,
    words,
)

_SHOWN_PREVALENCES = (0.005, 0.02, 0.1, 0.2)


def operating_points(evidence: Evidence) -> str:
    """What each frozen threshold comes to."""
    rows = []
    for one in evidence.operating_points:
        point, found = one.point, one.figures
        rows.append(
            [
                escape(asked(point)) + ("" if point.reached else "<br><i>not reached</i>"),
                f"{point.threshold:.3f}",
                stacked_per_cent(found.sensitivity),
                stacked_per_cent(found.specificity),
                stacked_per_cent(found.ppv),
                stacked_per_cent(found.npv, 1),
                stacked(found.number_needed_to_biopsy, 1),
                stacked_per_cent(found.flagged),
            ]
        )
    head = ("Point", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV",
            "Number needed to biopsy", "Flagged")  # fmt: skip
    return (
        "<p>Thresholds were chosen on validation and frozen with the model.</p>"
        + figures_table(
            head,
            rows,
            caption="Thresholds are probabilities from 0 to 1; the number needed to biopsy counts "
            "flagged pictures for each true find. Below each figure its 95 % interval.",
        )
        + "<p>Predictive values hold for the mix of this data set. Elsewhere they follow from the "
        "prevalence:</p>" + _by_prevalence(evidence)
    )


def confidence(evidence: Evidence) -> str:
    """What the bands of confidence are worth."""
    if evidence.confidence is None:
        return NOT_MEASURED
    rows = [
        [
            band.name,
            f"{band.n_images:,}",
            stacked_per_cent(band.share),
            stacked_per_cent(band.accuracy),
            _missed_of(band),
        ]
        for band in evidence.confidence.bands
    ]
    cutoffs = evidence.confidence.cutoffs
    curve = evidence.risk_coverage
    return (
        f"<p>High from a top probability of {cutoffs.high:.2f}, medium from {cutoffs.medium:.2f}. "
        "Confidence says how sure the model is, not how dangerous a lesion would be.</p>"
        + figures_table(
            ("Band", "Images", "Share of all", "Accuracy", "Melanomas called something else"),
            rows,
            caption="Shares in per cent, below each its 95 % interval.",
        )
        + _sure_misses(evidence.confidence)
        + f"<p>Withholding the least sure answers: area under the risk-coverage curve "
        f"{with_interval(curve.aurc)}, {with_interval(curve.excess_aurc)} above the best "
        "possible one.</p>"
    )


def _missed_of(band: ConfidenceBand) -> str:
    if not band.n_melanomas:
        return "no melanoma"
    return f"{stacked_per_cent(band.melanoma_missed)}<br><small>of {band.n_melanomas:,}</small>"


def _sure_misses(figures: BandFigures) -> str:
    high = figures.bands[0]
    if not high.n_melanomas or high.melanoma_missed.value is None:
        return ""
    missed = round(high.melanoma_missed.value * high.n_melanomas)
    return (
        "<p><b>High confidence does not exclude melanoma:</b> of "
        f"{counted(high.n_melanomas, 'melanoma image')} in the high band, "
        f"{missed or 'none'} {'is' if missed in (0, 1) else 'are'} called something else here. The "
        "most probable class alone is no way to look for melanoma; the operating points are.</p>"
    )


def _by_prevalence(evidence: Evidence) -> str:
    names = {one.point.name: asked(one.point) for one in evidence.operating_points}
    rows = []
    for one in evidence.predictive_values:
        shown = [row for row in one.rows if row.prevalence in _SHOWN_PREVALENCES]
        cells = [
            f"PPV {stacked_per_cent(row.ppv)}<br>NPV {stacked_per_cent(row.npv, 1)}"
            for row in shown
        ]
        rows.append([escape(names.get(one.name, words(one.name))), *cells])
    head = ("At a prevalence of", *(f"{100 * p:g} %" for p in _SHOWN_PREVALENCES))
    return figures_table(head, rows, caption="PPV and NPV in per cent, with their 95 % intervals.")
