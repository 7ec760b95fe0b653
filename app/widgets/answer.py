"""What the model says of a picture: risk, verdict and confidence, which are three different things.

Risk dominates, in a palette of its own from slate to magenta. Confidence is small and never without
the class that it is about, so that a sure melanoma does not reassure anybody.
"""

from html import escape

import streamlit as st

from app.clinic.measured import measured
from app.clinic.readings import PictureReading
from app.clinic.risk import AS_PROBABLE_AS_NOT, RISK_LEVELS, Risk, risk_of
from app.desk import Desk
from app.widgets.operating_point import choose_point
from app.widgets.shapes import confidence_shape, flag_shape, risk_shape
from skin_lesion.decisions import ConfidenceCutoffs, OperatingPoint
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import FlagFigures
from skin_lesion.labels import MALIGNANT
from skin_lesion.prediction import Prediction
from skin_lesion.texts import Texts


def answer(desk: Desk, reading: PictureReading) -> None:
    """Draw risk, verdict and confidence of a picture that was assessed."""
    prediction, decisions = reading.prediction, reading.served.contract.decisions
    risk = risk_of(prediction, decisions)
    assert risk is not None  # the picture was assessed
    with st.container(key="read_risk"):
        st.html(
            risk_panel(
                desk.texts, prediction, risk, decisions.operating_points if decisions else ()
            )
        )
    with st.container(key="read_verdict"):
        point = choose_point(desk, reading.served.contract, key="read_operating_point")
        st.html(verdict_panel(desk.texts, risk, point, point_figures(reading, point)))
    with st.container(key="read_confidence"):
        st.html(
            confidence_line(desk.texts, prediction, decisions.confidence if decisions else None)
        )


def point_figures(reading: PictureReading, point: OperatingPoint | None) -> FlagFigures | None:
    """What an operating point came to on the test set of the model that read; None where unknown."""
    evidence = measured(reading.served) if point is not None else None
    return evidence.operating_points.get(point.name) if evidence and point else None


def risk_panel(
    texts: Texts, prediction: Prediction, risk: Risk, points: tuple[OperatingPoint, ...]
) -> str:
    """HTML of the malignancy risk."""
    level = risk.level or "none"
    shares = prediction.probabilities or {}
    parts = ", ".join(
        texts(
            "answer.risk.part",
            name=texts(f"classes.{label}.short"),
            share=texts.probability(shares[label]),
        )
        for label in sorted(MALIGNANT, key=lambda one: -shares[one])
    )
    total = texts.probability(risk.malignant)
    name = texts(f"answer.risk.level.{level}")
    crossed = texts("answer.risk.crossed", count=len(risk.crossed), all=risk.points)
    return (
        f'<section class="sl-risk sl-risk-{level}" '
        f'aria-label="{escape(texts("answer.risk.aria", level=name, malignant=total))}">'
        f"{risk_shape(risk.level)}<div><h2>{escape(texts('answer.risk.title'))}: "
        f"<span>{escape(name)}</span></h2>"
        f'<p class="sl-risk-sum"><strong>{escape(total)}</strong> '
        f"{escape(texts('answer.risk.malignant'))}<span> · {escape(texts('answer.risk.parts', parts=parts))}</span></p>"
        f"{_gauge(texts, risk, points)}"
        f"<p>{escape(texts(f'answer.risk.meaning.{level}'))}"
        f' <span class="sl-quiet">{escape(crossed)}</span></p>'
        f"{_rule(texts)}</div></section>"
    )


