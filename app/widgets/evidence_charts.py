"""Charts for the dark page, drawn from the recorded figures in the reader's language.

Each has a description for screen readers; the page has the same figures in a table beside it. What
is told by colour is told by a dash, a shape or words too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.clinic.evidence_curves import ReliabilityBin, RocBand, RocCurve
from app.widgets.evidence_chart_style import (
    BLUE,
    DASHED,
    DOTTED,
    MUTED,
    NUMBER,
    ORANGE,
    PER_CENT,
    chart,
    dress,
    end,
    share_axis,
)
from app.widgets.evidence_words import figure, share
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.risk_coverage import RiskCoverage
from skin_lesion.texts import Texts

if TYPE_CHECKING:
    import altair as alt


def reliability(texts: Texts, bins: Sequence[ReliabilityBin], said: str) -> "alt.LayerChart":
    """What was said against what came true."""
    import altair as alt

    rows = [
        {
            "x": one.said,
            "y": one.seen,
            "low": one.ci_low,
            "high": one.ci_high,
            "n": one.lesions,
            "shown": share(texts, Estimate(value=one.seen, ci_low=one.ci_low, ci_high=one.ci_high)),
            "said": texts.percent(one.said, 1),
        }
        for one in bins
    ]
    base = chart(alt, rows).encode(
        x=share_axis(alt, "x:Q", said), tooltip=[
            alt.Tooltip("said:N", title=said),
            alt.Tooltip("shown:N", title=texts("evidence.chart.seen")),
            alt.Tooltip("n:Q", title=texts("evidence.chart.lesions")),
        ],
    )  # fmt: skip
    perfect = (
        chart(alt, [{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=MUTED, strokeDash=DASHED)
        .encode(x="x:Q", y="y:Q")
    )
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(
        y=share_axis(alt, "low:Q", texts("evidence.chart.seen"), vertical=True), y2="high:Q"
    )
    dots = base.mark_circle(color=BLUE, opacity=1, size=70, stroke="#0b1117").encode(y="y:Q")
    return dress(
        alt.layer(perfect, bars, dots), texts("evidence.chart.reliability_says", said=said), 360
    )


def roc(
    texts: Texts,
    curves: Mapping[str, RocCurve],
    band: RocBand | None,
    chosen: str,
    names: Mapping[str, str],
) -> "alt.LayerChart":
    """The curve of each class, one of them in front with its band."""
    import altair as alt

    others = [
        {"x": 1 - float(x), "y": float(y), "name": names[label]}
        for label, curve in curves.items()
        if label != chosen
        for x, y in zip(curve.specificity, curve.sensitivity, strict=True)
    ]
    layers: list[Any] = [
        chart(alt, [{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=MUTED, strokeDash=DOTTED)
        .encode(x="x:Q", y="y:Q"),
        chart(alt, others)
        .mark_line(color=MUTED, strokeWidth=1.2, opacity=0.9)
        .encode(
            x=share_axis(alt, "x:Q", texts("evidence.chart.one_less_specificity")),
            y=share_axis(alt, "y:Q", texts("evidence.chart.sensitivity"), vertical=True),
            detail="name:N",
            tooltip=[alt.Tooltip("name:N", title=texts("evidence.chart.class"))],
        ),
    ]
    if band is not None:
        area = [
            {"x": 1 - float(x), "low": float(low), "high": float(high)}
            for x, low, high in zip(band.specificity, band.low, band.high, strict=True)
        ]
        layers.append(
            chart(alt, area)
            .mark_area(color=ORANGE, opacity=0.22)
            .encode(x="x:Q", y="low:Q", y2="high:Q")
        )
    if chosen in curves:
        front = [
            {
                "x": 1 - float(x),
                "y": float(y),
                "specificity": texts.percent(float(x), 1),
                "sensitivity": texts.percent(float(y), 1),
            }
            for x, y in zip(curves[chosen].specificity, curves[chosen].sensitivity, strict=True)
        ]
        layers.append(
            chart(alt, front)
            .mark_line(color=ORANGE, strokeWidth=3)
            .encode(
                x="x:Q",
                y="y:Q",
                tooltip=[
                    alt.Tooltip("sensitivity:N", title=texts("evidence.chart.sensitivity")),
                    alt.Tooltip("specificity:N", title=texts("evidence.chart.specificity")),
                ],
            )
        )
    says = texts("evidence.chart.roc_says", name=names[chosen])
    return dress(alt.layer(*layers), says, 400)


def forest(
    texts: Texts,
    groups: Sequence[tuple[str, Estimate | None]],
    overall: Estimate | None,
    what: str,
    *,
    per_cent: bool,
) -> "alt.LayerChart":
    """One figure of each group, beside that of all; in per cent, or from 0 to 1."""
    import altair as alt

    rows = [
        {
            "name": name,
            "x": one.value,
            "low": end(one.ci_low, one.value),
            "high": end(one.ci_high, one.value),
            "shown": share(texts, one) if per_cent else figure(texts, one),
        }
        for name, one in groups
        if one is not None and one.value is not None
    ]
    order = [name for name, _ in groups]
    least = min([0.9, *(float(row["low"]) for row in rows)])  # type: ignore[arg-type]
    scale = alt.Scale(domain=[max(0.0, np.floor(10 * least) / 10), 1.0])
    y = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, labelLimit=220))
    base = chart(alt, rows).encode(
        y=y,
        tooltip=[
            alt.Tooltip("name:N", title=texts("evidence.chart.group")),
            alt.Tooltip("shown:N", title=what),
        ],
    )
    words = PER_CENT if per_cent else NUMBER.format(point=texts.number(0.1, 1)[1])
    axis = alt.Axis(labelExpr=words, title=what, tickCount=6)
    bars = base.mark_rule(color=BLUE, strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"
    )
    dots = base.mark_circle(color=BLUE, size=80, opacity=1).encode(x=alt.X("x:Q", scale=scale))
    layers: list[Any] = [bars, dots]
    if overall is not None and overall.value is not None:
        layers.insert(
            0,
            chart(alt, [{"x": overall.value}])
            .mark_rule(color=ORANGE, strokeDash=DASHED, strokeWidth=1.5)
            .encode(x=alt.X("x:Q", scale=scale)),
        )
    says = texts("evidence.chart.forest_says", what=what)
    return dress(alt.layer(*layers), says, 110 + 34 * max(1, len(rows)))


def risk_coverage(texts: Texts, figures: RiskCoverage) -> "alt.LayerChart":
    """Mistakes among the answers that are given where the least sure are withheld."""
    import altair as alt

    rows = [
        {
            "x": one.coverage,
            "y": one.risk.value,
            "low": end(one.risk.ci_low, one.risk.value),
            "high": end(one.risk.ci_high, one.risk.value),
            "shown": share(texts, one.risk),
            "at": texts.percent(one.coverage),
        }
        for one in figures.points
        if one.risk.value is not None
    ]
    base = chart(alt, rows).encode(x=share_axis(alt, "x:Q", texts("evidence.chart.coverage")))
    top = max([float(row["high"]) for row in rows], default=1.0)  # type: ignore[arg-type]
    scale = alt.Scale(domain=[0, min(1.0, np.ceil(20 * top) / 20)])
    axis = alt.Axis(labelExpr=PER_CENT, title=texts("evidence.chart.risk"))
    band = base.mark_area(color=BLUE, opacity=0.22).encode(
        y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"
    )
    line = base.mark_line(color=BLUE, strokeWidth=2.5).encode(
        y=alt.Y("y:Q", scale=scale),
        tooltip=[
            alt.Tooltip("at:N", title=texts("evidence.chart.coverage")),
            alt.Tooltip("shown:N", title=texts("evidence.chart.risk")),
        ],
    )
    return dress(alt.layer(band, line), texts("evidence.chart.risk_says"), 320)
