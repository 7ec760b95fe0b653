"""Operating points, and what a flag means where the disease is more or less common."""

from html import escape

import streamlit as st

from app.clinic.evidence_values import REFERRAL, PointValues, point_values
from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets import evidence_predictive_chart
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import ends, share
from app.widgets.operating_point import choose_point, point_name
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.texts import Texts

# In per cent; from a screening of everybody to a unit for pigmented lesions.
_STEPS: tuple[float, ...] = (
    0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 12.5, 15, 20, 25, 30, 40, 50,
)  # fmt: skip
_FIRST = 3.0
# What two decimals of a per cent round to 0.
_NOTHING = 0.00005
_PREVALENCE = "evidence_prevalence"


def operating_points(desk: Desk, found: Evidence) -> None:
    """Draw the section."""
    texts, points = desk.texts, found.report.evidence.operating_points
    st.header(texts("evidence.points.title"), anchor=False)
    if not points:
        st.markdown(texts("evidence.points.without"))
        return
    st.markdown(texts("evidence.points.lead"))
    st.html(
        table(
            texts("evidence.points.caption"),
            [
                texts(f"evidence.points.{name}")
                for name in (
                    "point",
                    "threshold",
                    "sensitivity",
                    "specificity",
                    "missed",
                    "flagged",
                )
            ],
            [
                [
                    point_name(texts, one.point)
                    + ("" if one.point.reached else f" {texts('evidence.points.not_reached')}"),
                    texts.percent(one.point.threshold, 1),
                    share(texts, one.figures.lesion_sensitivity),
                    share(texts, one.figures.lesion_specificity),
                    texts(
                        "evidence.points.missed_of",
                        missed=texts.number(one.figures.fn),
                        of=texts.number(one.figures.fn + one.figures.tp),
                    ),
                    share(texts, one.figures.flagged),
                ]
                for one in points
            ],
        )
    )
    st.caption(texts("evidence.points.how"))
    st.subheader(texts("evidence.prevalence.title"), anchor=False)
    sample = found.sample()
    if sample is None:
        st.markdown(texts("evidence.no_sample"))
        return
    _prevalence(desk, found)


@st.fragment
def _prevalence(desk: Desk, found: Evidence) -> None:
    texts = desk.texts
    values = _values(found.key, desk.config.evidence_resamples, found)
    st.markdown(texts("evidence.prevalence.lead"))
    left, right = st.columns([2, 3], gap="large")
    with left:
        contract = desk.store.current().contract
        chosen = choose_point(desk, contract, key="evidence_point")
        name = chosen.name if chosen is not None and chosen.name in values else next(iter(values))
        one = values[name]
        per_cent = st.select_slider(
            texts("evidence.prevalence.label", target=_target(texts, one)),
            _STEPS,
            value=_FIRST,
            format_func=lambda step: _per_cent(texts, step),
            key=_PREVALENCE,
        )
        prevalence = float(per_cent) / 100
        row = one.at(prevalence)
        st.html(
            '<ul class="sl-ev-figures">'
            + _figure(texts, texts("evidence.ppv.name"), row.ppv, 1)
            + _figure(texts, texts("evidence.npv.name"), row.npv, 2)
            + "</ul>"
        )
        st.markdown(referral(texts, one, row.ppv.value, prevalence))
    with right:
        st.altair_chart(
            evidence_predictive_chart.predictive(texts, one, prevalence), key="evidence_predictive"
        )
    shown = sorted({0.005, 0.01, 0.03, 0.1, 0.2, prevalence})
    st.html(
        table(
            texts("evidence.prevalence.caption", point=point_name(texts, one.point)),
            [
                texts("evidence.prevalence.column"),
                texts("evidence.ppv.name"),
                texts("evidence.npv.name"),
                texts("evidence.prevalence.for_each"),
            ],
            [_row(texts, one, x) for x in shown],
            words=(),
            marked=[shown.index(prevalence)],
        )
    )
    st.caption(
        texts(
            "evidence.prevalence.how",
            share=texts.percent(one.prevalence, 1),
            test=_target(texts, one),
        )
    )


def _figure(texts: Texts, name: str, estimate: Estimate, digits: int) -> str:
    value = (
        texts("evidence.none") if estimate.value is None else texts.percent(estimate.value, digits)
    )
    return (
        f'<li><span class="sl-ev-name">{escape(name)}</span><span class="sl-ev-value">{value}</span>'
        f'<span class="sl-ev-ends">{ends(texts, estimate, digits, per_cent=True)}</span></li>'
    )


def _row(texts: Texts, one: PointValues, prevalence: float) -> list[str]:
    row = one.at(prevalence)
    each = texts.number(1 / row.ppv.value, 1) if row.ppv.value else texts("evidence.none")
    return [
        _per_cent(texts, 100 * prevalence),
        share(texts, row.ppv),
        share(texts, row.npv, 2),
        each,
    ]


def referral(texts: Texts, one: PointValues, ppv: float | None, prevalence: float) -> str:
    """Where a flag reaches the predictive value from which NICE refers."""
    needed = one.prevalence_for(REFERRAL)
    if needed is None or ppv is None:
        return texts("evidence.referral.never", share=texts.percent(REFERRAL))
    if needed < _NOTHING:
        return texts("evidence.referral.always", share=texts.percent(REFERRAL))
    side = "above" if ppv >= REFERRAL else "below"
    return texts(
        f"evidence.referral.{side}",
        share=texts.percent(REFERRAL),
        prevalence=_per_cent(texts, 100 * prevalence),
        needed=texts.percent(needed, 2),
    )


def _target(texts: Texts, one: PointValues) -> str:
    return texts(f"evidence.target.{one.point.target}")


def _per_cent(texts: Texts, step: float) -> str:
    digits = 0 if step == int(step) else 1 if 10 * step == int(10 * step) else 2
    return texts.percent(step / 100, digits)


@st.cache_data(max_entries=4, show_spinner=False)
def _values(key: str, count: int, _found: Evidence) -> dict[str, PointValues]:
    sample = _found.sample()
    assert sample is not None  # looked at above
    return point_values(
        sample,
        _found.report.evidence.operating_points,
        count=count,
        seed=_found.report.seed,
    )
