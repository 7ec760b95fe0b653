"""Charts for the dark page, drawn from the recorded figures in the reader's language.

Each has a description for screen readers; the page has the same figures in a table beside it. What
is told by colour is told by a dash, a shape or words too.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.clinic.evidence_curves import ReliabilityBin, RocBand, RocCurve
from app.clinic.evidence_values import PREVALENCES, REFERRAL, PointValues
from app.widgets.evidence_words import figure, share
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.risk_coverage import RiskCoverage
from skin_lesion.texts import Texts

if TYPE_CHECKING:
    import altair as alt

_BLUE, _ORANGE, _GREEN, _MUTED, _INK = "#5cc8ff", "#ffb056", "#8fd694", "#7f93a5", "#e6edf3"
# Vega knows no language; where an axis needs a decimal separator, it is put in.
_PER_CENT = "format(100 * datum.value, '.0f') + '\u00a0%'"
_FINE_PER_CENT = (
    "(100 * datum.value < 1 ? replace(format(100 * datum.value, '.1f'), '.', '{point}') "
    ": format(100 * datum.value, '.0f')) + '\u00a0%'"
)
_NUMBER = "replace(format(datum.value, '.2f'), '.', '{point}')"
_DASHED, _DOTTED = [6, 4], [2, 3]


def predictive(texts: Texts, values: PointValues, prevalence: float) -> "alt.LayerChart":
    """PPV and NPV over prevalence, with the chosen one and the 3 % of referral."""
    import altair as alt

    names = {"ppv": texts("evidence.ppv.short"), "npv": texts("evidence.npv.short")}
    rows = []
    for x in sorted({*PREVALENCES, prevalence}):
        row = values.at(x)
        for name, estimate in (("ppv", row.ppv), ("npv", row.npv)):
            if estimate.value is not None:
                rows.append(
                    {
                        "x": x,
                        "y": estimate.value,
                        "low": _end(estimate.ci_low, estimate.value),
                        "high": _end(estimate.ci_high, estimate.value),
                        "name": names[name],
                        "shown": share(texts, estimate),
                        "at": texts.percent(x, 2),
                    }
                )
    marks = [
        {"y": REFERRAL, "words": texts("evidence.chart.referral", share=texts.percent(REFERRAL))}
    ]
    x_axis = alt.X(
        "x:Q",
        scale=alt.Scale(type="log", domain=[PREVALENCES[0], PREVALENCES[-1]], nice=False),
        axis=alt.Axis(
            values=[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5],
            labelExpr=_FINE_PER_CENT.format(point=texts.number(0.1, 1)[1]),
            title=texts("evidence.chart.prevalence"),
        ),
    )
    y_axis = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr=_PER_CENT, title=texts("evidence.chart.predictive")),
    )
    colour = alt.Color(
        "name:N",
        scale=alt.Scale(domain=list(names.values()), range=[_ORANGE, _BLUE]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1, symbolType="square"),
    )
    base = _chart(alt, rows).encode(x=x_axis)
    band = base.mark_area(opacity=0.22).encode(
        y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 1])), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=2.5).encode(
        y=y_axis,
        color=colour,
        strokeDash=alt.StrokeDash(
            "name:N", scale=alt.Scale(domain=list(names.values()), range=[[1, 0], _DASHED])
        ),
        tooltip=[
            alt.Tooltip("name:N", title=texts("evidence.chart.figure")),
            alt.Tooltip("at:N", title=texts("evidence.chart.prevalence")),
            alt.Tooltip("shown:N", title=texts("evidence.chart.value")),
        ],
    )
    referral = _chart(alt, marks)
    rule = referral.mark_rule(color=_INK, strokeDash=_DOTTED).encode(y="y:Q")
    words = referral.mark_text(align="left", dx=4, dy=-7, color=_INK, fontSize=12).encode(
        y="y:Q", x=alt.value(0), text="words:N"
    )
    here = _chart(alt, [{"x": prevalence}]).mark_rule(color=_GREEN, strokeWidth=2).encode(x="x:Q")
    return _dress(
        alt.layer(band, line, rule, words, here), texts("evidence.chart.predictive_says"), 330
    )


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
    base = _chart(alt, rows).encode(
        x=_share_axis(alt, "x:Q", said), tooltip=[
            alt.Tooltip("said:N", title=said),
            alt.Tooltip("shown:N", title=texts("evidence.chart.seen")),
            alt.Tooltip("n:Q", title=texts("evidence.chart.lesions")),
        ],
    )  # fmt: skip
    perfect = (
        _chart(alt, [{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=_MUTED, strokeDash=_DASHED)
        .encode(x="x:Q", y="y:Q")
    )
    bars = base.mark_rule(color=_BLUE, strokeWidth=2).encode(
        y=_share_axis(alt, "low:Q", texts("evidence.chart.seen"), vertical=True), y2="high:Q"
    )
    dots = base.mark_circle(color=_BLUE, opacity=1, size=70, stroke="#0b1117").encode(y="y:Q")
    return _dress(
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
        _chart(alt, [{"x": 0, "y": 0}, {"x": 1, "y": 1}])
        .mark_line(color=_MUTED, strokeDash=_DOTTED)
        .encode(x="x:Q", y="y:Q"),
        _chart(alt, others)
        .mark_line(color=_MUTED, strokeWidth=1.2, opacity=0.9)
        .encode(
            x=_share_axis(alt, "x:Q", texts("evidence.chart.one_less_specificity")),
            y=_share_axis(alt, "y:Q", texts("evidence.chart.sensitivity"), vertical=True),
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
            _chart(alt, area)
            .mark_area(color=_ORANGE, opacity=0.22)
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
            _chart(alt, front)
            .mark_line(color=_ORANGE, strokeWidth=3)
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
    return _dress(alt.layer(*layers), says, 400)


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
            "low": _end(one.ci_low, one.value),
            "high": _end(one.ci_high, one.value),
            "shown": share(texts, one) if per_cent else figure(texts, one),
        }
        for name, one in groups
        if one is not None and one.value is not None
    ]
    order = [name for name, _ in groups]
    least = min([float(row["low"]) for row in rows], default=0.5)  # type: ignore[arg-type]
    scale = alt.Scale(domain=[max(0.0, np.floor(10 * least) / 10), 1.0])
    y = alt.Y("name:N", sort=order, axis=alt.Axis(title=None, labelLimit=220))
    base = _chart(alt, rows).encode(
        y=y,
        tooltip=[
            alt.Tooltip("name:N", title=texts("evidence.chart.group")),
            alt.Tooltip("shown:N", title=what),
        ],
    )
    words = _PER_CENT if per_cent else _NUMBER.format(point=texts.number(0.1, 1)[1])
    axis = alt.Axis(labelExpr=words, title=what, tickCount=6)
    bars = base.mark_rule(color=_BLUE, strokeWidth=2).encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"
    )
    dots = base.mark_circle(color=_BLUE, size=80, opacity=1).encode(x=alt.X("x:Q", scale=scale))
    layers: list[Any] = [bars, dots]
    if overall is not None and overall.value is not None:
        layers.insert(
            0,
            _chart(alt, [{"x": overall.value}])
            .mark_rule(color=_ORANGE, strokeDash=_DASHED, strokeWidth=1.5)
            .encode(x=alt.X("x:Q", scale=scale)),
        )
    says = texts("evidence.chart.forest_says", what=what)
    return _dress(alt.layer(*layers), says, 110 + 34 * max(1, len(rows)))


def risk_coverage(texts: Texts, figures: RiskCoverage) -> "alt.LayerChart":
    """Mistakes among the answers that are given where the least sure are withheld."""
    import altair as alt

    rows = [
        {
            "x": one.coverage,
            "y": one.risk.value,
            "low": _end(one.risk.ci_low, one.risk.value),
            "high": _end(one.risk.ci_high, one.risk.value),
            "shown": share(texts, one.risk),
            "at": texts.percent(one.coverage),
        }
        for one in figures.points
        if one.risk.value is not None
    ]
    base = _chart(alt, rows).encode(x=_share_axis(alt, "x:Q", texts("evidence.chart.coverage")))
    top = max([float(row["high"]) for row in rows], default=1.0)  # type: ignore[arg-type]
    scale = alt.Scale(domain=[0, min(1.0, np.ceil(20 * top) / 20)])
    axis = alt.Axis(labelExpr=_PER_CENT, title=texts("evidence.chart.risk"))
    band = base.mark_area(color=_BLUE, opacity=0.22).encode(
        y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"
    )
    line = base.mark_line(color=_BLUE, strokeWidth=2.5).encode(
        y=alt.Y("y:Q", scale=scale),
        tooltip=[
            alt.Tooltip("at:N", title=texts("evidence.chart.coverage")),
            alt.Tooltip("shown:N", title=texts("evidence.chart.risk")),
        ],
    )
    return _dress(alt.layer(band, line), texts("evidence.chart.risk_says"), 320)


def _share_axis(alt: Any, field: str, title: str, *, vertical: bool = False) -> Any:
    channel = alt.Y if vertical else alt.X
    return channel(
        field,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr=_PER_CENT, title=title),
    )


def _end(end: float | None, value: float | None) -> float | None:
    """An end of an interval; a figure without one is drawn as a point."""
    return value if end is None else end


def _chart(alt: Any, rows: Sequence[Mapping[str, object]]) -> Any:
    return alt.Chart(alt.Data(values=list(rows)))


def _dress(chart: Any, description: str, height: int) -> "alt.LayerChart":
    dressed: alt.LayerChart = (
        chart.properties(height=height, description=description)
        .configure_axis(
            labelColor="#c6d3df", titleColor="#c6d3df", gridColor="#22303c", labelFontSize=12,
            titleFontSize=12, titleFontWeight="normal", domainColor="#3a4d5e", tickColor="#3a4d5e",
        )
        .configure_legend(labelColor="#e6edf3", labelFontSize=13)
        .configure_view(strokeWidth=0)
    )  # fmt: skip
    return dressed
