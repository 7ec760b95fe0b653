"""A picture that got no answer: why, what to do, and never a probability beside it."""

from collections.abc import Iterator
from html import escape

from app.widgets.shapes import refusal_shape
from skin_lesion.decisions import Decisions, Limits
from skin_lesion.prediction import Prediction
from skin_lesion.texts import Texts

_SHARES = ("dark_share", "bright_share", "skin_likeness")
_DIGITS = {"brightness": 0, "contrast": 1, "sharpness": 2, "aspect": 2, "ood": 1}
_MEASURES = (
    "short_side", "aspect", "brightness", "dark_share", "bright_share", "contrast", "sharpness",
    "skin_likeness",
)  # fmt: skip


def refusal_panel(texts: Texts, prediction: Prediction, decisions: Decisions | None) -> str:
    """HTML of it.

    Args:
        texts: Its words.
        prediction: An answer whose status is not `ok`.
        decisions: What was frozen with the model; None where nothing was.
    """
    reason = prediction.reason
    # A model may know reasons that this page does not: they are cause enough to refuse all the same.
    known = reason if f"reasons.{reason}.why" in texts else prediction.status
    said = "".join(
        f"<dt>{escape(texts(f'answer.refused.{part}'))}</dt>"
        f"<dd>{escape(texts(f'reasons.{known}.{part}'))}</dd>"
        for part in ("why", "what_to_do")
        if f"reasons.{known}.{part}" in texts
    )
    return (
        f'<section class="sl-refusal">{refusal_shape()}<div>'
        f"<h2>{escape(texts(f'answer.refused.{prediction.status}'))}</h2><dl>{said}</dl>"
        f"<p>{escape(texts('answer.refused.no_probability'))}</p></div></section>"
        f"{_measures(texts, prediction, decisions)}"
    )


def _measures(texts: Texts, prediction: Prediction, decisions: Decisions | None) -> str:
    rows = list(_rows(texts, prediction, decisions))
    if not rows:
        return ""
    heads = ("measure_name", "value", "range", "verdict")
    head = "".join(
        f'<th scope="col">{escape(texts(f"answer.refused.{one}"))}</th>' for one in heads
    )
    return (
        f'<details class="sl-fold"><summary>{escape(texts("answer.refused.measured"))}</summary>'
        f'<table class="sl-table"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        "</details>"
    )


def _rows(texts: Texts, prediction: Prediction, decisions: Decisions | None) -> Iterator[str]:
    if prediction.quality is None:
        return
    limits = decisions.quality if decisions else {}
    for name in _MEASURES:
        yield _row(texts, name, getattr(prediction.quality, name), limits.get(name, Limits()))
    if prediction.ood_score is not None and decisions is not None and decisions.ood is not None:
        yield _row(texts, "ood", prediction.ood_score, Limits(high=decisions.ood.threshold))


def _row(texts: Texts, name: str, value: float, limits: Limits) -> str:
    low, high = limits.low, limits.high
    if low is not None and high is not None:
        accepted = texts(
            "answer.refused.between", low=_said(texts, name, low), high=_said(texts, name, high)
        )
    elif low is not None:
        accepted = texts("answer.refused.at_least", low=_said(texts, name, low))
    elif high is not None:
        accepted = texts("answer.refused.at_most", high=_said(texts, name, high))
    else:
        accepted = "–"
    inside = limits.hold(value)
    verdict = texts("answer.refused.inside" if inside else "answer.refused.outside")
    return (
        f'<tr class="sl-{"inside" if inside else "outside"}">'
        f'<th scope="row">{escape(texts(f"answer.refused.measure.{name}"))}</th>'
        f"<td>{escape(_said(texts, name, value))}</td><td>{escape(accepted)}</td>"
        f"<td>{'✓' if inside else '✗'} {escape(verdict)}</td></tr>"
    )


def _said(texts: Texts, name: str, value: float) -> str:
    if name in _SHARES:
        return texts.percent(value)
    if name == "short_side":
        return texts("answer.refused.pixels", value=texts.number(value))
    return texts.number(value, _DIGITS[name])
