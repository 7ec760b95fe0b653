"""What is said of the selected rows: the answer of one picture, or of the pictures of one lesion."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.clinic.batch_table import BatchRow, opened
from app.clinic.layers import data_uri
from app.clinic.lesions import Lesion, MixedModelsError, combine, least_specificity
from app.clinic.readings import PictureReading
from app.clinic.report_content import plain
from app.clinic.risk import Risk, risk_of
from app.desk import Desk
from app.widgets.answer import confidence_line, point_figures, risk_panel, verdict_panel
from app.widgets.probabilities import probabilities_chart
from app.widgets.refusal import refusal_panel
from app.widgets.reports import report_buttons
from app.widgets.shapes import flag_shape, risk_shape
from skin_lesion.decisions import OperatingPoint
from skin_lesion.prediction import Prediction
from skin_lesion.texts import Texts


def single(desk: Desk, each: BatchRow, point: OperatingPoint | None) -> None:
    """Draw the answer of one picture, as the page for single pictures does."""
    texts = desk.texts
    reading = opened(each, desk.config)
    prediction, decisions = reading.prediction, reading.served.contract.decisions
    name = plain(reading.name)
    with st.container(key="batch_single"):
        st.html(f"<h2>{escape(texts('batch.single.title', name=name))}</h2>")
        left, right = st.columns([2, 3], gap="medium")
        with left:
            _picture(texts, reading)
            if not each.is_kept and prediction.status != "unreadable":
                page = texts("frame.pages.read")
                st.info(texts("batch.single.let_go", page=page), icon=":material/memory:")
            st.html(f'<p class="sl-quiet">{escape(_by(texts, reading))}</p>')
            report_buttons(desk, reading, prediction.prediction)
        with right:
            if prediction.several_frames:
                st.info(texts("answer.several_frames"), icon=":material/filter_1:")
            if each.risk is None:
                st.html(refusal_panel(texts, prediction, decisions))
                return
            points = decisions.operating_points if decisions else ()
            st.html(risk_panel(texts, prediction, each.risk, points))
            own = _own(reading, point)
            st.html(verdict_panel(texts, each.risk, own, point_figures(reading, own)))
            st.html(confidence_line(texts, prediction, decisions.confidence if decisions else None))
            sets = decisions.prediction_sets if decisions else None
            st.html(probabilities_chart(texts, prediction, sets))


def lesion(desk: Desk, rows: Sequence[BatchRow], point: OperatingPoint | None) -> None:
    """Draw the answer for several pictures of one lesion, with the rule it was made by."""
    texts = desk.texts
    readings = [each.reading for each in rows]
    title = texts("batch.lesion.title", count=texts.number(len(rows)))
    with st.container(key="batch_lesion"):
        st.html(f"<h2>{escape(title)}</h2>")
        try:
            combined = combine(readings)
        except MixedModelsError:
            st.error(texts("batch.lesion.mixed"), icon=":material/call_split:")
            return
        left, right = st.columns([2, 3], gap="medium")
        with left:
            st.html(_cards(texts, rows, combined, point))
            st.html(_left_out(texts, combined))
        with right:
            if combined.probabilities is None:
                st.warning(texts("batch.lesion.nothing"), icon=":material/block:")
                return
            st.html(_verdict(texts, combined, point))
            st.html(_risk(texts, combined))
            st.html(_chart(texts, combined))
        st.html(_rule(texts, combined, point))


def _picture(texts: Texts, reading: PictureReading) -> None:
    if reading.shown is None:
        return
    alt = texts("batch.single.alt", name=plain(reading.name))
    st.html(
        f'<img class="sl-batch-picture" alt="{escape(alt)}" '
        f'src="{data_uri(reading.shown.jpeg, "jpeg")}">'
    )


def _own(reading: PictureReading, point: OperatingPoint | None) -> OperatingPoint | None:
    """The operating point of that name of the model that read; another model's threshold is another."""
    decisions = reading.served.contract.decisions
    points = decisions.operating_points if decisions and point else ()
    return next((each for each in points if point and each.name == point.name), None)


def _by(texts: Texts, reading: PictureReading) -> str:
    at, version = texts.date(reading.at), reading.model_version
    if reading.audit_id is None:
        return texts("batch.single.by_unlogged", version=version, at=at)
    return texts("batch.single.by", version=version, at=at, number=reading.audit_id)


def _cards(
    texts: Texts, rows: Sequence[BatchRow], combined: Lesion, point: OperatingPoint | None
) -> str:
    """The pictures side by side, each with what it says by itself."""
    counted = {id(reading) for reading in combined.assessed}
    cards = ""
    for each in rows:
        shown, name = each.reading.shown, plain(each.reading.name)
        alt = escape(texts("batch.single.alt", name=name))
        picture = f'<img alt="{alt}" src="{data_uri(shown.jpeg, "jpeg")}">' if shown else ""
        said = "–" if each.risk is None else texts.probability(each.risk.malignant)
        flag = each.suspicious(point) if id(each.reading) in counted else None
        mark = "" if flag is None else flag_shape(raised=flag)
        word = (
            ""
            if flag is None
            else texts("answer.point.positive" if flag else "answer.point.negative")
        )
        cards += (
            f'<li class="{"" if id(each.reading) in counted else "sl-not-counted"}">{picture}'
            f'<span class="sl-name" title="{escape(name)}">{escape(name)}</span>'
            f"<strong>{escape(said)}</strong><span>{mark}{escape(word)}</span></li>"
        )
    return f'<ul class="sl-lesion-pictures">{cards}</ul>'


