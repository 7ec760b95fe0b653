"""How far the probabilities can be believed, and what is gained by not answering."""

from typing import get_args

import streamlit as st

from app.clinic.evidence_curves import Believed, ReliabilityBin, reliability
from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets import evidence_charts
from app.widgets.evidence_choice import choose
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import figure, share
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.texts import Texts

_WHICH: tuple[Believed, ...] = get_args(Believed)
_BINS = 10
_CHOSEN = "evidence_believed"
_COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)


def belief(desk: Desk, found: Evidence) -> None:
    """Draw the section."""
    texts = desk.texts
    st.header(texts("evidence.belief.title"), anchor=False)
    st.markdown(texts("evidence.belief.lead"))
    if found.sample() is None:
        st.markdown(texts("evidence.no_sample"))
    else:
        _reliability(desk, found)
    st.subheader(texts("evidence.coverage.title"), anchor=False)
    _coverage(texts, found)


@st.fragment
def _reliability(desk: Desk, found: Evidence) -> None:
    texts, after = desk.texts, found.report.evidence.calibration.after
    left, right = st.columns([1, 1], gap="large")
    with left:
        which = choose(
            desk,
            texts("evidence.belief.label"),
            _WHICH,
            lambda one: texts(f"evidence.belief.{one}"),
            key=_CHOSEN,
            first=_WHICH[0],
        )
        bins = _bins(found.key, which, found)
        st.altair_chart(
            evidence_charts.reliability(texts, bins, texts(f"evidence.belief.said_{which}")),
            key="evidence_reliability",
        )
        st.caption(texts("evidence.belief.how"))
    with right:
        st.html(
            table(
                texts("evidence.belief.caption"),
                [
                    texts(f"evidence.belief.said_{which}"),
                    texts("evidence.chart.seen"),
                    texts("evidence.chart.lesions"),
                ],
                [
                    [
                        texts.percent(one.said, 1),
                        share(
                            texts,
                            Estimate(value=one.seen, ci_low=one.ci_low, ci_high=one.ci_high),
                            0,
                        ),
                        texts.number(one.lesions),
                    ]
                    for one in bins
                ],
                words=(),
            )
        )
        st.html(
            table(
                texts("evidence.belief.errors"),
                [texts("evidence.chart.figure"), texts("evidence.chart.value")],
                [
                    [texts("evidence.figures.ece"), figure(texts, after.ece)],
                    [texts("evidence.belief.by_chance"), texts.number(after.ece_by_chance, 3)],
                    [texts("evidence.belief.malignant_ece"), figure(texts, after.malignant_ece)],
                    [texts("evidence.figures.brier"), figure(texts, after.brier)],
                ],
            )
        )


def _coverage(texts: Texts, found: Evidence) -> None:
    figures = found.report.evidence.risk_coverage
    st.markdown(texts("evidence.coverage.lead"))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.altair_chart(evidence_charts.risk_coverage(texts, figures), key="evidence_coverage")
    with right:
        st.html(
            table(
                texts("evidence.coverage.caption"),
                [texts("evidence.chart.coverage"), texts("evidence.chart.risk")],
                [
                    [texts.percent(coverage), share(texts, figures.at(coverage).risk)]
                    for coverage in _COVERAGES
                ],
                words=(),
            )
        )
        st.caption(texts("evidence.coverage.how"))


@st.cache_data(max_entries=12, show_spinner=False)
def _bins(key: str, which: Believed, _found: Evidence) -> tuple[ReliabilityBin, ...]:
    sample = _found.sample()
    assert sample is not None  # looked at above
    return reliability(sample.one_per_lesion(), which, _BINS)