def verdict_panel(
    texts: Texts, risk: Risk, point: OperatingPoint | None, figures: FlagFigures | None
) -> str:
    """HTML of the verdict at an operating point."""
    if point is None:
        return f'<p class="sl-quiet">{escape(texts("answer.point.none"))}</p>'
    score = risk.melanoma if point.target == "melanoma" else risk.malignant
    positive = point in risk.crossed
    kind = "positive" if positive else "negative"
    at = texts(
        "answer.point.at",
        target=texts(f"answer.point.score_{point.target}"),
        score=texts.probability(score),
        threshold=texts.probability(point.threshold),
    )
    # Of what: a carcinoma may well lie below the threshold for melanoma.
    said = texts(f"answer.point.for_{point.target}", verdict=texts(f"answer.point.{kind}"))
    notes = [] if positive else [texts("answer.point.negative_meaning")]
    notes.append(_measured(texts, point, figures))
    if not point.reached:
        notes.append(texts("answer.point.unreached"))
    return (
        f'<div class="sl-verdict sl-{kind}">{flag_shape(raised=positive)}<div>'
        f"<p><strong>{escape(said)}</strong> · {escape(at)}</p>"
        f'<p class="sl-quiet">{escape(" ".join(notes))}</p></div></div>'
    )


def confidence_line(texts: Texts, prediction: Prediction, cutoffs: ConfidenceCutoffs | None) -> str:
    """HTML of how sure the model is, and of what."""
    assert prediction.prediction is not None
    assert prediction.probabilities is not None
    band = prediction.confidence or "unknown"
    label = prediction.prediction
    kind = "malignant" if label in MALIGNANT else "benign"
    notes = [texts("answer.confidence.meaning")]
    if cutoffs is not None:
        notes.append(
            texts(
                "answer.confidence.bands",
                high=texts.percent(cutoffs.high),
                medium=texts.percent(cutoffs.medium),
            )
        )
    return (
        f'<div class="sl-confidence sl-confidence-{band}">'
        f"<span>{confidence_shape(prediction.confidence)}</span>"
        f"<div><p>{escape(texts('answer.confidence.title'))}: "
        f"{escape(texts(f'answer.confidence.level.{band}'))}. "
        f"{escape(texts(f'answer.confidence.{band}'))} "
        f'<strong class="sl-{kind}-name">{escape(texts(f"classes.{label}.name"))}</strong> '
        f"({escape(texts.probability(prediction.probabilities[label]))}, "
        f"{escape(texts(f'answer.chart.{kind}'))}).</p>"
        f'<p class="sl-quiet">{escape(" ".join(notes))}</p></div></div>'
    )


def _rule(texts: Texts) -> str:
    """How a level is found, folded."""
    lines = "".join(
        f"<li>{escape(texts(f'answer.risk.rule.{level}'))}</li>" for level in reversed(RISK_LEVELS)
    )
    title = escape(texts("answer.risk.rule.title"))
    return f'<details class="sl-rule"><summary>{title}</summary><ul>{lines}</ul></details>'


def _gauge(texts: Texts, risk: Risk, points: tuple[OperatingPoint, ...]) -> str:
    marks = sorted(
        {point.threshold for point in points if point.target == "malignant"} | {AS_PROBABLE_AS_NOT}
    )
    ticks = "".join(f'<i style="left:{100 * mark:.2f}%"></i>' for mark in marks)
    return (
        f'<div class="sl-gauge" aria-hidden="true" title="{escape(texts("answer.risk.scale"))}">'
        f'<span style="width:{100 * risk.malignant:.2f}%"></span>{ticks}</div>'
    )


def _measured(texts: Texts, point: OperatingPoint, figures: FlagFigures | None) -> str:
    if figures is None:
        return texts(f"answer.point.frozen_{point.criterion}", goal=texts.percent(point.goal))
    said = texts(
        f"answer.point.measured.{point.target}",
        positive=texts.number(figures.positive_lesions),
        negative=texts.number(figures.negative_lesions),
        sensitivity=_interval(texts, figures.lesion_sensitivity),
        specificity=_interval(texts, figures.lesion_specificity),
    )
    return f"{said} {texts('answer.point.interval_note')}"


def _interval(texts: Texts, estimate: Estimate) -> str:
    value = "–" if estimate.value is None else texts.percent(estimate.value, 1)
    if estimate.ci_low is None or estimate.ci_high is None:
        return value
    return texts(
        "answer.point.interval",
        value=value,
        low=texts.number(100 * estimate.ci_low, 1),
        high=texts.percent(estimate.ci_high, 1),
    )
