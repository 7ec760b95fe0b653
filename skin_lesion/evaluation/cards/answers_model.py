"""Answers about the model and how it does, shared by all reporting guides."""

from skin_lesion.evaluation.cards.answers import (
    Answer,
    Evidence,
    card,
    not_measured,
    readme,
)
from skin_lesion.evaluation.cards.facts import CardFacts


def identification(facts: CardFacts) -> Answer:
    """That it is a study of machine learning."""
    return Answer(
        "reported",
        f"A convolutional neural network ({facts.model.backbone}) for diagnosis from pictures.",
        card("Model"),
    )


def summary(facts: CardFacts) -> Answer:
    """Abstract."""
    return Answer("partly", "The model card sums it up; there is no structured abstract.", card(""))


def background(facts: CardFacts) -> Answer:
    """Background and intended role."""
    return Answer(
        "partly",
        "Intended use and users are stated; the state of research only as figures to stand beside.",
        card("Intended use"),
    )


def objectives(facts: CardFacts) -> Answer:
    """Objectives and hypotheses."""
    return Answer(
        "partly",
        "To build a calibrated classifier of seven classes and measure it honestly; no hypothesis "
        "was stated beforehand.",
        card("Intended use"),
    )


def goal(facts: CardFacts) -> Answer:
    """Goal of the study."""
    return Answer("reported", "Making a model, with an internal test.", card("Performance"))


def development(facts: CardFacts) -> Answer:
    """How the model was made."""
    training = facts.training
    if training is None:
        return Answer(
            "partly", "The network is described; its training was not recorded.", card("Model")
        )
    return Answer(
        "reported",
        f"{training.epochs} epochs, seed {training.seed}, {training.minutes:.0f} minutes; code "
        f"{facts.identity.code_version}.",
        card("Training"),
    )


def architecture(facts: CardFacts) -> Answer:
    """The network."""
    return Answer(
        "reported",
        f"{facts.model.backbone}, global pooling and one dense layer for seven classes; "
        f"{facts.model.input_height} × {facts.model.input_width} pixels in, probabilities out.",
        card("Model"),
    )


def software(facts: CardFacts) -> Answer:
    """Libraries."""
    return Answer(
        "reported",
        f"Every library is locked by version and checksum; code {facts.identity.code_version}.",
        readme("Working with it"),
    )


def initialisation(facts: CardFacts) -> Answer:
    """Where the weights start."""
    start = facts.model.pretrained_on
    if start.startswith("sha256:"):
        start = f"weights of a file, SHA-256 {start.removeprefix('sha256:')[:12]}…"
    return Answer("reported", f"Pretrained on: {start}.", card("Model"))


def selection(facts: CardFacts) -> Answer:
    """How the final model was chosen."""
    if facts.training is None:
        return not_measured("Which epoch was kept", "Training")
    return Answer(
        "reported",
        f"Weights after epoch {facts.training.epoch_kept} of {facts.training.epochs}, chosen on "
        "validation.",
        card("Training"),
    )


def ensembling(facts: CardFacts) -> Answer:
    """Several models together."""
    return Answer("not applicable", "One network; no ensemble.", card("Model"))


def imbalance(facts: CardFacts) -> Answer:
    """Unequal classes, and calibration afterwards."""
    if facts.training is None:
        return not_measured("How unequal classes were met", "Training")
    after = "not calibrated" if facts.calibration is None else f"then {facts.calibration.method}"
    return Answer("reported", f"{facts.training.imbalance}; {after}.", card("Training"))


def predictors(facts: CardFacts) -> Answer:
    """What goes in."""
    return Answer("reported", "The pixels of one picture and nothing else.", card("Ethics"))


def public_evaluation(facts: CardFacts) -> Answer:
    """How others can test it."""
    return Answer(
        "partly",
        "Whoever has the registered model can run it on pictures of their own; there is no public "
        "service, and sharing is bound by the licence of the pictures.",
        readme("Working with it"),
    )


def use_cases(facts: CardFacts) -> Answer:
    """What for."""
    return Answer(
        "reported",
        "Seven classes of pigmented lesions in dermatoscopic pictures; research only.",
        card("Intended use"),
    )


def impact(facts: CardFacts) -> Answer:
    """What it may do to patients and teams."""
    return Answer(
        "partly",
        "Harm of both kinds of mistake and automation bias are named; no study with users was done.",
        card("Ethics"),
    )


def limitations(facts: CardFacts) -> Answer:
    """Limits."""
    return Answer(
        "reported", "Sites, skin tone, labels, resolution, no external test.", card("Limits")
    )


def protocol(facts: CardFacts) -> Answer:
    """Study protocol."""
    return Answer(
        "partly",
        "No protocol was written; the code and its documentation tell how.",
        readme("The pipeline"),
    )


def registration(facts: CardFacts) -> Answer:
    """Trial registration."""
    return Answer("not applicable", "No clinical trial.")


def funding(facts: CardFacts) -> Answer:
    """Money."""
    return Answer("not reported", "Funding and conflicts of interest are not stated.")


def open_science(facts: CardFacts) -> Answer:
    """Funding, protocol, registration, data, code."""
    return Answer(
        "partly",
        "Code and the source of the data are public; no protocol, no registration, funding not stated.",
        Evidence(place="data_notice"),
    )


def involvement(facts: CardFacts) -> Answer:
    """Patients and public."""
    return Answer("reported", "None: no patient and no member of the public took part.")


def same_source(facts: CardFacts) -> Answer:
    """Differences between training and test."""
    return Answer(
        "reported",
        "None but chance: both are random shares of lesions of one data set.",
        card("Splits"),
    )


def updating(facts: CardFacts) -> Answer:
    """Changes after the test."""
    return Answer(
        "not applicable",
        "Nothing is changed after the test; calibration and thresholds come from validation.",
        card("Calibration"),
    )
