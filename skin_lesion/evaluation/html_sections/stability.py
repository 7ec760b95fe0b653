"""For whom and under what the figures hold."""

from html import escape

from skin_lesion.data.pages import figures_table, mark
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.wording import (
    NOT_MEASURED,
    UNIT_NAMES,
    counts,
    counts_head,
    drawn_units,
    images_of,
    stacked,
    stacked_per_cent,
    with_interval,
    words,
)


def subgroups(evidence: Evidence) -> str:
    """Groups by sex, age and site, and the worst of each."""
    found = evidence.subgroups
    if found is None:
        return NOT_MEASURED
    names = [one.name for one in found.overall.figures]
    rows = []
    for attribute in (None, *found.attributes):
        groups = (found.overall,) if attribute is None else attribute.groups
        for group in groups:
            label = "all" if attribute is None else f"{attribute.name}: {group.name}"
            cells = [
                stacked(figure, 2) if figure else "too few"
                for figure in (group.figure(name) for name in names)
            ]
            number = counts(group.n_images, group.n_lesions, evidence.units)
            rows.append([escape(label), f"{number} / {group.malignant_lesions:,}", *cells])
    malignant = "malignant groups" if evidence.units == "lesion_group" else "malignant ones"
    head = ("Group", f"{counts_head(evidence.units)} / {malignant}",
            *(words(name) for name in names))  # fmt: skip
    gaps = [
        [
            escape(f"{attribute.name}: {words(gap.figure)}"),
            escape(gap.worst),
            with_interval(gap.gap, 2),
        ]
        for attribute in found.attributes
        for gap in attribute.gaps
    ]
    return (
        figures_table(
            head, rows, caption="From 0 to 1, below each figure its 95 % interval. Age in years."
        )
        + f"<p class='quiet'>Groups of fewer than {found.min_images} images, and figures that rest "
        f"on fewer than {found.min_positives} {UNIT_NAMES[evidence.units]}, are not reported.</p>"
        + figures_table(
            ("Furthest below all", "Worst group", "Gap"),
            gaps,
            left=2,
            caption="Gap: figure of all images less that of the group, with its 95 % interval.",
        )
        + f"<p class='quiet'>{escape(found.gap_note)}</p><p>{escape(found.skin_tone)}</p>"
    )


def robustness(evidence: Evidence) -> str:
    """What perturbations cost."""
    found = evidence.robustness
    if found is None:
        return not_checked(evidence)
    rows = []
    for one in found.perturbations.values():
        worst = one.strengths[-1]
        rows.append(
            [
                escape(f"{one.title} ({worst.amount:g} {one.unit})"),
                stacked(worst.drop.balanced_accuracy),
                stacked(worst.drop.malignant_auc),
                stacked(worst.drop.melanoma_sensitivity),
                stacked_per_cent(worst.changed_predictions),
                escape(one.training),
            ]
        )
    head = ("At the highest strength", "Drop of balanced accuracy", "Drop of malignant AUC",
            "Drop of melanoma sensitivity", "Answers changed", "Varied in training")  # fmt: skip
    clean = found.clean
    return (
        f"<p>{images_of(found.n_images, found.n_lesions, evidence.units)}, evenly over the classes. "
        f"Undisturbed: balanced accuracy {with_interval(clean.balanced_accuracy)}, malignant AUC "
        f"{with_interval(clean.malignant_auc)}.</p>"
        + figures_table(
            head,
            rows,
            right=4,
            caption="Drops are differences of figures from 0 to 1; below each its 95 % interval.",
        )
        + f"<p class='quiet'>{escape(found.how_to_read)}</p>"
    )


def not_checked(evidence: Evidence) -> str:
    """Why there are neither perturbations nor checks of heat-maps."""
    if evidence.checks_need is None:
        return NOT_MEASURED
    found, units = evidence.discrimination.images, evidence.units
    return (
        f"<p>{mark('look', 'Too few pictures')} "
        f"{images_of(found.n_images, found.n_lesions, units, 'picture')}; from "
        f"{evidence.checks_need} {drawn_units(units)} on a figure would be more than chance.</p>"
    )
