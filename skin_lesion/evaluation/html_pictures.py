"""Where each picture of a report stands, what it is called and how it is read."""

from base64 import b64encode
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO

from PIL import Image

from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.wording import drawn_units

_LARGE_PNG = 300_000
_CSS_DPI = 96


@dataclass(frozen=True)
class Caption:
    """What is said of a picture.

    Attributes:
        section: Title of the section that it belongs to; empty where none is known.
        title: What it shows.
        reading: How to read it; `{units}` stands for what is drawn for an interval, `{forest}` for
            what the marks of the first picture count.
    """

    section: str
    title: str
    reading: str


_KNOWN: dict[str, Caption] = {
    "forest": Caption("Overall", "Main figures with their 95 % intervals", "{forest}"),
    "confusion_matrix": Caption(
        "Classes", "Confusion matrix",
        "Number of images, and in per cent of the true class; a row is a true class, a column what "
        "the model called it. Off the diagonal are the mistakes.",
    ),
    "per_class": Caption(
        "Classes", "Precision, recall, F1 and AUC of each class",
        "Each class against all others, from 0 to 1.",
    ),
    "roc": Caption(
        "Classes", "ROC curve of each class against the others",
        "The nearer to the upper left corner, the better; the dotted line is chance.",
    ),
    "roc_bands": Caption(
        "Classes", "ROC curves of melanoma and of malignancy",
        "The band holds the sensitivity at each specificity in 95 % of the resampled sets of "
        "{units}. The points are read off this very curve; they are not the frozen thresholds.",
    ),
    "operating_points": Caption(
        "Operating points", "Where the frozen thresholds lie on the ROC curves",
        "Each marker is a threshold chosen on validation, with the sensitivity and specificity "
        "measured here.",
    ),
    "predictive_values": Caption(
        "Operating points", "Predictive values by prevalence",
        "Left: of the pictures that are flagged, the share that has the disease. Right: of those "
        "not flagged, the share that has not. The prevalence is that of the reader's own clinic.",
    ),
    "decision_curves": Caption(
        "Operating points", "Decision curves",
        "Net benefit, in true finds per 100 pictures, against the risk from which one would act. The "
        "model is worth using where its line lies above both others.",
    ),
    "confidence_bands": Caption(
        "Confidence", "Bands of confidence",
        "Share of all pictures, accuracy within the band, and melanomas of the band that are called "
        "something else, in per cent.",
    ),
    "risk_coverage": Caption(
        "Confidence", "Risk against coverage",
        "Share of wrong answers when only the surest answers are given; coverage is the share that "
        "gets an answer. Lower is better.",
    ),
    "prediction_sets": Caption(
        "Prediction sets", "Coverage and size of the prediction sets",
        "Left: share of images whose set holds the true class, in per cent, beside what was promised. "
        "Right: mean number of classes in a set, of seven.",
    ),
    "reliability": Caption(
        "Calibration", "Reliability of the most probable class",
        "On the dashed line, answers given with a probability of 80 % are right 80 % of the time; "
        "below it the model is too sure. The lower panel counts images.",
    ),
    "reliability_malignant": Caption(
        "Calibration", "Reliability of the malignant probability",
        "On the dashed line the summed probability of melanoma, basal cell carcinoma and actinic "
        "keratosis / Bowen is the share of malignant images. The lower panel counts images.",
    ),
    "reliability_classes": Caption(
        "Calibration", "Reliability of each class's probability",
        "As above, class by class, after calibration; hollow points rest on few {units}.",
    ),
    "ood_scores": Caption(
        "Cannot assess", "How unlike the training pictures",
        "The higher the score, the more unlike. What lies right of the dashed line is refused.",
    ),
    "ood_separation": Caption(
        "Cannot assess", "How well each score tells other pictures apart",
        "AUROC: the chance that a picture from outside scores higher than one of a lesion; 0.5 is "
        "chance, below it the score is misled.",
    ),
    "refusals": Caption(
        "Cannot assess", "Share of pictures that get no answer",
        "By true class, and for pictures that should be refused, in per cent.",
    ),
    "robustness": Caption(
        "Robustness", "What each perturbation costs",
        "Drop in percentage points against the same pictures undisturbed, by strength.",
    ),
    "perturbations": Caption(
        "Robustness", "The perturbations, on one picture",
        "Undisturbed on the left, then from the weakest strength to the strongest.",
    ),
    "explanation_randomisation": Caption(
        "Heat-maps", "Do the heat-maps depend on the weights?",
        "Likeness of each map to the original one while more and more of the network is shuffled. It "
        "has to fall towards 0.",
    ),
    "explanation_deletion": Caption(
        "Heat-maps", "Do the heat-maps point at what matters?",
        "Probability of melanoma while the cells of a picture are hidden (left) or shown (right), the "
        "hottest first, beside other orders.",
    ),
    "explanation_examples": Caption(
        "Heat-maps", "Examples of heat-maps",
        "Where the network sees evidence for the class it names. It is no evidence that the answer is "
        "right.",
    ),
}  # fmt: skip
_FOREST: dict[Units, str] = {
    "lesion_group": "Circles count every image, squares one image of each lesion group.",
    "lesion": "Circles count every image, squares one image of each lesion.",
    "picture": "Every image counts.",
    "lesion_or_picture": "Circles count every image, squares one image of each lesion and each without "
    "a lesion id.",
}
_SITES = {"sex": "sex", "age": "age", "site": "body site"}
_GALLERY = {
    "right": ("right answers", "Drawn by lot from the surer half of the right answers."),
    "missed": (
        "mistakes",
        "The surest wrong answers: called one class, truly another; beside each, what the network saw "
        "for both.",
    ),
}


