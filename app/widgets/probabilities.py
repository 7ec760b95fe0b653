"""All classes with their calibrated probabilities: bars for the eye, a table for screen readers."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from skin_lesion.decisions import PredictionSets
from skin_lesion.labels import LABEL_INDEX, LABELS, MALIGNANT
from skin_lesion.prediction import Prediction
from skin_lesion.texts import Texts


@dataclass(frozen=True)
class _Row:
    name: str
    share: float
    said: str
    malignant: bool
    inside: bool


def probabilities_chart(texts: Texts, prediction: Prediction, sets: PredictionSets | None) -> str:
    """HTML of the chart; the prediction has to be one that was assessed.

    Args:
        texts: Its words.
        prediction: The answer.
        sets: How the model makes prediction sets; None where it makes none.
    """
    rows = list(_rows(texts, prediction))
    explained = (
        texts("answer.chart.explained", error=texts.percent(sets.error))
        if sets
        else texts("answer.chart.explained_plain")
    )
    return (
        f'<section class="sl-chart"><h2>{escape(texts("answer.chart.title"))}</h2>'
        f'<p class="sl-quiet">{escape(explained)}</p>'
        f'<div aria-hidden="true">{"".join(_bar(texts, row) for row in rows)}</div>'
        f"{_table(texts, rows, with_set=sets is not None)}{_unsupported(texts, prediction, sets)}"
        "</section>"
    )


def sorted_labels(prediction: Prediction) -> list[str]:
    """Class codes, the most probable first; equal ones in label order."""
    shares = prediction.probabilities or {}
    return sorted(shares, key=lambda label: (-shares[label], LABEL_INDEX[label]))


def _rows(texts: Texts, prediction: Prediction) -> Iterator[_Row]:
    inside = prediction.prediction_set or ()
    for label in sorted_labels(prediction):
        share = (prediction.probabilities or {})[label]
        yield _Row(
            texts(f"classes.{label}.name"),
            share,
            texts.probability(share),
            label in MALIGNANT,
            label in inside,
        )


def _bar(texts: Texts, row: _Row) -> str:
    kind = "malignant" if row.malignant else "benign"
    badge = (
        f'<span class="sl-in-set">{escape(texts("answer.chart.set_badge"))}</span>'
        if row.inside
        else ""
    )
    return (
        f'<div class="sl-bar sl-{kind}{" sl-inside" if row.inside else ""}">'
        f'<span class="sl-bar-name"><i>{"▲" if row.malignant else "○"}</i>{escape(row.name)}'
        f"<small>{escape(texts(f'answer.chart.{kind}'))}</small></span>"
        f'<span class="sl-track"><span style="width:{100 * row.share:.2f}%"></span></span>'
        f'<span class="sl-bar-share">{escape(row.said)}</span>{badge}</div>'
    )


def _table(texts: Texts, rows: list[_Row], *, with_set: bool) -> str:
    heads = ["class", "probability", "kind", *(["in_set"] if with_set else [])]
    head = "".join(f'<th scope="col">{escape(texts(f"answer.chart.{one}"))}</th>' for one in heads)
    body = ""
    for row in rows:
        kind = texts("answer.chart.malignant" if row.malignant else "answer.chart.benign")
        inside = texts("answer.chart.inside" if row.inside else "answer.chart.outside")
        cells = [row.said, kind, *([inside] if with_set else [])]
        body += (
            f'<tr><th scope="row">{escape(row.name)}</th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            + "</tr>"
        )
    return (
        f'<table class="sl-spoken"><caption>{escape(texts("answer.chart.title"))}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _unsupported(texts: Texts, prediction: Prediction, sets: PredictionSets | None) -> str:
    if sets is None or prediction.prediction_set is None:
        return ""
    names = [
        texts(f"classes.{label}.name")
        for label, supported in zip(LABELS, sets.supported, strict=True)
        if not supported and label in prediction.prediction_set
    ]
    if not names:
        return ""
    said = texts("answer.chart.unsupported", names=", ".join(names))
    return f'<p class="sl-quiet">{escape(said)}</p>'
