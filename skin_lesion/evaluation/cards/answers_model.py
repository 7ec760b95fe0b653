"""Answers about the model and how it does, shared by all reporting guides."""

from skin_lesion.data.split_table import SPLITS
from skin_lesion.evaluation.cards.answers import (
    Answer,
    card,
    not_measured,
    readme,
)
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.places import Evidence
from skin_lesion.evaluation.cards.sections import CalibrationFacts
from skin_lesion.evaluation.wording import METHOD_NAMES, counted, with_interval


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
        f"{counted(training.epochs, 'epoch')}, seed {training.seed}, "
        f"{counted(round(training.minutes), 'minute')}; code "
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
        f"Of {counted(facts.training.epochs, 'epoch')}, {facts.training.choice}.",
        card("Training"),
    )


def ensembling(facts: CardFacts) -> Answer:
    """Several models together."""
    members = facts.model.members
    if members == 1:
        return Answer("not applicable", "One network; no ensemble.", card("Model"))
    return Answer(
        "reported",
        f"The logits of {members} networks are averaged. Each learnt from all folds of the training "
        "lesions but one; validation and test are unseen by all of them.",
        card("Model"),
    )


def imbalance(facts: CardFacts) -> Answer:
    """Unequal classes: how unequal, what was done, and calibration afterwards."""
    if facts.training is None:
        return not_measured("How unequal classes were met", "Training")
    sizes = {row.label: row.images for row in facts.splits if row.split == "train"}
    most, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    return Answer(
        "reported",
        f"In training {most} has {sizes[most]:,} images and {least} {sizes[least]:,}. Met by: "
        f"{facts.training.imbalance}. {_recalibrated(facts.calibration)}",
        card("Training"),
    )


def _recalibrated(fit: CalibrationFacts | None) -> str:
    if fit is None:
        return "The probabilities were not calibrated afterwards."
    if fit.method == "none":
        return (
            "Calibration was tried on validation afterwards, and the network's own probabilities were "
            f"kept: on test their calibration error is {with_interval(fit.ece_after)}."
        )
    return (
        "Since that shifts the probabilities, they were calibrated afterwards on validation, at its own "
        f"mix of classes, by {METHOD_NAMES[fit.method]}: on test the calibration error went from "
        f"{with_interval(fit.ece_before)} to {with_interval(fit.ece_after)}."
    )


def analysis(facts: CardFacts) -> Answer:
    """How the data were used, how the model was built, and how it was measured."""
    shares = " / ".join(f"{facts.images(name):,}" for name in SPLITS)
    training = facts.training
    built = (
        "how it was trained was not recorded"
        if training is None
        else f"{counted(training.epochs, 'epoch')}; {training.choice}"
    )
    frozen = [
        "" if facts.calibration is None else METHOD_NAMES[facts.calibration.method],
        "" if not facts.operating_points else counted(len(facts.operating_points), "threshold"),
        "" if facts.cannot_assess is None else "limits on what gets an answer",
    ]
    decided = ", ".join(part for part in frozen if part)
    return Answer(
        "partly",
        f"Training, validation and test {shares} images, whole lesion groups apart. A "
        f"{facts.model.backbone}: {built}. "
        + (f"On validation, cross-fitted over lesions: {decided}. " if decided else "")
        + (
            ""
            if facts.test is None
            else "On test, which decides nothing: discrimination, calibration and "
            "net benefit, with intervals from a bootstrap over lesion groups. "
        )
        + "No search over settings is part of the run, and differences between clinics cannot be looked "
        "at, since no picture says where it is from.",
        card("Training"),
    )


def specification(facts: CardFacts) -> Answer:
    """The whole model, such that others can run it."""
    identity, model = facts.identity, facts.model
    if identity.version is None:
        return Answer("partly", "The model is described, but not registered yet.", card("Model"))
    return Answer(
        "reported",
        f"MLflow holds the whole model as version {identity.version} of {identity.name}: weights, "
        f"serving export, and a contract with input ({model.input_height} × {model.input_width} "
        f"pixels), calibration, thresholds and limits; bundle {identity.bundle_hash[:12]}…. Run by "
        f"mlflow.pyfunc.load_model('models:/{identity.name}/{identity.version}'). Who may have it is "
        f"bound by the licence of the pictures ({facts.data.licence}).",
        card("Model"),
    )


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
