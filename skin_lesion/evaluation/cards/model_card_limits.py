"""The part of the model card that says where the model's figures end."""

from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.writing import bullets, plain, table
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.wording import (
    OUTLIER_NAMES,
    SCORE_NAMES,
    limit_rows,
    named,
    number,
    with_interval,
)


def cannot_assess(facts: CardFacts) -> list[str | None]:
    """When there is no answer."""
    gate = facts.cannot_assess
    if gate is None:
        return [None]
    limits = [[plain(text) for text in row] for row in limit_rows(gate.quality)]
    unlike = (
        "No score of unlikeness could be set."
        if gate.ood_score is None
        else (
            "A picture too unlike the training pictures gets none either: "
            f"{plain(named(SCORE_NAMES, gate.ood_score))} above {number(gate.ood_threshold)} (no unit), "
            "frozen on validation."
        )
    )
    foreign = [
        [plain(named(OUTLIER_NAMES, name)), with_interval(figure)]
        for name, figure in gate.foreign_refused.items()
    ]
    return [
        f"A picture outside these limits gets no answer. {unlike}",
        table(["Measure of the picture", "Unit", "Lowest", "Highest"], limits, numbers=2) if limits else
        "No limits on picture quality were set.",
        f"Of the test images {with_interval(gate.accepted_share)} get an answer, and the accuracy on "
        f"those is {with_interval(gate.accepted_accuracy)}.",
        table(["Pictures from outside", "Share refused"], foreign, numbers=1) if foreign else
        "Pictures from outside: not measured in this run.",
        "These limits lower the chance of an answer to a picture that is out of scope; they do not "
        "remove it.",
    ]  # fmt: skip


def subgroups(facts: CardFacts) -> list[str | None]:
    """For whom it holds."""
    skin = (
        "There is no label for skin tone, so the most important question of fairness has no answer "
        "here."
    )
    if facts.subgroups is None:
        return [None, skin]
    titles = list(dict.fromkeys(title for row in facts.subgroups for title in row.figures))
    rows = [
        [
            f"{plain(row.attribute)}: {plain(row.name)}{' (indicative)' if row.indicative else ''}",
            f"{row.images:,} ({row.lesions:,})",
            *(_or_too_few(row.figures.get(title)) for title in titles),
        ]
        for row in facts.subgroups
    ]
    return [
        table(
            ["Subgroup", "Images (lesion groups)", *map(plain, titles)],
            rows,
            numbers=1 + len(titles),
        ),
        "Indicative: too few lesions for more than a hint.",
        skin,
    ]  # fmt: skip


def robustness(facts: CardFacts) -> list[str | None]:
    """What poor pictures cost."""
    if facts.robustness is None:
        return [None]
    return [
        "The worst that each kind of disturbance does to test images drawn evenly over the classes:",
        table(
            ["Disturbance", "Figure", "Undisturbed", "Disturbed", "Answers that change"],
            [
                [
                    plain(row.disturbance),
                    plain(row.figure),
                    with_interval(row.clean),
                    with_interval(row.disturbed),
                    with_interval(row.changed_answers),
                ]
                for row in facts.robustness
            ],
            numbers=3,
        ),
    ]


def explanations(facts: CardFacts) -> list[str | None]:
    """What heat-maps are worth."""
    caveat = (
        "A heat-map shows which parts of a picture moved a class's score. It is no evidence that the "
        "answer is right, nor that the model looks at what a dermatologist looks at."
    )
    if facts.explanations is None:
        return [caveat, None]
    return [
        caveat,
        table(
            ["Check", "Figure", "How to read it"],
            [
                [plain(row.name), with_interval(row.figure), plain(row.meaning)]
                for row in facts.explanations
            ],
        ),
    ]


def gates(facts: CardFacts) -> str:
    """The verdict."""
    if facts.gate is None:
        return "Not judged in this run."
    verdict, *lines = facts.gate.to_lines()
    worn = (
        "Every version is judged on the same test split, so the more versions are judged, the more "
        "its figures flatter those that pass."
    )
    return f"**{plain(verdict)}**\n\n{bullets(map(plain, lines))}\n\n{worn}"


def _or_too_few(figure: Estimate | None) -> str:
    return "too few" if figure is None else with_interval(figure)
