"""The page of a model on pictures from elsewhere, and the figures that it shows."""

from collections.abc import Mapping
from html import escape

from skin_lesion.data.pages import cards, figures_table, mark
from skin_lesion.decisions import Decisions
from skin_lesion.evaluation.discrimination import Discrimination
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Figures
from skin_lesion.evaluation.html import assemble, common_sections
from skin_lesion.evaluation.html_sections import classes, overall_external
from skin_lesion.evaluation.html_summary import headline, notices
from skin_lesion.evaluation.overlap import OverlapFigures, overlap_section, verdict
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.evaluation.wording import counted

_REASONS = {
    "left_out": "Their diagnosis is mapped to none of the seven classes",
    "missing": "The labels name them, but there is no such file",
    "undiagnosed": "The labels name them without a diagnosis",
    "unlabelled": "No line of the labels names them",
    "unused": "Another file of the same name was taken",
    "duplicate": "The same file is there under another name, or labelled in two ways",
}


class ExternalSummary(Figures):
    """`report.json` of an external evaluation.

    Attributes:
        data: Name of the data set, as it was given.
        model: The model, as it was given.
        bundle_hash: Hash of the bundle that was measured.
        synthetic_only: True where the model has seen no real picture.
        n_lesion_named: Pictures that are measured and whose lesion has a name. Each of the others
            counts as a lesion of its own.
        n_lesions_in_conflict: Lesions that are measured and carry several diagnoses.
        classes: Codes of the classes that occur among the pictures that are measured.
        put_aside: Pictures and files that are not measured.
        decisions: Frozen with the model; nothing was fitted here.
        figures: The main figures, of pictures that the model has not seen.
        evidence: Everything else, of the same pictures.
        overlap: How many pictures the model has seen.
        with_overlap: The main figures of every picture, where it has seen some.
        put_aside_reasons: Pictures and files that are not measured, by reason.
        seed: Of resamples and draws.
    """

    data: str
    model: str
    bundle_hash: str
    synthetic_only: bool
    n_lesion_named: int
    n_lesions_in_conflict: int
    classes: tuple[str, ...]
    put_aside: int
    decisions: Decisions
    figures: SplitFigures
    evidence: Evidence
    overlap: OverlapFigures
    with_overlap: Discrimination | None
    put_aside_reasons: dict[str, int]
    seed: int

    @property
    def n_lesion_unnamed(self) -> int:
        """Pictures that are measured and whose lesion has no name."""
        return self.figures.n_images - self.n_lesion_named


def extent(summary: ExternalSummary) -> str:
    """How many pictures of how many lesions are measured, as text."""
    figures, unnamed = summary.figures, summary.n_lesion_unnamed
    pictures = counted(figures.n_images, "picture")
    if not unnamed:
        return f"{pictures} of {counted(figures.n_lesions, 'lesion')}"
    if not summary.n_lesion_named:
        return f"{pictures} of an unknown number of lesions"
    # Each picture without a name of its lesion is one of those that `figures` counts.
    named = counted(figures.n_lesions - unnamed, "named lesion")
    return f"{pictures}: {summary.n_lesion_named:,} of {named}, {unnamed:,} without a lesion id"


def lesion_warnings(summary: ExternalSummary) -> list[str]:
    """What is doubtful of the lesions, each as text: what it is, a colon, what follows from it."""
    found = []
    if unnamed := summary.n_lesion_unnamed:
        found.append(
            f"Lesions not named: {counted(unnamed, 'picture has', 'pictures have')} no lesion id, and "
            "each such picture counts as a lesion of its own. Pictures of one lesion may be counted "
            "as several, and the intervals be too narrow."
        )
    if several := summary.n_lesions_in_conflict:
        found.append(
            "Lesions with several diagnoses: "
            f"{counted(several, 'lesion id carries', 'lesion ids carry')} several diagnoses. Some of "
            "them are wrong, or different lesions share an id."
        )
    return found


def external_page(summary: ExternalSummary, pictures: Mapping[str, bytes]) -> str:
    """One page that needs no other file and no network.

    Args:
        summary: The figures in numbers.
        pictures: PNG pictures by name; every one is shown.
    """
    figures, evidence = summary.figures, summary.evidence
    where = f"<p>{extent(summary)}; classes {', '.join(summary.classes)}. Nothing was fitted on them: thresholds and calibration are those frozen with the model.</p>"
    sections = {
        "Overall": overall_external(figures, evidence, summary.with_overlap),
        "Overlap": overlap_section(summary.overlap),
        "Put aside": _put_aside_section(summary.put_aside_reasons),
        "Classes": classes(figures, evidence),
        **common_sections(evidence),
    }
    origin = {
        "Model": summary.model,
        "Bundle": summary.bundle_hash,
        "Data": summary.data,
        "Seed": str(summary.seed),
    }
    return assemble(
        "Evaluation on external pictures",
        [
            *notices(summary.synthetic_only),
            verdict(summary.overlap, figures.n_images),
            *(_warning(text) for text in lesion_warnings(summary)),
            cards(headline(evidence)),
            where,
        ],
        sections,
        pictures,
        origin,
        evidence.units,
    )


def _warning(text: str) -> str:
    what, _, consequence = text.partition(": ")
    return f"<p>{mark('look', what)} {escape(consequence)}</p>"


def _put_aside_section(reasons: Mapping[str, int]) -> str:
    if not reasons:
        return "<p>Every picture and file was used.</p>"
    rows = [
        [
            escape(_REASONS.get(reason, f"They cannot be read: {reason.replace('_', ' ')}")),
            str(count),
        ]
        for reason, count in sorted(reasons.items())
    ]
    return (
        figures_table(
            ("Reason", "Number"), rows, caption="Pictures and files that were not measured."
        )
        + "<p>They are listed, each with its reason, in <code>put_aside.csv</code>.</p>"
    )
