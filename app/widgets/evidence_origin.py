"""Which run, data and thresholds made the model, what changed with it, and its card."""

import re

import streamlit as st

from app.clinic import models
from app.clinic.evidence_changes import LastChange, last_change
from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets.evidence_comparison import comparison
from app.widgets.evidence_tables import code, facts, table
from app.widgets.evidence_words import signed
from app.widgets.operating_point import point_name
from skin_lesion.evaluation.measured import ERRORS
from skin_lesion.texts import Texts

_SHORT = 12
_TOP_HEADING = re.compile(r"^# .*\n+", re.MULTILINE)
_HEADING = re.compile(r"^(#{2,5}) ", re.MULTILINE)
# Links of the card lead to files beside it, which this page does not serve.
_LINK = re.compile(r"\[([^\]]*)\]\(<?(?!https?:)[^)]*\)")


def origin(desk: Desk, found: Evidence) -> None:
    """Draw where the model comes from."""
    texts, report = desk.texts, found.report
    st.header(texts("evidence.origin.title"), anchor=False)
    trained_by = report.training_run_id
    st.html(
        facts(
            texts("evidence.origin.caption"),
            [
                (texts("evidence.origin.version"), str(found.version.version)),
                (texts("evidence.origin.bundle"), code(found.version.bundle_hash[:_SHORT])),
                (
                    texts("evidence.origin.trained_by"),
                    code(trained_by) if trained_by else texts("evidence.none"),
                ),
                (texts("evidence.origin.measured_by"), code(found.run_id)),
                (texts("evidence.origin.data"), code(report.data_fingerprint[:_SHORT])),
                (texts("evidence.origin.split"), code(report.split_hash[:_SHORT])),
                (
                    texts("evidence.origin.pictures"),
                    texts(f"evidence.origin.{'drawn' if report.synthetic_only else 'real'}"),
                ),
                (texts("evidence.origin.licence"), report.licence),
                (texts("evidence.origin.backbone"), report.backbone),
                (
                    texts("evidence.origin.code"),
                    code(found.version.tags.get("code_version", texts("evidence.none"))),
                ),
            ],
        )
    )
    _thresholds(texts, found)
    st.subheader(texts("evidence.change.title"), anchor=False)
    _change(desk, found)


def card(desk: Desk, found: Evidence) -> None:
    """Draw the model card as the pipeline wrote it."""
    texts = desk.texts
    st.header(texts("evidence.card.title"), anchor=False)
    st.markdown(texts("evidence.card.lead"))
    text = found.model_card()
    if text is None:
        st.markdown(texts("evidence.card.without"))
        return
    with st.container(border=True, key="evidence_card"):
        st.markdown(shown_card(text))


def shown_card(markdown: str) -> str:
    """The card without its own top heading, one level lower, and without links to other files."""
    body = _TOP_HEADING.sub("", markdown, count=1)
    return _LINK.sub(r"\1", _HEADING.sub(r"#\1 ", body))


def _thresholds(texts: Texts, found: Evidence) -> None:
    decisions = found.report.decisions
    rows = [
        [
            point_name(texts, point),
            texts.percent(point.threshold, 2),
            texts(f"evidence.origin.reached_{'yes' if point.reached else 'no'}"),
        ]
        for point in decisions.operating_points
    ]
    if decisions.confidence is not None:
        for band in ("high", "medium"):
            cut = getattr(decisions.confidence, band)
            name = texts("evidence.origin.confidence", band=texts(f"evidence.bands.{band}"))
            rows.append([name, texts.percent(cut, 2), texts("evidence.origin.reached_na")])
    st.html(
        table(
            texts("evidence.origin.thresholds"),
            [texts(f"evidence.origin.{name}") for name in ("threshold_of", "threshold", "reached")],
            rows,
            words=(0, 2),
        )
    )


def _change(desk: Desk, found: Evidence) -> None:
    texts = desk.texts
    try:
        change = last_change(found.version)
    except models.OutOfReachError:
        st.warning(texts("evidence.change.unreachable"), icon=":material/warning:")
        return
    if change is None:
        st.markdown(texts("evidence.change.unrecorded"))
        return
    recorded = change.recorded.change
    key = f"evidence.change.{recorded.kind}"
    before = (
        texts("registry.nothing")
        if recorded.before is None
        else texts("registry.the_version", version=recorded.before)
    )
    st.html(
        facts(
            texts("evidence.change.caption"),
            [
                (texts("evidence.change.what"), texts(key, before=before, after=recorded.after)),
                (texts("evidence.change.when"), texts.date(recorded.when, zone=True)),
                (texts("evidence.change.who"), recorded.user),
                (
                    texts("evidence.change.why"),
                    recorded.reason or texts("evidence.change.no_reason"),
                ),
                *(
                    [(texts("evidence.change.override"), recorded.override)]
                    if recorded.override
                    else []
                ),
            ],
        )
    )
    if change.before is None:
        st.markdown(texts("evidence.change.first"))
        return
    _figures(texts, change)
    if change.same_test:
        comparison(desk, change.before.version, change.after.version)
    else:
        st.markdown(texts("evidence.change.other_test"))


def _figures(texts: Texts, change: LastChange) -> None:
    assert change.before is not None  # looked at above
    rows = []
    for one in change.figures:
        known = one.before is not None and one.after is not None
        difference = (
            one.after - one.before if one.before is not None and one.after is not None else 0
        )
        better = difference < 0 if one.name in ERRORS else difference > 0
        sense = "same" if not difference else "better" if better else "worse"
        rows.append(
            [
                texts(f"evidence.figures.{one.name}"),
                texts("evidence.none") if one.before is None else texts.number(one.before, 3),
                texts("evidence.none") if one.after is None else texts.number(one.after, 3),
                f"{signed(texts, difference)} {texts(f'evidence.change.{sense}')}"
                if known
                else texts("evidence.none"),
            ]
        )
    st.html(
        table(
            texts("evidence.change.figures"),
            [
                texts("evidence.chart.figure"),
                texts("evidence.change.version", version=change.before.version),
                texts("evidence.change.version", version=change.after.version),
                texts("evidence.change.difference"),
            ],
            rows,
        )
    )
    st.caption(texts("evidence.change.how"))
