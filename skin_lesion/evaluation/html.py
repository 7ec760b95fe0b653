"""The evaluation as one HTML page that needs no other file and no network."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from io import BytesIO

from PIL import Image

from skin_lesion.data.pages import cards, mark, page, table
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Interval
from skin_lesion.evaluation.html_sections import (
    calibration,
    cannot_assess,
    classes,
    confidence,
    explanations,
    operating_points,
    overall,
    prediction_sets,
    robustness,
    subgroups,
)
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.evaluation.wording import number

SYNTHETIC = (
    "This model has seen only computer-drawn pictures. Its figures show that the pipeline works; "
    "they say nothing about real skin lesions, and it must not be used on them."
)
RESEARCH = (
    "For research only: not a medical device, not for diagnosis, not for triage. Dermatoscopic "
    "pictures of the seven classes below only; non-pigmented, subungual, ocular and mucosal lesions "
    "were not part of the data."
)
_HEADLINE = (
    ("balanced_accuracy", "balanced accuracy"),
    ("macro_f1", "macro F1"),
    ("per_class.mel.recall", "of the melanomas called melanoma"),
    ("melanoma_auc", "melanoma AUC"),
    ("malignant_auc", "malignant AUC"),
    ("ece", "calibration error"),
)
_LARGE_PNG = 300_000
# Section title -> the pictures that belong to it, by the beginning of their names, in order.
_PICTURES: dict[str, tuple[str, ...]] = {
    "Overall": ("forest",),
    "Classes": ("confusion_matrix", "per_class", "roc"),
    "Operating points": ("operating_points", "predictive_values", "decision_curves"),
    "Confidence": ("confidence_bands", "risk_coverage"),
    "Prediction sets": ("prediction_sets",),
    "Calibration": ("reliability",),
    "Cannot assess": ("ood_", "refusals"),
    "Subgroups": ("subgroups_",),
    "Robustness": ("robustness", "perturbations"),
    "Heat-maps": ("explanation_",),
    "Gallery": ("gallery_",),
}


def render(summary: ReportSummary, figures: Mapping[str, bytes]) -> str:
    """Write the page of a model's own test split.

    Args:
        summary: The figures in numbers.
        figures: PNG pictures by name; every one is shown.
    """
    evidence = summary.evidence
    sections = {
        "Overall": overall(summary),
        "Classes": classes(summary.test, evidence),
        **common_sections(evidence),
    }
    sections["Calibration"] = calibration(evidence, summary.freezing)
    sections["Cannot assess"] = cannot_assess(evidence, summary.freezing)
    return assemble(
        "Evaluation of the serving model",
        [*notices(summary.synthetic_only), _headline(summary)],
        sections,
        figures,
        _origin(summary),
    )


def common_sections(evidence: Evidence) -> dict[str, str]:
    """Sections that need nothing but the evidence, in the order of the page."""
    return {
        "Operating points": operating_points(evidence),
        "Confidence": confidence(evidence),
        "Prediction sets": prediction_sets(evidence),
        "Calibration": calibration(evidence, None),
        "Cannot assess": cannot_assess(evidence, None),
        "Subgroups": subgroups(evidence),
        "Robustness": robustness(evidence),
        "Heat-maps": explanations(evidence),
        "Gallery": "<p>Right answers drawn at random, and the most confident mistakes, each picture "
        "beside what speaks for the answer. Mistakes are shown because they are the ones to learn "
        "from, not because they are typical.</p>",
    }


def assemble(
    title: str,
    head: Iterable[str],
    sections: Mapping[str, str],
    figures: Mapping[str, bytes],
    origin: Mapping[str, str],
) -> str:
    """Put a page together: head, table of contents, sections with their pictures, origin.

    Args:
        title: Of the page.
        head: HTML above the table of contents.
        sections: HTML by title, in order.
        figures: PNG pictures by name; those of no section stand under "Further pictures".
        origin: Which model and data.
    """
    placed = {name: _section_of(name) for name in figures}
    body: list[str] = []
    for name, text in sections.items():
        shown = "".join(_picture(key, figures[key]) for key in figures if placed[key] == name)
        body.append(f'<h2 id="{_slug(name)}">{escape(name)}</h2>{text}{shown}')
    left = [key for key in figures if placed[key] not in sections]
    if left:
        body.append('<h2 id="further-pictures">Further pictures</h2>')
        body.extend(_picture(key, figures[key]) for key in left)
    contents = " · ".join(
        f'<a href="#{_slug(name)}">{escape(name)}</a>' for name in (*sections, "Origin")
    )
    rows = [[escape(name), f"<code>{escape(value)}</code>"] for name, value in origin.items()]
    return page(
        title,
        [
            *head,
            f'<p class="quiet">{contents}</p>',
            *body,
            '<h2 id="origin">Origin</h2>' + table(["What", "Value"], rows, widths=(24, 76)),
        ],
    )


def _section_of(name: str) -> str:
    found = [
        (len(start), section)
        for section, starts in _PICTURES.items()
        for start in starts
        if name.startswith(start)
    ]
    return max(found, default=(0, ""))[1]


def notices(synthetic: bool) -> Iterator[str]:
    """What stands above every report."""
    if synthetic:
        yield f"<p>{mark('bad', 'Synthetic pictures only')} <b>{escape(SYNTHETIC)}</b></p>"
    yield f"<p>{escape(RESEARCH)}</p>"


def _headline(summary: ReportSummary) -> str:
    test = summary.test
    figures = []
    for field, name in _HEADLINE:
        ends: Interval | None = test.intervals.get(field)
        value = summary.evidence.discrimination.images.estimates[field].value
        words = f"{name}, {ends.ci_low:.3f} to {ends.ci_high:.3f}" if ends else name
        figures.append((number(value), words))
    return cards(figures) + (
        f'<p class="quiet">Test split: {test.n_images} images of {test.n_lesions} lesions, which had '
        "no say in anything that was fitted. Ranges are 95 % intervals from a bootstrap over lesions.</p>"
    )


def _origin(summary: ReportSummary) -> dict[str, str]:
    return {
        "Backbone": summary.backbone,
        "Pretrained on": summary.pretrained_on,
        "Bundle": summary.bundle_hash,
        "Training run": summary.training_run_id or "not tracked",
        "Data": summary.data_fingerprint,
        "Split": summary.split_hash,
        "Licence of the pictures": summary.licence,
    }


def _picture(name: str, data: bytes) -> str:
    words = escape(name.replace("_", " "))
    kind, small = _reduced(data)
    source = b64encode(small).decode()
    return f'<figure><img alt="{words}" src="data:image/{kind};base64,{source}"></figure>'


def _reduced(data: bytes) -> tuple[str, bytes]:
    """Sheets of photographs as JPEG: as PNG they take ten times as much."""
    if len(data) < _LARGE_PNG:
        return "png", data
    buffer = BytesIO()
    with Image.open(BytesIO(data)) as picture:
        picture.convert("RGB").save(buffer, "JPEG", quality=88, optimize=True)
    return "jpeg", buffer.getvalue()


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")
