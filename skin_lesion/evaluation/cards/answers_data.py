"""Answers about the data, shared by all reporting guides."""

from skin_lesion.data.split_table import SPLITS
from skin_lesion.evaluation.cards.answers import Answer, Status, card, of_patients, sheet
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.places import Evidence
from skin_lesion.labels import LABELS


def image_types(facts: CardFacts) -> Answer:
    """What kind of picture."""
    text = {
        "ham10000": "Dermatoscopic pictures of single pigmented lesions.",
        "synthetic": "Drawn pictures in the manner of dermatoscopy; none shows skin.",
        "unknown": "Taken to be dermatoscopic; nothing in the data set proves it.",
    }[facts.data.kind]
    status: Status = "partly" if facts.data.kind == "unknown" else "reported"
    return Answer(status, text, card("Data and licence"))


def artefacts(facts: CardFacts) -> Answer:
    """Hair, rulers, ink."""
    effect = (
        "their effect was not measured in this run"
        if facts.robustness is None
        else f"disturbances put on by program and measured: {len(facts.robustness)}"
    )
    where = sheet("Preprocessing") if facts.robustness is None else card("Robustness")
    return Answer(
        "partly",
        "Hair, rulers, gel bubbles and ink are left in the pictures, and no label tells which "
        f"pictures have them; {effect}.",
        where,
    )


def acquisition(facts: CardFacts) -> Answer:
    """Devices and technique."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Two sites, among the sources digitised slides and digital dermatoscopy; the device "
            "and settings of a picture are not recorded.",
            sheet("Collection"),
        ),
    )


def preprocessing(facts: CardFacts) -> Answer:
    """What is done to a picture before the network."""
    return Answer(
        "reported",
        f"Oriented, converted to RGB, brought to {facts.model.input_height} × "
        f"{facts.model.input_width} pixels (height × width, {facts.model.resize_mode}), in "
        "training and serving alike.",
        sheet("Preprocessing"),
    )


def synthetic_pictures(facts: CardFacts) -> Answer:
    """Whether drawn pictures were used, and whether they can be had."""
    if facts.data.synthetic:
        return Answer(
            "reported",
            "Every picture is drawn; the program that draws them is part of the code and gives the "
            "same ones for the same seed.",
            sheet("Collection"),
        )
    return Answer("not applicable", "No drawn picture was used.", card("Data and licence"))


def referenced(facts: CardFacts) -> Answer:
    """Whether public pictures are cited."""
    return of_patients(facts, Answer("reported", facts.data.citation, card("Citation")))


def metadata(facts: CardFacts) -> Answer:
    """Facts about the patients."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Age, sex and body site of each image are summed up; patient ids, history and skin type "
            "do not exist in the data.",
            sheet("Who is in it"),
        ),
    )


def skin_tone(facts: CardFacts) -> Answer:
    """Skin colour."""
    return of_patients(
        facts,
        Answer(
            "not reported",
            "HAM10000 has no label for skin tone, so nothing can be said of darker skin.",
            card("Limits"),
        ),
    )


def metadata_bias(facts: CardFacts) -> Answer:
    """Bias by way of metadata."""
    return Answer(
        "reported",
        "Pixels are the only input; age, sex, site and the way of confirming the diagnosis "
        "(dx_type) never are.",
        sheet("How the diagnoses were made"),
    )


def partitions(facts: CardFacts) -> Answer:
    """How the splits were made."""
    if facts.leaks is None:
        return Answer(
            "partly",
            "By lesion group; whether anything leaks was not measured in this run.",
            card("Splits"),
        )
    leaks = facts.leaks
    return Answer(
        "reported",
        f"By lesion group, stratified by class; {leaks.lesions_crossing} lesion ids and "
        f"{leaks.duplicates_crossing} confirmed duplicate pairs in more than one split.",
        card("Splits"),
    )


def disjointness(facts: CardFacts) -> Answer:
    """Level at which the splits are apart."""
    return of_patients(
        facts,
        Answer(
            "reported",
            "Lesion groups, near-identical pictures included. Not patients: no patient id is "
            "published, so one patient's lesions may be in two splits.",
            card("Splits"),
        ),
    )


def sample_sizes(facts: CardFacts) -> Answer:
    """Size of each split."""
    sizes = ", ".join(
        f"{name} {facts.images(name):,} images of {facts.lesions(name):,} lesion ids"
        for name in SPLITS
    )
    return Answer("reported", f"Sizes: {sizes}.", card("Splits"))


def sample_size_reason(facts: CardFacts) -> Answer:
    """Why so many."""
    return Answer(
        "not reported",
        "No sample size was calculated; the data set is as large as it is. The intervals show what "
        f"{facts.images('test'):,} test images can tell.",
        card("Performance"),
    )


def external_test(facts: CardFacts) -> Answer:
    """Test at another site."""
    return Answer(
        "not reported",
        "There was no external test: training and test pictures are of the same source.",
        card("Limits"),
    )


def vendors(facts: CardFacts) -> Answer:
    """Devices of several makers."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Several devices at two sites; which picture is from which is not recorded, so there are "
            "no figures by device.",
            sheet("Collection"),
        ),
    )


def class_balance(facts: CardFacts) -> Answer:
    """Distribution of the classes."""
    counts = {
        label: sum(row.images for row in facts.splits if row.label == label) for label in LABELS
    }
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    total = max(sum(counts.values()), 1)
    spread = (
        f"All classes have {counts[most]:,} images."
        if counts[most] == counts[least]
        else f"From {most} with {counts[most]:,} images ({counts[most] / total:.1%}) to {least} with "
        f"{counts[least]:,} ({counts[least] / total:.1%})."
    )
    how = "" if facts.training is None else f" Met by: {facts.training.imbalance}."
    return Answer(
        "reported",
        f"{spread}{how}",
        card("Splits"),
    )


def inclusion(facts: CardFacts) -> Answer:
    """Who and what was included."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Pigmented lesions of seven classes from specialised care in Vienna and Queensland, "
            "without those under nails, on the eye or on mucosa; a convenience series, dates of "
            "single pictures unknown.",
            sheet("Collection"),
        ),
    )


def deidentification(facts: CardFacts) -> Answer:
    """Names and the like."""
    return of_patients(
        facts,
        Answer(
            "partly",
            "Published without names and patient ids; how that was done is not described here.",
            sheet("Collection"),
        ),
    )


def missing_data(facts: CardFacts) -> Answer:
    """What happens where something is missing."""
    return Answer(
        "reported",
        "Missing age, sex or body site counts as unknown and nothing is filled in, since none is an "
        "input; a picture that cannot be used is put aside.",
        sheet("Who is in it"),
    )


def ethics(facts: CardFacts) -> Answer:
    """Ethical approval."""
    return of_patients(
        facts,
        Answer(
            "reported",
            "Of the data, as published: Medical University of Vienna 1804/2017 and University of "
            "Queensland 2017001223. This work collected nothing.",
            sheet("Collection"),
        ),
    )


def retrospective(facts: CardFacts) -> Answer:
    """Design."""
    return of_patients(
        facts,
        Answer("reported", "Retrospective, on a published data set.", sheet("Collection")),
    )


def availability(facts: CardFacts) -> Answer:
    """Code, model, data."""
    return Answer(
        "reported",
        "Code under Apache-2.0; the model is bound by the licence of its pictures "
        f"({facts.data.licence}); the data are not part of the project.",
        Evidence(place="data_notice"),
    )
