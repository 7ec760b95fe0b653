"""Answers of `skin-lesion predict` as a table, CSV or JSON."""

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.predicting import Answers, Judged
from skin_lesion.labels import DIAGNOSES, LABELS
from skin_lesion.prediction import NOTICE, Prediction
from skin_lesion.prediction_table import COLUMNS, nested, row
from skin_lesion.spreadsheets import no_formula

FILE, HEAT_MAP = "file", "heat_map"
_NAMES = {diagnosis.code: diagnosis.name for diagnosis in DIAGNOSES}
_UNANSWERED = {"unreadable": "unreadable", "cannot_assess": "cannot be assessed"}
_LONGEST_NAME = 40


def as_csv(answers: Answers) -> str:
    """One line for each file: its name, the columns of `prediction_table`, and its heat-map."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([FILE, *COLUMNS, HEAT_MAP])
    for each in answers.judged:
        cells = row(each.prediction)
        path = "" if each.heat_map is None else _readable(each.heat_map)
        writer.writerow([no_formula(_readable(each.file)), *cells.values(), no_formula(path)])
    return text.getvalue()


def as_json(answers: Answers) -> str:
    """A JSON object: the notice, the model, and one answer for each file."""
    value = {
        "notice": NOTICE,
        "model": answers.model,
        "synthetic_only": answers.contract.synthetic_only,
        "predictions": [
            {
                FILE: _readable(each.file),
                **nested(each.prediction),
                HEAT_MAP: None if each.heat_map is None else _readable(each.heat_map),
            }
            for each in answers.judged
        ],
    }
    return json.dumps(value, indent=2, allow_nan=False)


def as_table(answers: Answers) -> str:
    """Columns for a person: every probability, not the highest alone."""
    points = _points(answers)
    head = ["file", "answer", *LABELS, "malignant", "sure", "possible", "suspicious"]
    lines = [head, *(_cells(each, points) for each in answers.judged)]
    # A reason for no answer runs on to the right of its column and widens none.
    answered = [cells for cells in lines if len(cells) == len(head)]
    widths = [max(len(cells[i]) for cells in answered) for i in range(len(head))]
    widths[0] = max(len(cells[0]) for cells in lines)
    return "\n".join([*(_line(cells, widths) for cells in lines), "", *_legend(answers, points)])


def warnings(answers: Answers) -> Iterator[str]:
    """What stands beside every output."""
    yield NOTICE
    if answers.contract.synthetic_only:
        yield "This model has seen drawn pictures only: what it says of real skin means nothing."
    if answers.contract.decisions is None:
        yield "This model was never evaluated: nothing is calibrated, and no picture is refused."


def _points(answers: Answers) -> Sequence[str]:
    decisions = answers.contract.decisions
    return [point.name for point in decisions.operating_points] if decisions else []


def _cells(each: Judged, points: Sequence[str]) -> list[str]:
    prediction, name = each.prediction, _shortened(_readable(each.file))
    if prediction.status != "ok":
        reason = (prediction.reason or "").replace("_", " ")
        return [name, f"{_UNANSWERED[prediction.status]}: {reason}"]
    probabilities = prediction.probabilities or {}
    return [
        name,
        prediction.prediction or "",
        *(_percent(probabilities[label]) for label in LABELS),
        _percent(prediction.malignant_probability),
        prediction.confidence or "–",
        " ".join(prediction.prediction_set) if prediction.prediction_set else "–",
        _suspicious(prediction, points),
    ]


def _suspicious(prediction: Prediction, points: Sequence[str]) -> str:
    """Numbers of the operating points at which the picture counts as suspicious."""
    verdicts = prediction.verdicts or {}
    if not verdicts:
        return "–"
    at = [str(number) for number, name in enumerate(points, 1) if verdicts.get(name)]
    return f"at {', '.join(at)}" if at else "no"


def _legend(answers: Answers, points: Sequence[str]) -> Iterator[str]:
    yield f"Model: {answers.model}. Probabilities in %, calibrated; malignant = mel + bcc + akiec."
    yield f"{'; '.join(f'{code} {_NAMES[code]}' for code in LABELS)}."
    if points:
        listed = "; ".join(f"{number} {name}" for number, name in enumerate(points, 1))
        yield f"Suspicious at the operating points: {listed}."
    yield "Sure: how sure the model is, not how dangerous the lesion. Possible: what remains possible."
    several = sum(bool(each.prediction.several_frames) for each in answers.judged)
    if several:
        yield f"Files with several frames, of which only the first was judged: {several}."
    made = [each.heat_map for each in answers.judged if each.heat_map is not None]
    if made:
        yield f"Heat-maps, which do not show that an answer is right: {len(made)} in {made[0].parent}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first_number, last_number = 2, 2 + len(LABELS)
    padded = [
        cell.rjust(width) if first_number <= i <= last_number else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    return "  ".join(padded).rstrip()


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _readable(path: Path) -> str:
    """A file's name as text, whatever bytes it is made of, on one line."""
    text = os.fsencode(path).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _shortened(name: str) -> str:
    """The end of a long name, which tells files apart."""
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"