def caption(name: str, units: Units = "lesion_group") -> Caption:
    """What is said of a picture; one without a section where the name is not known.

    Args:
        name: Of the picture.
        units: What counts as a lesion.
    """
    start, _, rest = name.partition("_")
    if start == "subgroups":
        return Caption(
            "Subgroups",
            f"Figures by {_SITES.get(rest, rest.replace('_', ' '))}",
            "Dotted lines: all images. In brackets: images of melanoma, and of any malignant class.",
        )
    label, _, kind = rest.rpartition("_")
    if start == "gallery" and kind in _GALLERY:
        title, reading = _GALLERY[kind]
        return Caption("Gallery", f"{CLASS_NAMES.get(label, label)} ({label}): {title}", reading)
    known = _KNOWN.get(name) or Caption("", name.replace("_", " ").capitalize(), "")
    return replace(
        known, reading=known.reading.format(units=drawn_units(units), forest=_FOREST[units])
    )


def figure(name: str, data: bytes, units: Units = "lesion_group") -> str:
    """A picture with its caption, as HTML that needs no other file.

    Args:
        name: Of the picture.
        data: PNG.
        units: What counts as a lesion.
    """
    said = caption(name, units)
    kind, small, (width, height) = _reduced(data)
    source = b64encode(small).decode()
    reading = f" {escape(said.reading)}" if said.reading else ""
    return (
        f'<figure id="picture-{escape(name)}"><img alt="{escape(said.title)}" width="{width}" '
        f'height="{height}" src="data:image/{kind};base64,{source}">'
        f"<figcaption><b>{escape(said.title)}.</b>{reading}</figcaption></figure>"
    )


def _reduced(data: bytes) -> tuple[str, bytes, tuple[int, int]]:
    """Kind, file and width and height in CSS pixels.

    Sheets of photographs become JPEG: as PNG they take ten times as much.
    """
    with Image.open(BytesIO(data)) as picture:
        # As large as it was drawn, so that letters have one size in all pictures.
        scale = _CSS_DPI / picture.info["dpi"][0] if "dpi" in picture.info else 1.0
        shown = (round(scale * picture.width), round(scale * picture.height))
        if len(data) < _LARGE_PNG:
            return "png", data, shown
        buffer = BytesIO()
        picture.convert("RGB").save(buffer, "JPEG", quality=88, optimize=True)
        return "jpeg", buffer.getvalue(), shown
