"""The model card (Mitchell et al., "Model Cards for Model Reporting", FAT* 2019)."""

from skin_lesion.data.split_table import SPLITS
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.model_card_results import results
from skin_lesion.evaluation.cards.places import Evidence, Places
from skin_lesion.evaluation.cards.writing import (
    banner,
    bullets,
    class_name,
    code,
    document,
    plain,
    section,
    table,
    to_html,
)
from skin_lesion.evaluation.wording import counted
from skin_lesion.labels import LABELS, MALIGNANT

LICENCE_TEXT = {
    "CC-BY-NC-4.0": (
        "**Non-commercial use only.** The pictures are under CC BY-NC 4.0, and every model trained "
        "on them is treated as bound by the same terms; whoever shares either names the authors of "
        "the data set."
    ),
    "unknown": (
        "Clear it with whoever provided the pictures before a model trained on them leaves your "
        "hands."
    ),
}
_OUT_OF_SCOPE = (
    "lesions without pigment, and lesions under nails, on the eye or on mucosa: none was in the "
    "training pictures",
    "clinical photographs, phone pictures, and anything taken without a dermatoscope",
    "any diagnosis other than the seven classes, such as invasive squamous cell carcinoma, Merkel cell "
    "carcinoma or inflammatory disease: the model has no answer for them and gives one of its "
    "seven all the same, unless the limits under “Cannot assess” stop it",
    "pictures of whole body regions, of several lesions, or of histological slides",
    "deciding alone: triage, screening of people without symptoms, or advice to patients",
)
_ETHICS = (
    "A melanoma that is called benign can cost a life; a naevus that is called malignant costs a "
    "scar and a fright. The operating points show both sides; no single threshold is right for all.",
    "People tend to follow a machine's answer even where it is wrong (automation bias). Whoever shows "
    "an answer owes the whole differential, never the top class alone, and confidence kept apart "
    "from danger: high confidence does not exclude melanoma.",
    "Skin tones that are rare in the training pictures are likely to be served worse, and these data "
    "cannot show by how much.",
    "No age, sex, body site or way of confirming the diagnosis is an input: pixels alone are.",
)


def model_card(facts: CardFacts, places: Places) -> str:
    """The card in Markdown.

    Args:
        facts: The model.
        places: The other documents, as they lie around this one.
    """
    return document(
        f"Model card: {plain(facts.identity.name)}",
        [
            banner(facts.data.synthetic),
            places.see_also("data_sheet", "report", "gates", "checklists"),
            section("Model", _model(facts)),
            section("Intended use", _intended(facts)),
            section("Out of scope", "Not for:", bullets(_OUT_OF_SCOPE)),
            section("Data and licence", *_data(facts, places)),
            section("Splits", *_splits(facts)),
            section("Training", _training(facts)),
            *results(facts, places),
            section("Limits", bullets(_limits(facts))),
            section("Ethics", bullets(_ETHICS)),
            section("Change record", _changes(facts)),
            section("Citation", plain(facts.data.citation)),
        ],
    )


def model_card_html(facts: CardFacts, places: Places) -> str:
    """The card as one page."""
    return to_html(model_card(facts, places))


def _model(facts: CardFacts) -> str:
    identity, model = facts.identity, facts.model
    version = "not registered yet" if identity.version is None else str(identity.version)
    cut = f", cut at {plain(model.feature_layer)}" if model.feature_layer else ""
    rows = [
        ["Name", plain(identity.name)],
        ["Version", version],
        ["Evaluated", plain(identity.date)],
        ["Kind", "Convolutional neural network for images; seven classes, one label each"],
        ["Backbone", f"{plain(model.backbone)}{cut}"],
        *_ensemble(model.members),
        *([plain(name), plain(words)] for name, words in model.options.items()),
        ["Pretraining", plain(model.pretrained_on)],
        [
            "Input",
            f"RGB picture, {model.input_height} × {model.input_width} pixels (height × width), "
            f"resize mode {plain(model.resize_mode)}",
        ],
        ["Output", "A calibrated probability for each class; they sum to 1"],
        ["Classes", ", ".join(f"{class_name(label)}{_star(label)}" for label in LABELS)],
        ["Bundle as trained", f"{code(identity.trained_hash)}: weights alone, which were measured"],
        [
            "Bundle with decisions",
            f"{code(identity.bundle_hash)}: the same weights with calibration, thresholds and limits, "
            "which is registered and served",
        ],
        ["Data", code(identity.data_fingerprint)],
        ["Split", code(identity.split_hash)],
        ["Code", code(identity.code_version)],
        ["MLflow run", code(identity.run_id) if identity.run_id else "not tracked"],
    ]
    return table(["", ""], [[f"**{name}**", value] for name, value in rows]) + (
        "\n\n\\* counted as malignant; their probabilities are summed to the malignant probability."
    )


def _star(label: str) -> str:
    return "\\*" if label in MALIGNANT else ""


def _intended(facts: CardFacts) -> str:
    if facts.data.synthetic:
        return (
            "To show and test the pipeline. The model has seen drawn pictures alone and must not be "
            "used on pictures of skin."
        )
    return (
        "Research and teaching on the automated classification of dermatoscopic pictures of single "
        "pigmented skin lesions, by people who can judge such a picture themselves. It gives a "
        "differential over seven classes and a summed malignant probability beside it. A study of "
        "it in a clinic needs its own approval, validation on that clinic's pictures, and a "
        "clinician who decides."
    )


