"""Answers about what was measured, shared by all reporting guides."""

from skin_lesion.evaluation.cards.answers import (
    Answer,
    card,
    not_measured,
    readme,
    report,
)
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.wording import OUTLIER_NAMES, asked_for, counted, named, with_interval

_HEADLINE = {
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "melanoma_auc": "melanoma AUC",
}


def metrics(facts: CardFacts) -> Answer:
    """Which measures."""
    return Answer(
        "reported",
        "Balanced accuracy and macro F1 first, for the classes are unequal; AUC, sensitivity and "
        "specificity at frozen thresholds, calibration.",
        card("Performance"),
    )


def performance(facts: CardFacts) -> Answer:
    """Overall figures."""
    known = [
        f"{title} {with_interval(facts.test[name])}"
        for name, title in _HEADLINE.items()
        if facts.test is not None and name in facts.test
    ]
    if not known:
        return not_measured("Performance on the test split", "Performance")
    return Answer("reported", f"Test: {', '.join(known)}.", card("Performance"))


def uncertainty(facts: CardFacts) -> Answer:
    """Intervals."""
    if not facts.test or all(figure.ci_low is None for figure in facts.test.values()):
        return not_measured("Intervals", "Performance")
    return Answer(
        "partly",
        "95 % intervals from a bootstrap over lesions; the spread over repeated training is unknown.",
        card("Performance"),
    )


def operating_points(facts: CardFacts) -> Answer:
    """Sensitivity and specificity at thresholds."""
    if not facts.operating_points:
        return not_measured("Operating points", "Operating points")
    first = facts.operating_points[0]
    return Answer(
        "reported",
        f"Thresholds frozen on validation: {len(facts.operating_points)}; for "
        f"{asked_for(first.target, first.criterion, first.goal)} the "
        f"sensitivity {with_interval(first.sensitivity)}, specificity {with_interval(first.specificity)}.",
        card("Operating points"),
    )


def out_of_distribution(facts: CardFacts) -> Answer:
    """Pictures unlike those of training."""
    gate = facts.cannot_assess
    if gate is None:
        return not_measured("Pictures out of distribution", "Cannot assess")
    if not gate.foreign_refused:
        return Answer(
            "partly",
            "There are limits on what gets an answer; foreign pictures were not measured in this run.",
            card("Cannot assess"),
        )
    worst = min(gate.foreign_refused, key=lambda kind: gate.foreign_refused[kind].value or 0.0)
    return Answer(
        "reported",
        f"Kinds of foreign pictures shown: {len(gate.foreign_refused)}; least often refused: "
        f"{named(OUTLIER_NAMES, worst).lower()}, "
        f"{with_interval(gate.foreign_refused[worst])}.",
        card("Cannot assess"),
    )


def bad_input(facts: CardFacts) -> Answer:
    """Poor pictures in use."""
    if facts.cannot_assess is None:
        return not_measured("Handling of poor pictures", "Cannot assess")
    return Answer(
        "reported",
        f"Limits on picture quality: {len(facts.cannot_assess.quality)}; outside them there is no "
        f"answer. Answered on test: {with_interval(facts.cannot_assess.accepted_share)}.",
        card("Cannot assess"),
    )


def robustness(facts: CardFacts) -> Answer:
    """Disturbed pictures."""
    if not facts.robustness:
        return not_measured("Robustness", "Robustness")
    fall = max(
        facts.robustness, key=lambda row: (row.clean.value or 0) - (row.disturbed.value or 0)
    )
    return Answer(
        "reported",
        f"Disturbances tried: {len(facts.robustness)}; worst: {fall.disturbance}, {fall.figure} from "
        f"{with_interval(fall.clean)} to {with_interval(fall.disturbed)}.",
        card("Robustness"),
    )


def explanations(facts: CardFacts) -> Answer:
    """Heat-maps."""
    if not facts.explanations:
        return not_measured("Soundness of the heat-maps", "Explanations")
    return Answer(
        "reported",
        f"Heat-maps; sanity checks of them: {len(facts.explanations)}. They are no evidence of a "
        "right answer.",
        card("Explanations"),
    )


def failures(facts: CardFacts) -> Answer:
    """Wrong answers."""
    if facts.failures_shown is None:
        return Answer("not reported", "Wrong answers were not looked at in this run.", None)
    return Answer(
        "partly",
        f"{counted(facts.failures_shown, 'wrong answer')} shown as pictures, the surest of each class; "
        "no dermatologist has judged them.",
        report("Gallery"),
    )


def bias(facts: CardFacts) -> Answer:
    """Subgroups."""
    if not facts.subgroups:
        return not_measured("Subgroups", "Subgroups")
    kinds = ", ".join(dict.fromkeys(row.attribute for row in facts.subgroups))
    return Answer(
        "partly", f"Measured by {kinds}; not by skin tone, which has no label.", card("Subgroups")
    )


def fairness(facts: CardFacts) -> Answer:
    """Methods against unfairness."""
    return Answer(
        "partly",
        "No method to even out subgroups was used; the gates refuse a model whose worst subgroup is "
        "too poor, and skin tone cannot be checked.",
        card("Gates"),
    )


def benchmarking(facts: CardFacts) -> Answer:
    """Beside others."""
    return Answer(
        "partly",
        "Set beside published figures and plain baselines, with the differences between the tests "
        "said; never beside dermatologists on the same pictures.",
        readme("Results"),
    )


def interpretation(facts: CardFacts) -> Answer:
    """What the figures mean."""
    if facts.gate is None:
        return Answer("partly", "Limits are discussed; no gate was judged.", card("Limits"))
    verdict = "passed" if facts.gate.passed else "failed"
    names = ", ".join(check.name for check in facts.gate.failed)
    return Answer(
        "partly",
        f"The gates {verdict}{f' ({names})' if names else ''}; the figures are not interpreted for "
        "a clinic.",
        card("Gates"),
    )
