"""What gets no answer."""

from collections.abc import Sequence
from html import escape

from skin_lesion.data.pages import figures_table
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.freezing import FreezingFigures
from skin_lesion.evaluation.wording import (
    NOT_MEASURED,
    OUTLIER_NAMES,
    REASON_NAMES,
    SCORE_NAMES,
    limit_rows,
    named,
    per_cent,
    with_interval,
)


def cannot_assess(evidence: Evidence, freezing: FreezingFigures | None) -> str:
    """What is refused, and how well other pictures are told apart."""
    found = evidence.refusals
    if found is None:
        return NOT_MEASURED
    answers = [
        ["All images", f"{found.everything.n_images:,}", per_cent(found.everything.accuracy),
         per_cent(found.everything.melanoma_sensitivity)],
        ["Accepted", f"{found.accepted.n_images:,}", per_cent(found.accepted.accuracy),
         per_cent(found.accepted.melanoma_sensitivity)],
        ["Refused, had they been answered", f"{found.withheld.n_images:,}",
         per_cent(found.withheld.accuracy), per_cent(found.withheld.melanoma_sensitivity)],
    ]  # fmt: skip
    reasons = ", ".join(
        f"{escape(named(REASON_NAMES, reason))}: {count:,}"
        for reason, count in found.reasons.items()
        if count
    )
    text = (
        f"<p>Refused: {per_cent(found.refused, 1)} of the images, {per_cent(found.by_quality, 1)} "
        f"for their quality and {per_cent(found.by_likeness, 1)} because they are unlike the "
        f"training pictures{f' ({reasons})' if reasons else ''}.</p>"
        + figures_table(
            ("", "Images", "Accuracy", "Melanoma sensitivity at the 95 % point"),
            answers,
            caption="Shares in per cent, in brackets the 95 % interval.",
        )
    )
    kinds = list(found.outliers)
    if kinds:
        rows = [
            [
                escape(named(OUTLIER_NAMES, kind)),
                f"{one.n_images:,} / {one.n_clusters:,}",
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
            caption="Share of the pictures, in per cent, with its 95 % interval.",
        )
        chosen = freezing.cannot_assess.gate.score if freezing else None
        scores = [
            [
                escape(named(SCORE_NAMES, name)) + (" (chosen)" if name == chosen else ""),
                *(with_interval(one.auroc[kind]) for kind in kinds),
            ]
            for name, one in found.separations.items()
        ]
        text += figures_table(
            ("AUROC of each score", *(named(OUTLIER_NAMES, kind) for kind in kinds)),
            scores,
            caption="Chance that such a picture scores higher than one of a lesion: 1 tells them all "
            "apart, 0.5 none.",
        )
    return text + ("" if freezing is None else _gate_note(freezing, sources=found.report_sources))


def _gate_note(freezing: FreezingFigures, sources: Sequence[str]) -> str:
    choice = freezing.cannot_assess
    limits = figures_table(
        ("Limit on a picture", "Unit", "Lowest", "Highest"),
        [[escape(text) for text in row] for row in limit_rows(choice.limits)],
        left=2,
        caption="Frozen with the model: a picture outside of any of these gets no answer.",
    )
    return (
        f"{limits}<p class='quiet'>The score was chosen by {len(choice.selection_sources)} photographs "
        f"({escape(', '.join(choice.selection_sources))}); the figures above are on "
        f"{len(sources)} others ({escape(', '.join(sources))}), and an interval over so few is "
        f"indicative. Limits and threshold were set on validation to accept "
        f"{100 * choice.acceptance:.0f} %; cross-fitted they accept "
        f"{per_cent(choice.accepted_cross_fitted, 1)} there.</p>"
    )
