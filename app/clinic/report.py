"""The printed report of one reading.

content = report_content(reading, texts, user, point=point, figures=figures)
page, paper = report_html(content), report_pdf(content)
"""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from app.clinic.readings import PictureReading
from app.clinic.report_content import ClassLine, Line, Refusal, ReportContent, plain
from app.clinic.report_html import report_html
from app.clinic.report_pdf import report_pdf
from app.clinic.risk import risk_of
from app.clinic.users import User
from skin_lesion.data.images import ImageError
from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.operating_points import FlagFigures
from skin_lesion.explain.gradcam import overlay
from skin_lesion.labels import LABELS, MALIGNANT
from skin_lesion.medical_codes import MEDICAL_CODES
from skin_lesion.prediction import HeatMap
from skin_lesion.registry.version import RegisteredVersion
from skin_lesion.texts import Texts

__all__ = ["ReportContent", "heat_picture", "report_content", "report_html", "report_pdf"]

_HASH_DIGITS = 16
_JPEG_QUALITY = 88


def report_content(
    reading: PictureReading,
    texts: Texts,
    user: User,
    *,
    point: OperatingPoint | None = None,
    figures: FlagFigures | None = None,
    label: str | None = None,
) -> ReportContent:
    """Everything that the report of one reading says.

    Args:
        reading: The reading.
        texts: Its words.
        user: Who asked for it.
        point: The operating point that was chosen, of the model that made the reading.
        figures: What was measured at it; None where that is not to be had.
        label: Class of the heat-map; None takes the most probable one.

    Raises:
        ValueError: No such class.
    """
    prediction = reading.prediction
    number = (
        texts("report.no_audit")
        if reading.audit_id is None
        else texts("report.audit_number", number=reading.audit_id)
    )
    heat_map = _heat_map(reading, label or prediction.prediction or "")
    name = texts(f"classes.{heat_map.label}.name") if heat_map else ""
    return ReportContent(
        language=texts.language,
        words={name: texts(f"report.{name}") for name in _WORDS},
        title=texts("report.title"),
        printed=texts("report.printed", title=texts("report.title"), number=number),
        notice=(texts("frame.notice.title"), texts("frame.notice.text")),
        synthetic=(texts("frame.synthetic.title"), texts("frame.synthetic.text"))
        if reading.served.contract.synthetic_only
        else None,
        blanks=(texts("report.patient"), texts("report.born"), texts("report.site")),
        facts=(
            Line(texts("report.date"), texts.date(reading.at, zone=True)),
            Line(texts("report.reader"), plain(user.name)),
            Line(texts("report.audit"), number),
            Line(texts("report.file"), plain(reading.name)),
        ),
        picture=reading.shown.jpeg if reading.shown else None,
        heat_map=heat_picture(reading, heat_map) if heat_map else None,
        heat_map_name=texts("report.heat_map", name=name) if heat_map else "",
        heat_map_alt=texts("report.heat_map_alt", name=name) if heat_map else "",
        differential=tuple(_differential(reading, texts)),
        differential_note=texts(
            "report.differential_note"
            if prediction.prediction_set is not None
            else "report.differential_note_no_set"
        ),
        judgement=tuple(_judgement(reading, texts, point, figures)),
        remarks=tuple(_remarks(reading, texts, point, figures)),
        refusal=_refusal(reading, texts),
        versions=tuple(_versions(reading, texts)),
    )


# Of `report.yaml`, without values in braces.
_WORDS = (
    "subtitle", "picture", "picture_alt", "no_picture", "heat_map_caption", "no_heat_map",
    "differential", "class", "kind", "probability", "code", "in_set", "judgement", "versions",
    "notes", "signature", "signature_date",
)  # fmt: skip


def _heat_map(reading: PictureReading, label: str) -> HeatMap | None:
    """The heat-map of a picture that was assessed; None also where its file was let go."""
    if reading.prediction.status != "ok":
        return None
    try:
        return reading.heat_map(label)
    except ImageError:
        return None


def heat_picture(reading: PictureReading, heat_map: HeatMap) -> bytes:
    """JPEG of a picture with the heat laid over it, in the picture's own proportions."""
    pixels = heat_map.pixels
    # Only a stretched picture and its heat cover the same ground, whatever their proportions.
    if reading.shown is not None and reading.served.contract.resize_mode == "stretch":
        with Image.open(io.BytesIO(reading.shown.jpeg)) as image:
            pixels = np.asarray(image.convert("RGB"))
    buffer = io.BytesIO()
    Image.fromarray(overlay(pixels, heat_map.heat)).save(
        buffer, format="JPEG", quality=_JPEG_QUALITY
    )
    return buffer.getvalue()


