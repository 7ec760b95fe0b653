"""The part of the model card that was measured."""

from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.writing import (
    bullets,
    class_name,
    code,
    estimate,
    number,
    plain,
    section,
    table,
)
from skin_lesion.evaluation.figures import Estimate

INTERVALS = (
    "Test split. In brackets: 95 % interval from a bootstrap over lesions. It speaks of the choice "
    "of lesions, not of another training or another clinic."
)
_TEST_NAMES = {
    "balanced_accuracy": "Balanced accuracy (mean recall)",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "accuracy": "Accuracy (flattered by the many naevi)",
    "macro_auc": "Macro AUC",
    "melanoma_auc": "Melanoma AUC",
    "malignant_auc": "Malignant AUC",
    "ece": "Calibration error (ECE)",
    "nll": "Negative log-likelihood (nats)",
    "brier": "Brier score (0 to 2)",
}


def results(facts: CardFacts) -> list[str]:
    """One section for each kind of figure."""
    return [
        section("Performance", *_performance(facts)),
        section("Each class", _classes(facts)),
        section("Operating points", *_points(facts)),
        section("Calibration", _calibration(facts)),
        section("Cannot assess", *_cannot_assess(facts)),
        section("Prediction sets", *_sets(facts)),
        section("Subgroups", *_subgroups(facts)),
        section("Robustness", *_robustness(facts)),
        section("Explanations", *_explanations(facts)),
        section("Gates", _gates(facts)),
    ]


def _performance(facts: CardFacts) -> list[str | None]:
    if facts.test is None:
        return [None]
    rows = [
        [_TEST_NAMES.get(name, plain(name)), estimate(figure)]
        for name, figure in facts.test.items()
    ]
    shown = (
        ""
        if facts.failures_shown is None
        else (f"The report shows {facts.failures_shown} of the wrong answers as pictures.")
    )
    return [
        f"{INTERVALS} {facts.images('test'):,} images of {facts.lesions('test'):,} lesions.",
        table(["Figure", "Test"], rows, numbers=1),
        shown,
    ]


def _classes(facts: CardFacts) -> str | None:
    if facts.classes is None:
        return None
    return table(
        ["Class", "Images (lesions)", "Precision", "Recall", "F1", "AUC"],
        [
            [
                class_name(row.label),
                f"{row.images:,} ({row.lesions:,})",
                *map(estimate, (row.precision, row.recall, row.f1, row.auc)),
            ]
            for row in facts.classes
        ],
        numbers=5,
    )


def _points(facts: CardFacts) -> list[str | None]:
    if facts.operating_points is None:
        return [None]
    rows = [
        [
            plain(point.name.replace("_", " ")),
            f"{point.criterion} {point.goal:.0%}{'' if point.reached else ' (**not reached**)'}",
            number(point.threshold, 4),
            *map(estimate, (point.sensitivity, point.specificity, point.ppv, point.npv)),
        ]
        for point in facts.operating_points
    ]
    return [
        "Each threshold was chosen on validation for what is asked of it there, then frozen with the "
        "model; the figures are what it does on test. Predictive values hold at the test split's "
        "prevalence alone.",
        table(
            ["Point", "Asked for", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV"],
            rows,
            numbers=5,
        ),
    ]


def _calibration(facts: CardFacts) -> str | None:
    fit = facts.calibration
    if fit is None:
        return None
    warning = (
        ""
        if fit.identified
        else (" **Validation could not tell its parameters: the probabilities mean little.**")
    )
    return f"Method: {plain(fit.method)}, fitted on validation alone.{warning}\n\n" + table(
        ["Test", "Before", "After"],
        [
            ["Calibration error (ECE)", estimate(fit.ece_before), estimate(fit.ece_after)],
            ["Brier score (0 to 2)", estimate(fit.brier_before), estimate(fit.brier_after)],
        ],
        numbers=2,
    )


def _cannot_assess(facts: CardFacts) -> list[str | None]:
    gate = facts.cannot_assess
    if gate is None:
        return [None]
    limits = [
        [code(name), number(limit.low, 2) if limit.low is not None else "none",
         number(limit.high, 2) if limit.high is not None else "none"]
        for name, limit in gate.quality.items()
    ]  # fmt: skip
    unlike = (
        "No score of unlikeness could be set."
        if gate.ood_score is None
        else (
            f"A picture too unlike the training pictures gets none either: {code(gate.ood_score)} above "
            f"{number(gate.ood_threshold)}, frozen on validation."
        )
    )
    foreign = [[plain(name), estimate(figure)] for name, figure in gate.foreign_refused.items()]
    return [
        f"A picture outside these limits gets no answer. {unlike}",
        table(["Measure", "Lowest", "Highest"], limits, numbers=2) if limits else
        "No limits on picture quality were set.",
        f"Of the test images {estimate(gate.accepted_share)} get an answer, and the accuracy on "
        f"those is {estimate(gate.accepted_accuracy)}.",
        table(["Pictures from outside", "Share refused"], foreign, numbers=1) if foreign else
        "Pictures from outside: not measured in this run.",
        "These limits lower the chance of an answer to a picture that is out of scope; they do not "
        "remove it.",
    ]  # fmt: skip


def _sets(facts: CardFacts) -> list[str | None]:
    sets = facts.prediction_sets
    if sets is None:
        return [None]
    rows = [[class_name(label), estimate(c)] for label, c in sets.class_coverage.items()]
    always = (
        ""
        if not sets.unsupported
        else (
            "Validation was too small to promise anything for "
            f"{', '.join(map(plain, sets.unsupported))}: these are in every set."
        )
    )
    return [
        f"Class-conditional conformal sets, made to hold the truth for {sets.promised:.0%} of each "
        f"class. On test they hold it for {estimate(sets.coverage)} of all images, with "
        f"{sets.mean_size:.2f} classes in a set on average.",
        table(["Class", "Coverage"], rows, numbers=1) if rows else None,
        always,
        "**The promise does not survive a shift of distribution:** with other cameras, other clinics "
        "or other patients the coverage may be lower, and nothing in the set shows it.",
    ]


def _subgroups(facts: CardFacts) -> list[str | None]:
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
            ["Subgroup", "Images (lesions)", *map(plain, titles)],
            rows,
            numbers=1 + len(titles),
        ),
        "Indicative: too few lesions for more than a hint.",
        skin,
    ]  # fmt: skip


def _robustness(facts: CardFacts) -> list[str | None]:
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
                    estimate(row.clean),
                    estimate(row.disturbed),
                    estimate(row.changed_answers),
                ]
                for row in facts.robustness
            ],
            numbers=3,
        ),
    ]


def _explanations(facts: CardFacts) -> list[str | None]:
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
                [plain(row.name), estimate(row.figure), plain(row.meaning)]
                for row in facts.explanations
            ],
        ),
    ]


def _gates(facts: CardFacts) -> str:
    if facts.gate is None:
        return "Not judged in this run."
    verdict, *lines = facts.gate.to_lines()
    worn = (
        "Every version is judged on the same test split, so the more versions are judged, the more "
        "its figures flatter those that pass."
    )
    return f"**{plain(verdict)}**\n\n{bullets(map(plain, lines))}\n\n{worn}"


def _or_too_few(figure: Estimate | None) -> str:
    return "too few" if figure is None else estimate(figure)
