"""The part of the model card that was measured."""

from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.model_card_limits import (
    cannot_assess,
    explanations,
    gates,
    robustness,
    subgroups,
)
from skin_lesion.evaluation.cards.places import Evidence, Places
from skin_lesion.evaluation.cards.writing import (
    class_name,
    plain,
    section,
    table,
)
from skin_lesion.evaluation.looks import told
from skin_lesion.evaluation.wording import (
    METHOD_NAMES,
    asked_for,
    counted,
    named,
    number,
    with_interval,
)

INTERVALS = (
    "Test split. In brackets: 95 % interval from a bootstrap over lesion groups. It speaks of the choice "
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


def results(facts: CardFacts, places: Places) -> list[str]:
    """One section for each kind of figure."""
    return [
        section("Performance", *_performance(facts, places)),
        section("Each class", _classes(facts)),
        section("Operating points", *_points(facts)),
        section("Calibration", _calibration(facts)),
        section("Confidence", *_confidence(facts)),
        section("Cannot assess", *cannot_assess(facts)),
        section("Prediction sets", *_sets(facts)),
        section("Subgroups", *subgroups(facts)),
        section("Robustness", *robustness(facts)),
        section("Explanations", *explanations(facts)),
        section("Gates", gates(facts)),
    ]


def _performance(facts: CardFacts, places: Places) -> list[str | None]:
    if facts.test is None:
        return [None]
    rows = [
        [_TEST_NAMES.get(name, plain(name)), with_interval(figure)]
        for name, figure in facts.test.items()
    ]
    shown = (
        ""
        if facts.failures_shown is None
        else f"{counted(facts.failures_shown, 'wrong answer')} shown as pictures: "
        f"{places.refer(Evidence(place='report', section='Gallery'))}."
    )
    return [
        f"{INTERVALS} {counted(facts.images('test'), 'image')} of "
        f"{counted(facts.lesions('test'), 'lesion id')} in "
        f"{counted(facts.groups('test'), 'lesion group')}. Figures are from 0 to 1 unless a unit is "
        "given.",
        table(["Figure", "Test"], rows, numbers=1),
        told(facts.looks),
        shown,
    ]


def _classes(facts: CardFacts) -> str | None:
    if facts.classes is None:
        return None
    return table(
        ["Class", "Images (lesion groups)", "Precision", "Recall", "F1", "AUC"],
        [
            [
                class_name(row.label),
                f"{row.images:,} ({row.lesions:,})",
                *map(with_interval, (row.precision, row.recall, row.f1, row.auc)),
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
            plain(asked_for(point.target, point.criterion, point.goal))
            + ("" if point.reached else " (**not reached**)"),
            number(point.threshold, 4),
            *map(with_interval, (point.sensitivity, point.specificity, point.ppv, point.npv)),
        ]
        for point in facts.operating_points
    ]
    return [
        "Each threshold was chosen on validation for what is asked of it there, then frozen with the "
        "model; the figures are what it does on test. Predictive values hold at the test split's "
        "prevalence alone. Thresholds are probabilities from 0 to 1, the other figures shares.",
        table(
            ["Asked for on validation", "Threshold", "Sensitivity", "Specificity", "PPV", "NPV"],
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
    return (
        f"Method: {plain(named(METHOD_NAMES, fit.method))}, chosen and fitted on validation alone.{warning}\n\n"
        + table(
            ["Test", "Before", "After"],
            [
                [
                    "Calibration error (ECE)",
                    with_interval(fit.ece_before),
                    with_interval(fit.ece_after),
                ],
                [
                    "Brier score (0 to 2)",
                    with_interval(fit.brier_before),
                    with_interval(fit.brier_after),
                ],
            ],
            numbers=2,
        )
    )


def _confidence(facts: CardFacts) -> list[str | None]:
    bands = facts.confidence
    if bands is None:
        return [None]
    rows = [
        [
            band.name,
            number(band.lowest, 2),
            f"{band.images:,}",
            with_interval(band.share),
            with_interval(band.accuracy),
            f"{band.melanomas:,}",
            with_interval(band.melanoma_missed) if band.melanomas else "–",
            with_interval(band.melanoma_called_benign) if band.melanomas else "–",
        ]
        for band in bands
    ]
    return [
        "How sure the model is, by the probability of its answer; the limits of the bands were set on "
        "validation. **It says nothing about danger:** a melanoma can be called benign with high "
        "confidence, and the last two columns say how often it is.",
        table(
            ["Band", "Probability from", "Images", "Share of images", "Accuracy", "Melanoma images",
             "Of these called something else", "Of these called benign"],
            rows,
            numbers=7,
        ),
    ]  # fmt: skip


def _what_made_them(members: int) -> str:
    if members == 1:
        return ""
    return (
        f"The {members} members learnt from different folds of the training lesions, and no answer to "
        "a fold has a say in the sets: their thresholds come from the averaged answers to the "
        "validation split alone, which no member has seen."
    )


def _sets(facts: CardFacts) -> list[str | None]:
    sets = facts.prediction_sets
    if sets is None:
        return [None]
    rows = [[class_name(label), with_interval(c)] for label, c in sets.class_coverage.items()]
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
        f"class. On test they hold it for {with_interval(sets.coverage)} of all images, with "
        f"{sets.mean_size:.2f} classes in a set on average.",
        _what_made_them(facts.model.members),
        table(["Class", "Coverage"], rows, numbers=1) if rows else None,
        always,
        "**The promise does not survive a shift of distribution:** with other cameras, other clinics "
        "or other patients the coverage may be lower, and nothing in the set shows it.",
    ]
