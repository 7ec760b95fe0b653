"""How well the model tells the classes apart: ROC, confusion, and the figures of each class."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from app.clinic.evidence_curves import RocBand, RocCurve, confusion, roc, roc_band
from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets import evidence_charts
from app.widgets.evidence_choice import choose
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import figure, share
from skin_lesion.labels import LABELS, MALIGNANT
from skin_lesion.texts import Texts

_CHOSEN = "evidence_class"
_FIRST = "mel"


def classes(desk: Desk, found: Evidence) -> None:
    """Draw the section."""
    texts = desk.texts
    names = {label: texts(f"classes.{label}.name") for label in LABELS}
    lesions = found.report.evidence.discrimination.lesions
    st.header(texts("evidence.classes.title"), anchor=False)
    st.markdown(texts("evidence.classes.lead", lesions=texts.number(lesions.n_lesions)))
    _figures(texts, found, names)
    if found.sample() is None:
        st.markdown(texts("evidence.no_sample"))
        return
    st.subheader(texts("evidence.roc.title"), anchor=False)
    _curves(desk, found, names)
    st.subheader(texts("evidence.confusion.title"), anchor=False)
    st.markdown(texts("evidence.confusion.lead"))
    st.html(_confusion(texts, found, names))


def _figures(texts: Texts, found: Evidence, names: Mapping[str, str]) -> None:
    lesions = found.report.evidence.discrimination.lesions
    rows = [
        [
            names[label],
            texts.number(lesions.class_lesions[label]),
            *(
                share(texts, lesions.estimates[f"per_class.{label}.{name}"], 0)
                for name in ("recall", "precision")
            ),
            figure(texts, lesions.estimates[f"per_class.{label}.auc"]),
        ]
        for label in LABELS
    ]
    st.html(
        table(
            texts("evidence.classes.caption"),
            [
                texts(f"evidence.classes.{name}")
                for name in ("class", "lesions", "recall", "precision", "auc")
            ],
            rows,
        )
    )


@st.fragment
def _curves(desk: Desk, found: Evidence, names: Mapping[str, str]) -> None:
    texts = desk.texts
    curves = _rocs(found.key, found)
    if not curves:
        st.markdown(texts("evidence.roc.without"))
        return
    left, right = st.columns([1, 2], gap="large")
    with left:
        chosen = choose(
            desk,
            texts("evidence.roc.label"),
            list(curves),
            lambda label: names[label],
            key=_CHOSEN,
            first=_FIRST,
        )
        estimates = found.report.evidence.discrimination.lesions.estimates
        st.markdown(
            texts(
                "evidence.roc.auc",
                name=names[chosen],
                auc=figure(texts, estimates[f"per_class.{chosen}.auc"]),
            )
        )
        st.html(
            table(
                texts("evidence.roc.caption", name=names[chosen]),
                [texts("evidence.chart.specificity"), texts("evidence.chart.sensitivity")],
                _read_off(texts, curves[chosen]),
                words=(),
            )
        )
        st.caption(texts("evidence.roc.how"))
    with right:
        st.altair_chart(
            evidence_charts.roc(
                texts,
                curves,
                _band(found.key, chosen, desk.config.evidence_resamples, found),
                chosen,
                names,
            ),
            key="evidence_roc",
        )


def _read_off(texts: Texts, curve: RocCurve) -> list[list[str]]:
    """The curve at some specificities."""
    last = len(curve.specificity) - 1
    steps = [round(share * last) for share in (0.5, 0.7, 0.8, 0.9, 0.95)]
    return [
        [
            texts.percent(float(curve.specificity[step])),
            texts.percent(float(curve.sensitivity[step]), 1),
        ]
        for step in steps
    ]


def _confusion(texts: Texts, found: Evidence, names: Mapping[str, str]) -> str:
    """The matrix; each cell says how many lesions, and how many that is of the row."""
    counts = _counts(found.key, found)
    short = {label: texts(f"classes.{label}.short") for label in LABELS}
    heads = "".join(f'<th scope="col">{escape(short[label])}</th>' for label in LABELS)
    body = ""
    for row, label in enumerate(LABELS):
        total = sum(counts[row])
        cells = "".join(
            _cell(texts, counts[row][column], total, row == column) for column in range(len(LABELS))
        )
        malignant = f" {texts('evidence.confusion.malignant')}" if label in MALIGNANT else ""
        body += (
            f'<tr><th scope="row" class="sl-ev-words">{escape(names[label] + malignant)}</th>{cells}'
            f"<td>{texts.number(total)}</td></tr>"
        )
    caption = escape(texts("evidence.confusion.caption"))
    return (
        f'<div class="sl-ev-table sl-ev-confusion" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption><thead><tr>"
        f'<th scope="col" class="sl-ev-words">{escape(texts("evidence.confusion.truth"))}</th>{heads}'
        f'<th scope="col">{escape(texts("evidence.confusion.total"))}</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(texts: Texts, count: int, total: int, right: bool) -> str:
    part = count / total if total else 0.0
    # From the page's own dark to a blue on which white still stands out.
    depth = f"rgba(23, 108, 148, {0.12 + 0.78 * part:.2f})" if count else "transparent"
    mark = ' class="sl-ev-right"' if right else ""
    words = f"{texts.number(count)}<br><small>{texts.percent(part)}</small>" if count else "0"
    return f'<td{mark} style="background: {depth}">{words}</td>'


@st.cache_data(max_entries=4, show_spinner=False)
def _rocs(key: str, _found: Evidence) -> dict[str, RocCurve]:
    sample = _found.sample()
    assert sample is not None  # looked at above
    first = sample.one_per_lesion()
    curves = {label: roc(first, label) for label in LABELS}
    return {label: curve for label, curve in curves.items() if curve is not None}


@st.cache_data(max_entries=16, show_spinner=False)
def _band(key: str, label: str, count: int, _found: Evidence) -> RocBand | None:
    sample = _found.sample()
    assert sample is not None  # looked at above
    return roc_band(sample.one_per_lesion(), label, count=count, seed=_found.report.seed)


@st.cache_data(max_entries=4, show_spinner=False)
def _counts(key: str, _found: Evidence) -> list[list[int]]:
    sample = _found.sample()
    assert sample is not None  # looked at above
    counts: list[list[int]] = confusion(sample.one_per_lesion()).tolist()
    return counts
