"""Pictures that the model got wrong, as the evaluation kept them."""

import base64
from html import escape

import streamlit as st

from app.clinic.evidence_pictures import for_the_web
from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets.evidence_choice import choose
from app.widgets.evidence_tables import code, table
from skin_lesion.evaluation.gallery import ClassGallery
from skin_lesion.labels import LABELS
from skin_lesion.texts import Texts

_CHOSEN = "evidence_failures_of"
_FIRST = "mel"


def failures(desk: Desk, found: Evidence) -> None:
    """Draw the section."""
    texts, galleries = desk.texts, found.report.evidence.gallery
    st.header(texts("evidence.failures.title"), anchor=False)
    st.markdown(texts("evidence.failures.lead"))
    missed = {label: galleries[label] for label in LABELS if _has_missed(galleries.get(label))}
    if not missed:
        st.markdown(texts("evidence.failures.without"))
        return
    _chosen(desk, found, missed)


def _has_missed(gallery: ClassGallery | None) -> bool:
    return gallery is not None and bool(gallery.missed)


@st.fragment
def _chosen(desk: Desk, found: Evidence, missed: dict[str, ClassGallery]) -> None:
    texts, config = desk.texts, desk.config
    label = choose(
        desk,
        texts("evidence.failures.label"),
        list(missed),
        lambda one: texts(
            "evidence.failures.option",
            name=texts(f"classes.{one}.name"),
            missed=texts.number(missed[one].n_missed),
            of=texts.number(missed[one].n_images),
        ),
        key=_CHOSEN,
        first=_FIRST,
    )
    gallery, name = missed[label], texts(f"classes.{label}.name")
    png = found.picture(f"gallery_{label}_missed")
    jpeg = for_the_web(png, config.evidence_width, config.jpeg_quality) if png else None
    if jpeg is None:
        st.markdown(texts("evidence.failures.no_picture"))
    else:
        st.html(_sheet(texts, jpeg, gallery, name))
    st.html(
        table(
            texts("evidence.failures.caption", name=name, count=texts.number(len(gallery.missed))),
            [
                texts(f"evidence.failures.{column}")
                for column in ("picture", "called", "called_probability", "true_probability")
            ],
            [
                [
                    code(one.image_id),
                    texts(f"classes.{one.predicted}.name"),
                    texts.percent(one.predicted_probability, 1),
                    texts.percent(one.true_probability, 1),
                ]
                for one in gallery.missed
            ],
            words=(0, 1),
        )
    )


def _sheet(texts: Texts, jpeg: bytes, gallery: ClassGallery, name: str) -> str:
    listed = "; ".join(
        texts(
            "evidence.failures.alt_one",
            picture=one.image_id,
            called=texts(f"classes.{one.predicted}.name"),
            share=texts.percent(one.predicted_probability),
        )
        for one in gallery.missed
    )
    alt = texts("evidence.failures.alt", name=name, listed=listed)
    data = base64.b64encode(jpeg).decode("ascii")
    return (
        f'<figure class="sl-ev-sheet"><img src="data:image/jpeg;base64,{data}" alt="{escape(alt)}">'
        f"<figcaption>{escape(texts('evidence.failures.sheet'))}</figcaption></figure>"
    )
