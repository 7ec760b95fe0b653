"""Answers about how the diagnoses were made, shared by all reporting guides."""

from skin_lesion.evaluation.cards.answers import Answer, of_patients, sheet
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.labels import LABELS


def labelling(facts: CardFacts) -> Answer:
    """How the reference standard came about."""
    share = facts.data.histology_share
    part = "" if share is None else f" ({share:.1%} of the images)"
    return of_patients(
        facts,
        Answer(
            "reported",
            f"Histopathology{part}, follow-up, expert consensus or confocal microscopy, by the "
            "authors of the data set.",
            sheet("How the diagnoses were made"),
        ),
    )


def annotators(facts: CardFacts) -> Answer:
    """Who made the diagnoses."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "The authors of the data set and their pathologists, as published; numbers and "
            "experience are not repeated here.",
            sheet("How the diagnoses were made"),
        ),
    )


def label_rationale(facts: CardFacts) -> Answer:
    """Why this reference standard."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Histopathology is the accepted standard where a lesion was excised; benign lesions that "
            "were not excised have weaker labels.",
            sheet("How the diagnoses were made"),
        ),
    )


def test_labels(facts: CardFacts) -> Answer:
    """How the test set was annotated."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "As the rest of the data set; nobody read the test pictures a second time.",
            sheet("How the diagnoses were made"),
        ),
    )


def rater_variability(facts: CardFacts) -> Answer:
    """Agreement between readers."""
    return of_patients(
        facts, Answer("not reported", "Agreement between readers is not part of the data set.")
    )


def common_labels(facts: CardFacts) -> Answer:
    """Whether the classes are those in use."""
    return Answer(
        "reported",
        f"The seven classes of HAM10000 by their published codes: {', '.join(LABELS)}; several "
        "stand for more than one diagnosis.",
        sheet("Composition"),
    )


def histopathology(facts: CardFacts) -> Answer:
    """Whether malignant diagnoses are confirmed."""
    share = facts.data.malignant_histology_share
    if share is None:
        known = Answer("not reported", "The table does not say how diagnoses were confirmed.")
    else:
        known = Answer(
            "reported" if share == 1.0 else "partly",
            f"{share:.1%} of the images of malignant classes are confirmed by histopathology, as "
            "published; slides were not read again.",
            sheet("How the diagnoses were made"),
        )
    return of_patients(facts, known)
