"""The chart of predictive values over prevalence."""

from typing import TYPE_CHECKING

from app.clinic.evidence_values import PREVALENCES, REFERRAL, PointValues
from app.widgets.evidence_chart_style import (
    BLUE,
    DASHED,
    DOTTED,
    FINE_PER_CENT,
    GREEN,
    INK,
    ORANGE,
    PER_CENT,
    chart,
    dress,
    end,
)
from app.widgets.evidence_words import share
from skin_lesion.texts import Texts

if TYPE_CHECKING:
    import altair as alt


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
                        "low": end(estimate.ci_low, estimate.value),
                        "high": end(estimate.ci_high, estimate.value),
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
            labelExpr=FINE_PER_CENT.format(point=texts.number(0.1, 1)[1]),
            title=texts("evidence.chart.prevalence"),
        ),
    )
    y_axis = alt.Y(
        "y:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(labelExpr=PER_CENT, title=texts("evidence.chart.predictive")),
    )
    colour = alt.Color(
        "name:N",
        scale=alt.Scale(domain=list(names.values()), range=[ORANGE, BLUE]),
        legend=alt.Legend(title=None, orient="top", symbolOpacity=1, symbolType="square"),
    )
    base = chart(alt, rows).encode(x=x_axis)
    band = base.mark_area(opacity=0.22).encode(
        y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 1])), y2="high:Q", color=colour
    )
    line = base.mark_line(strokeWidth=2.5).encode(
        y=y_axis,
        color=colour,
        strokeDash=alt.StrokeDash(
            "name:N", scale=alt.Scale(domain=list(names.values()), range=[[1, 0], DASHED])
        ),
        tooltip=[
            alt.Tooltip("name:N", title=texts("evidence.chart.figure")),
            alt.Tooltip("at:N", title=texts("evidence.chart.prevalence")),
            alt.Tooltip("shown:N", title=texts("evidence.chart.value")),
        ],
    )
    referral = chart(alt, marks)
    rule = referral.mark_rule(color=INK, strokeDash=DOTTED).encode(y="y:Q")
    words = referral.mark_text(align="left", dx=4, dy=-7, color=INK, fontSize=12).encode(
        y="y:Q", x=alt.value(0), text="words:N"
    )
    here = chart(alt, [{"x": prevalence}]).mark_rule(color=GREEN, strokeWidth=2).encode(x="x:Q")
    return dress(
        alt.layer(band, line, rule, words, here), texts("evidence.chart.predictive_says"), 330
    )