def _left_out(texts: Texts, combined: Lesion) -> str:
    notes = [texts("batch.lesion.counts", count=texts.number(len(combined.assessed)))]
    partly = [one for one in combined.assessed if one.prediction.several_frames]
    if partly:
        notes.append(texts("batch.lesion.several_frames", names=_names(partly)))
    for what in ("left_out", "repeated"):
        readings = getattr(combined, what)
        if readings:
            notes.append(texts(f"batch.lesion.{what}", names=_names(readings)))
    notes.append(texts("batch.lesion.logged"))
    return "".join(f'<p class="sl-quiet">{escape(note)}</p>' for note in notes)


def _verdict(texts: Texts, combined: Lesion, point: OperatingPoint | None) -> str:
    found = (combined.verdicts or {}).get(point.name) if point else None
    if found is None or point is None:
        return f'<p class="sl-quiet">{escape(texts("batch.lesion.no_point"))}</p>'
    kind = "suspicious" if found.suspicious else "below"
    said = texts(f"answer.point.for_{point.target}", verdict=texts(f"batch.lesion.{kind}"))
    notes = [texts("batch.lesion.mean_reaches" if found.by_mean else "batch.lesion.mean_below")]
    if found.by_pictures:
        notes.insert(0, texts("batch.lesion.because", names=_names(found.by_pictures)))
    if not found.suspicious:
        notes.append(texts("answer.point.negative_meaning"))
    return (
        f'<div class="sl-verdict sl-{"positive" if found.suspicious else "negative"}">'
        f"{flag_shape(raised=found.suspicious)}<div>"
        f"<p><strong>{escape(said)}</strong></p>"
        f'<p class="sl-quiet">{escape(" ".join(notes))}</p></div></div>'
    )


def _risk(texts: Texts, combined: Lesion) -> str:
    """The gravest risk of a picture: a mean must not make it look milder."""
    risks = [_risk_of(reading) for reading in combined.assessed]
    gravest = max(risks, key=lambda risk: risk.rank)
    level = gravest.level or "none"
    shares = combined.probabilities or {}
    mean = texts(
        "batch.lesion.mean",
        malignant=texts.probability(combined.malignant_probability or 0.0),
        melanoma=texts.probability(shares["mel"]),
        low=texts.probability(min(risk.malignant for risk in risks)),
        high=texts.probability(max(risk.malignant for risk in risks)),
    )
    confidence = texts(
        "batch.lesion.confidence",
        level=texts(f"answer.confidence.level.{combined.confidence or 'unknown'}"),
    )
    title = texts("batch.lesion.risk", level=texts(f"answer.risk.level.{level}"))
    return (
        f'<section class="sl-risk sl-risk-{level}">{risk_shape(gravest.level)}<div>'
        f"<h3>{escape(title)}</h3><p>{escape(mean)}</p>"
        f'<p class="sl-quiet">{escape(confidence)}</p></div></section>'
    )


def _chart(texts: Texts, combined: Lesion) -> str:
    decisions = combined.assessed[0].served.contract.decisions
    prediction = Prediction(
        status="ok",
        probabilities=combined.probabilities,
        prediction=combined.prediction,
        prediction_set=combined.prediction_set,
    )
    chart = probabilities_chart(texts, prediction, decisions.prediction_sets if decisions else None)
    return f'<p class="sl-quiet">{escape(texts("batch.lesion.chart"))}</p>{chart}'


def _rule(texts: Texts, combined: Lesion, point: OperatingPoint | None) -> str:
    figures = point_figures(combined.assessed[0], point)
    one = figures.lesion_specificity.value if figures else None
    price = (
        texts("batch.lesion.price_unknown")
        if one is None
        else texts(
            "batch.lesion.price",
            one=texts.percent(one, 1),
            count=texts.number(len(combined.assessed)),
            least=texts.percent(least_specificity(one, len(combined.assessed)), 1),
        )
    )
    return (
        f'<section class="sl-lesion-rule"><h3>{escape(texts("batch.lesion.rule_title"))}</h3>'
        f"<p>{escape(texts('batch.lesion.rule'))}</p>"
        f"<p>{escape(price)}</p></section>"
    )


def _risk_of(reading: PictureReading) -> Risk:
    risk = risk_of(reading.prediction, reading.served.contract.decisions)
    assert risk is not None  # it was assessed
    return risk


def _names(readings: Sequence[PictureReading]) -> str:
    return ", ".join(plain(reading.name) for reading in readings)
