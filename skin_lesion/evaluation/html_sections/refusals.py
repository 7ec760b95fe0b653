"""What gets no answer."""

from collections.abc import Sequence
from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.freezing import FreezingFigures
from skin_lesion.evaluation.wording import NOT_MEASURED, OUTLIER_NAMES, per_cent, with_interval


def cannot_assess(evidence: Evidence, freezing: FreezingFigures | None) -> str:
    """What is refused, and how well other pictures are told apart."""
    found = evidence.refusals
    if found is None:
        return NOT_MEASURED
    answers = [
        ["All images", str(found.everything.n_images), per_cent(found.everything.accuracy),
         per_cent(found.everything.melanoma_sensitivity)],
        ["Accepted", str(found.accepted.n_images), per_cent(found.accepted.accuracy),
         per_cent(found.accepted.melanoma_sensitivity)],
        ["Refused, had they been answered", str(found.withheld.n_images),
         per_cent(found.withheld.accuracy), per_cent(found.withheld.melanoma_sensitivity)],
    ]  # fmt: skip
    reasons = ", ".join(
        f"{escape(reason.replace('_', ' '))} {count}"
        for reason, count in found.reasons.items()
        if count
    )
    text = (
        f"<p>Refused: {per_cent(found.refused, 1)} of the images, {per_cent(found.by_quality, 1)} "
        f"for their quality and {per_cent(found.by_likeness, 1)} because they are unlike the "
        f"training pictures{f' ({reasons})' if reasons else ''}.</p>"
        + figures_table(
            ("", "Images", "Accuracy", "Melanoma sensitivity at the 95 % point"), answers
        )
    )
    kinds = list(found.outliers)
    if kinds:
        rows = [
            [
                escape(OUTLIER_NAMES.get(kind, kind)),
                f"{one.n_images} / {one.n_clusters}",
                per_cent(one.refused),
                per_cent(one.by_quality),
                per_cent(one.unlike),
            ]
            for kind, one in found.outliers.items()
        ]
        text += figures_table(
            (
                "Pictures that should be refused",
                "Pictures / sources",
                "Refused",
                "By quality",
                "By likeness alone",
            ),
            rows,
        )
        chosen = freezing.cannot_assess.gate.score if freezing else None
        scores = [
            [
                escape(name.replace("_", " ")) + (" (chosen)" if name == chosen else ""),
                *(with_interval(one.auroc[kind]) for kind in kinds),
            ]
            for name, one in found.separations.items()
        ]
        text += figures_table(
            ("AUROC of each score", *(OUTLIER_NAMES.get(kind, kind) for kind in kinds)), scores
        )
    return text + ("" if freezing is None else _gate_note(freezing, sources=found.report_sources))


def _gate_note(freezing: FreezingFigures, sources: Sequence[str]) -> str:
    choice = freezing.cannot_assess
    return (
        f"<p class='quiet'>The score was chosen by {len(choice.selection_sources)} photographs "
        f"({escape(', '.join(choice.selection_sources))}); the figures above are on "
        f"{len(sources)} others ({escape(', '.join(sources))}), and an interval over so few is "
        f"indicative. Limits and threshold were set on validation to accept "
        f"{100 * choice.acceptance:.0f} %; cross-fitted they accept "
        f"{per_cent(choice.accepted_cross_fitted, 1)} there.</p>"
    )
