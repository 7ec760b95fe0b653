"""What a reader of the evidence wants first: the main figures, and what to beware of."""

from collections.abc import Iterator
from html import escape

import streamlit as st

from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import ends, share
from app.widgets.operating_point import point_name
from skin_lesion.evaluation.cautions import SHOWN, Caution, cautions, main_point
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.texts import Texts


def summary(desk: Desk, found: Evidence) -> None:
    """Draw the first section."""
    texts, evidence = desk.texts, found.report.evidence
    lesions = evidence.discrimination.lesions
    st.header(texts("evidence.summary.title"), anchor=False)
    st.markdown(
        texts(
            "evidence.summary.lead",
            backbone=found.report.backbone,
            images=texts.number(evidence.discrimination.images.n_images),
            lesions=texts.number(lesions.n_lesions),
        )
    )
    items = "".join(
        f'<li><span class="sl-ev-value">{escape(value)}</span>'
        f'<span class="sl-ev-name">{escape(name)}</span>'
        f'<span class="sl-ev-ends">{escape(interval)}</span></li>'
        for name, value, interval in _headline(texts, found)
    )
    st.html(f'<ul class="sl-ev-figures">{items}</ul>')
    st.caption(texts("evidence.summary.how"))
    st.subheader(texts("evidence.warnings.title"), anchor=False)
    beware = cautions(evidence, synthetic=found.report.synthetic_only, unit="lesion")
    shown = list(beware)[:SHOWN]
    if found.report.synthetic_only:
        st.markdown(texts("evidence.warnings.synthetic"))
    if shown:
        listed = "".join(f"<li>{_warning(texts, one)}</li>" for one in shown)
        st.html(f'<div class="sl-ev-beware"><ol>{listed}</ol></div>')
    else:
        st.markdown(texts("evidence.warnings.none"))
    _bands(texts, found)


def _headline(texts: Texts, found: Evidence) -> Iterator[tuple[str, str, str]]:
    """Name, value and interval of each of the main figures, per lesion."""
    estimates = found.report.evidence.discrimination.lesions.estimates
    point = main_point(found.report.evidence)
    if point is not None:
        name = point_name(texts, point.point)
        for kind, one in (
            ("sensitivity", point.figures.lesion_sensitivity),
            ("specificity", point.figures.lesion_specificity),
        ):
            yield (
                texts(f"evidence.headline.{kind}", point=name),
                _value(texts, one, per_cent=True),
                ends(texts, one, 1, per_cent=True),
            )
    for name in ("melanoma_auc", "malignant_auc", "balanced_accuracy", "macro_f1", "ece"):
        one = estimates[name]
        yield texts(f"evidence.figures.{name}"), _value(texts, one), ends(texts, one)


def _value(texts: Texts, one: Estimate, *, per_cent: bool = False) -> str:
    if one.value is None:
        return texts("evidence.none")
    return texts.percent(one.value, 1) if per_cent else texts.number(one.value, 3)


def _warning(texts: Texts, warned: Caution) -> str:
    values: dict[str, str] = {
        "share": share(texts, warned.share),
        "other": share(texts, warned.other),
        "count": texts.number(warned.count),
        "of": texts.number(warned.of),
        "point": point_name(texts, warned.point) if warned.point else "",
        "name": _named(texts, warned),
    }
    key = f"evidence.warnings.{warned.kind}"
    title, words = texts(f"{key}.title"), texts(f"{key}.text", **values)
    return f"<strong>{escape(title)}</strong> {escape(words)}"


def _named(texts: Texts, warned: Caution) -> str:
    key = f"evidence.named.{warned.name}"
    return texts(key) if key in texts else warned.name.replace("_", " ")


def _bands(texts: Texts, found: Evidence) -> None:
    """How often the model is right when it says how sure it is, and what that hides."""
    bands = found.report.evidence.confidence
    if bands is None:
        return
    st.subheader(texts("evidence.bands.title"), anchor=False)
    st.html(
        table(
            texts("evidence.bands.caption"),
            [
                texts(f"evidence.bands.{name}")
                for name in ("band", "images", "accuracy", "melanomas", "missed", "benign")
            ],
            [
                [
                    texts(f"evidence.bands.{band.name}"),
                    texts.number(band.n_images),
                    share(texts, band.accuracy),
                    texts.number(band.n_melanomas),
                    share(texts, band.melanoma_missed),
                    share(texts, band.melanoma_called_benign),
                ]
                for band in bands.bands
            ],
        )
    )