def _data(facts: CardFacts, places: Places) -> list[str]:
    data = facts.data
    total = sum(row.images for row in facts.splits)
    lesions = sum(row.lesions for row in facts.splits)
    what = {
        "ham10000": (
            "dermatoscopic pictures of pigmented lesions from two sites: the Department of "
            "Dermatology of the Medical University of Vienna, Austria, and a skin cancer practice in "
            "Queensland, Australia."
        ),
        "synthetic": "pictures drawn by a program. No picture shows a patient.",
        "unknown": "pictures of unknown origin; whoever provided them can say what they are.",
    }[data.kind]
    licence = LICENCE_TEXT.get(data.licence, "")
    return [
        f"**{plain(data.name)}**: {total:,} images of {lesions:,} lesion ids, {what} "
        f"{counted(data.quarantined, 'image')} put aside.",
        f"Licence of the pictures: {plain(data.licence)}. {licence}".rstrip(),
        f"More is in: {places.refer(Evidence(place='data_sheet'))}.",
    ]


def _splits(facts: CardFacts) -> list[str]:
    rows = []
    for label in LABELS:
        cells = [f"{row.images:,} ({row.lesions:,})" for row in facts.splits if row.label == label]
        rows.append([class_name(label), *cells])
    totals = [f"**{facts.images(name):,} ({facts.lesions(name):,})**" for name in SPLITS]
    groups = [f"**{facts.groups(name):,}**" for name in SPLITS]
    return [
        "Whole lesion groups were shared out: a group is one lesion id, or several whose pictures are "
        "nearly identical. Where figures are given per lesion, groups are meant. Training pictures "
        "taught the weights; validation chose the epoch and everything that was frozen; nothing in "
        "the model was chosen on test.",
        table(
            ["Class: images (lesion ids)", "Train", "Validation", "Test"],
            [*rows, ["**All**", *totals], ["**Lesion groups**", *groups]],
            numbers=3,
        ),
        _leaks(facts),
    ]


def _leaks(facts: CardFacts) -> str:
    if facts.leaks is None:
        return "Leaks between the splits: not measured in this run."
    leaks = facts.leaks
    return (
        f"Checked on the finished split: {leaks.groups_crossing} lesion groups, "
        f"{leaks.lesions_crossing} lesion ids and {leaks.duplicates_crossing} confirmed duplicate pairs "
        f"cross from one split to another; {counted(leaks.merged_pairs, 'duplicate pair')} across "
        "lesion ids merged into one group."
    )


def _ensemble(members: int) -> list[list[str]]:
    if members == 1:
        return []
    return [
        [
            "Ensemble",
            f"Average of the logits of {members} networks of this backbone, each of which learnt from "
            "all folds of the training lesions but one; served and explained as one network",
        ]
    ]


def _training(facts: CardFacts) -> str | None:
    training = facts.training
    if training is None:
        return None
    return bullets(
        [
            f"{counted(training.epochs, 'epoch')}; {training.choice}",
            f"{counted(round(training.minutes), 'minute')} on {plain(training.hardware)}",
            f"Unequal classes: {plain(training.imbalance)}",
            f"Augmentation: {plain(training.augmentation)}",
            f"Seed {training.seed}"
            + (", and from it one for each network" if training.epochs_kept else "")
            + "; one run, so the spread over seeds is unknown",
        ]
    )


def _limits(facts: CardFacts) -> list[str]:
    data, model = facts.data, facts.model
    pixels = (
        f"The model sees {model.input_height} × {model.input_width} pixels: structures finer than that "
        f"are lost. It learnt from pictures of {data.source_size}."
    )
    outside = "There was no external test: how it does at other sites is unknown."
    if data.kind == "synthetic":
        return ["The pictures are drawn; nothing here carries over to skin.", pixels]
    if data.kind == "unknown":
        return [
            "The origin of the pictures is unknown, and so is whom they stand for.",
            pixels,
            outside,
        ]
    return [
        "One data set from two sites, Vienna and Queensland, mostly of fair-skinned people.",
        "No label for skin tone: how it does on darker skin cannot be measured with these data.",
        _histology(data.histology_share),
        "Lesions without pigment and those under nails, on the eye or on mucosa were left out when "
        "the data were collected.",
        "Malignant lesions are far more common here than among the people who see a doctor about "
        "a mole: predictive values must be worked out anew for another prevalence.",
        pixels,
        outside,
    ]


def _histology(share: float | None) -> str:
    how = "about half of the diagnoses" if share is None else f"{share:.1%} of the images"
    return (
        f"Histopathology confirms only {how}; the other diagnoses rest on "
        "follow-up, expert consensus or confocal microscopy, so some labels are wrong."
    )


def _changes(facts: CardFacts) -> str:
    if not facts.changes:
        return (
            "Nothing had been recorded when this card was written, which is when the version was "
            "registered. What happened to it since is in the registry: `skin-lesion status` tells."
        )
    return table(
        ["Date", "Version", "Change", "By"],
        [[plain(c.date), plain(c.version), plain(c.change), plain(c.by)] for c in facts.changes],
    )