def _differential(reading: PictureReading, texts: Texts) -> Iterator[ClassLine]:
    probabilities = reading.prediction.probabilities or {}
    inside = reading.prediction.prediction_set or ()
    for label in sorted(probabilities, key=lambda one: (-probabilities[one], LABELS.index(one))):
        malignant = label in MALIGNANT
        yield ClassLine(
            name=texts(f"classes.{label}.name"),
            kind=texts("answer.chart.malignant" if malignant else "answer.chart.benign"),
            malignant=malignant,
            code=MEDICAL_CODES[label].icd10,
            probability=texts.probability(probabilities[label]),
            share=probabilities[label],
            in_set=label in inside,
        )


def _judgement(
    reading: PictureReading, texts: Texts, point: OperatingPoint | None, figures: FlagFigures | None
) -> Iterator[Line]:
    prediction = reading.prediction
    risk = risk_of(prediction, reading.served.contract.decisions)
    if risk is None:
        return
    yield Line(texts("report.prediction"), texts(f"classes.{prediction.prediction}.name"))
    yield Line(
        texts("report.confidence"),
        texts(f"answer.confidence.level.{prediction.confidence or 'unknown'}"),
        texts("report.confidence_note"),
    )
    level = risk.level or "none"
    yield Line(
        texts("report.risk"),
        texts(f"answer.risk.level.{level}"),
        texts(f"answer.risk.meaning.{level}"),
    )
    yield Line(texts("report.malignant"), texts.probability(risk.malignant))
    yield Line(texts("report.melanoma"), texts.probability(risk.melanoma))
    if point is None or prediction.verdicts is None or point.name not in prediction.verdicts:
        yield Line(texts("report.verdict"), texts("report.no_point"))
        return
    suspicious = prediction.verdicts[point.name]
    yield Line(
        texts("report.point"),
        texts(
            f"answer.point.by_{point.criterion}",
            target=texts(f"answer.point.{point.target}"),
            goal=texts.percent(point.goal),
        ),
    )
    yield Line(
        texts("report.verdict"),
        texts(
            "report.verdict_at",
            verdict=texts(
                f"answer.point.for_{point.target}",
                verdict=texts("answer.point.positive" if suspicious else "answer.point.negative"),
            ),
            score=texts.probability(
                risk.melanoma if point.target == "melanoma" else risk.malignant
            ),
            threshold=texts.probability(point.threshold),
        ),
        "" if suspicious else texts("answer.point.negative_meaning"),
    )
    measured = (figures.lesion_sensitivity, figures.lesion_specificity) if figures else (None, None)
    for name, figure in zip(("sensitivity", "specificity"), measured, strict=True):
        yield Line(texts(f"report.{name}"), _figure(texts, figure))


def _figure(texts: Texts, figure: Estimate | None) -> str:
    if figure is None or figure.value is None:
        return texts("report.not_measured")
    value = texts.percent(figure.value, 1)
    if figure.ci_low is None or figure.ci_high is None:
        return value
    low, high = texts.percent(figure.ci_low, 1), texts.percent(figure.ci_high, 1)
    return texts("report.interval", value=value, low=low, high=high)


def _remarks(
    reading: PictureReading, texts: Texts, point: OperatingPoint | None, figures: FlagFigures | None
) -> Iterator[str]:
    if reading.prediction.several_frames:
        yield texts("report.several_frames")
    if reading.prediction.status != "ok" or point is None:
        return
    if figures is not None:
        yield texts(
            f"report.measured_on.{point.target}",
            positive=texts.number(figures.positive_lesions),
            negative=texts.number(figures.negative_lesions),
        )
    if not point.reached:
        yield texts("report.unreached")


def _refusal(reading: PictureReading, texts: Texts) -> Refusal | None:
    status, reason = reading.prediction.status, reading.prediction.reason
    if status == "ok":
        return None
    return Refusal(
        texts(f"report.{status}"),
        texts("report.no_answer"),
        (
            Line(texts("report.why"), texts(f"reasons.{reason}.why")),
            Line(texts("report.what_to_do"), texts(f"reasons.{reason}.what_to_do")),
        ),
    )


def _versions(reading: PictureReading, texts: Texts) -> Iterator[Line]:
    served, prediction = reading.served, reading.prediction
    contract, versions = served.contract, prediction.versions
    version: RegisteredVersion = served.version
    yield Line(
        texts("report.model"),
        texts("report.version", name=version.name, version=version.version),
    )
    yield Line(texts("report.network"), contract.backbone)
    if versions is not None:
        yield Line(texts("report.bundle"), versions.bundle[:_HASH_DIGITS])
        yield Line(texts("report.contract"), versions.contract[:_HASH_DIGITS])
    yield Line(texts("report.data"), contract.data_fingerprint[:_HASH_DIGITS])
    yield Line(texts("report.split"), contract.split_hash[:_HASH_DIGITS])
    yield Line(texts("report.run"), contract.training_run_id or texts("report.none"))
    yield Line(texts("report.software"), plain(contract.code_version))
    yield Line(texts("report.picture_hash"), prediction.image_sha256 or texts("report.none"))
