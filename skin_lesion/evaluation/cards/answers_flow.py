"""Answers about which images were taken and who is in them, shared by all reporting guides."""

from collections.abc import Iterable

from skin_lesion.data.split_table import SPLITS
from skin_lesion.evaluation.cards.answers import Answer, Status, of_patients, sheet
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.facts_data import HAM10000_IMAGES
from skin_lesion.evaluation.wording import counted

_REGION: dict[str, str] = {
    "stretch": "The whole picture is used, and no region is marked.",
    "pad": "The whole picture is used, and no region is marked.",
    "crop": "The largest centred region of the input's shape is used, and none is marked.",
}
_SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def subsets(facts: CardFacts) -> Answer:
    """Which part of the data, and which part of a picture, was used."""
    found, region = facts.data.found, _REGION[facts.model.resize_mode]
    if facts.data.kind != "ham10000":
        return Answer(
            "reported",
            f"{counted(found, 'image')}; whether whole lesions were drawn by lot from more is said by "
            f"the configuration in the MLflow run. {region}",
            sheet("Composition"),
        )
    if found == HAM10000_IMAGES:
        return Answer(
            "reported", f"All {found:,} images that HAM10000 has. {region}", sheet("Composition")
        )
    return Answer(
        "partly",
        f"{found:,} of the {HAM10000_IMAGES:,} images that HAM10000 has: fewer were supplied, or whole "
        f"lesions were drawn by lot; the configuration in the MLflow run says which. {region}",
        sheet("Composition"),
    )


def flow(facts: CardFacts) -> Answer:
    """Numbers from what was found to what was used."""
    return Answer("reported", _flow(facts), sheet("Put aside"))


def participants(facts: CardFacts) -> Answer:
    """Numbers, outcomes and characteristics, and how the splits differ in them."""
    text = f"{_flow(facts)} {_differences(facts)}"
    if facts.data.synthetic:
        return Answer("not applicable", f"No person is behind the pictures. {text}", _WHERE)
    status: Status = "partly"
    return Answer(
        status, f"{text} Persons cannot be counted: the data name none, nor any dates.", _WHERE
    )


def characteristics(facts: CardFacts) -> Answer:
    """Facts about the patients in each split."""
    return of_patients(
        facts,
        Answer(
            "partly",
            f"{_differences(facts)} Body site is given for the whole data set; ethnicity and skin tone "
            "are not known.",
            _WHERE,
        ),
    )


_WHERE = sheet("Who is in each split")


def _flow(facts: CardFacts) -> str:
    reasons = ", ".join(f"{reason}: {n:,}" for reason, n in facts.data.put_aside.items())
    used = "; ".join(
        f"{_SPLIT_NAMES[name]} {counted(facts.images(name), 'image')} of "
        f"{counted(facts.lesions(name), 'lesion id')} ({counted(facts.groups(name), 'lesion group')})"
        for name in SPLITS
    )
    return (
        f"Found {counted(facts.data.found, 'image')}, put aside {facts.data.quarantined:,}"
        f"{f' ({reasons})' if reasons else ''}, used {sum(map(facts.images, SPLITS)):,}: {used}."
    )


def _differences(facts: CardFacts) -> str:
    """How the splits compare, in the order of the splits."""
    rows = facts.people
    parts = [f"malignant {_each(f'{row.malignant:.0%}' for row in rows)} of the images"]
    ages = [f"{row.age[0]:.0f}" for row in rows if row.age is not None]
    if len(ages) == len(rows):
        parts.append(f"median age {_each(ages)} years")
    women = [f"{row.female:.0%}" for row in rows if row.female is not None]
    if len(women) == len(rows):
        parts.append(f"women {_each(women)} where the sex is known")
    return f"In training, validation and test: {'; '.join(parts)}."


def _each(values: Iterable[str]) -> str:
    return " / ".join(values).replace("%", " %")
