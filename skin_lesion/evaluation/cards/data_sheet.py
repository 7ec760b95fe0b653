"""The data sheet (Gebru et al., "Datasheets for Datasets", Commun. ACM 64(12), 2021)."""

from collections.abc import Callable, Mapping

import pandas as pd

from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SPLITS, SplitTable
from skin_lesion.evaluation.cards.facts_data import DataFacts, count_people, count_splits
from skin_lesion.evaluation.cards.model_card import LICENCE_TEXT
from skin_lesion.evaluation.cards.places import Places
from skin_lesion.evaluation.cards.sections import PeopleRow
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
from skin_lesion.labels import LABELS

_DX_TYPES = {
    "histo": "Histopathology of the excised lesion",
    "follow_up": "Naevus without change in follow-up with digital dermatoscopy",
    "consensus": "Consensus of experts on a typical benign lesion",
    "confocal": "Reflectance confocal microscopy in vivo",
}
_MOTIVATION = {
    "ham10000": (
        "Made by Philipp Tschandl, Cliff Rosendahl and Harald Kittler (Medical University of Vienna "
        "and University of Queensland), and released in 2018 so that classifiers of pigmented skin "
        "lesions could be trained and compared in the open: earlier collections were small and "
        "held little but melanomas and naevi."
    ),
    "synthetic": (
        "Drawn by this project, so that the whole pipeline runs and can be tested without pictures "
        "of patients."
    ),
    "unknown": "Not known: the ids are not those of HAM10000. Ask whoever provided the pictures.",
}
_COLLECTION = {
    "ham10000": (
        "Dermatoscopic pictures gathered over about twenty years at two sites: the Department of "
        "Dermatology of the Medical University of Vienna, Austria (among them digitised slides and "
        "pictures of digital dermatoscopy systems) and the skin cancer practice of Cliff Rosendahl in "
        "Queensland, Australia.",
        "A convenience collection from specialised care, not a consecutive series: malignant "
        "lesions are more common in it than in practice.",
        "Its authors centred the lesion by cropping, adjusted contrast and colour where needed, and "
        "left out lesions without pigment and those under nails, on the eye or on mucosa.",
        "Ethics, as published: Medical University of Vienna, protocol 1804/2017; University of "
        "Queensland, protocol 2017001223. Patients are not named; no patient id is published, so "
        "lesions of one patient cannot be told to be such.",
    ),
    "synthetic": (
        "A program draws each lesion from random numbers with a fixed seed, one recipe for each "
        "class, and several views of some lesions.",
        "There are no patients, so there is nothing to consent to and nobody to identify.",
    ),
    "unknown": ("Not known: who took the pictures, of whom, where, when, and with what consent.",),
}


def data_sheet(manifest: Manifest, split: SplitTable, places: Places) -> str:
    """The data sheet in Markdown.

    Args:
        manifest: The data set.
        split: How it was shared out.
        places: The other documents, as they lie around this one.
    """
    data = DataFacts.of(manifest)
    return document(
        f"Data sheet: {plain(data.name)}",
        [
            banner(data.synthetic),
            places.see_also("model_card", "checklists", "report"),
            section("Motivation", _MOTIVATION[data.kind]),
            section("Composition", *_composition(manifest, data)),
            section("How the diagnoses were made", *_diagnoses(manifest)),
            section("Who is in it", *_people(manifest, data)),
            section("Collection", bullets(_COLLECTION[data.kind])),
            section("Preprocessing", bullets(_preprocessing(manifest))),
            section("Put aside", *_quarantine(manifest)),
            section("Splits", *_splits(split)),
            section("Who is in each split", *_people_by_split(manifest, split)),
            section("Uses", bullets(_uses(data))),
            section("Licence and distribution", *_licence(data)),
            section("Maintenance", bullets(_maintenance(manifest, split, data))),
        ],
    )


def data_sheet_html(manifest: Manifest, split: SplitTable, places: Places) -> str:
    """The data sheet as one page."""
    return to_html(data_sheet(manifest, split, places))


def _composition(manifest: Manifest, data: DataFacts) -> list[str]:
    images = manifest.images
    counts, lesions = images["dx"].value_counts(), images.groupby("dx")["lesion_id"].nunique()
    rows = [
        [
            class_name(label),
            f"{int(counts.get(label, 0)):,}",
            f"{int(lesions.get(label, 0)):,}",
            f"{counts.get(label, 0) / max(len(images), 1):.1%}",
        ]
        for label in LABELS
    ]
    n_lesions = images["lesion_id"].nunique()
    several = int((images["lesion_id"].value_counts() > 1).sum())
    return [
        f"{len(images):,} usable images of {n_lesions:,} lesion ids; {several:,} ids have more than one "
        f"image. Each picture has one diagnosis. Pictures of {data.source_size}.",
        table(["Class", "Images", "Lesion ids", "Share of images"], rows, numbers=3),
    ]


def _diagnoses(manifest: Manifest) -> list[str]:
    never = (
        "`dx_type` tells how the diagnosis was made. **It is never an input of the model**, since "
        "it gives the answer away: a lesion that was only followed up was not thought malignant."
    )
    if "dx_type" not in manifest.images:
        return ["Not recorded in this data set.", never]
    rows = [
        [code(kind), _DX_TYPES.get(kind, "Not described"), n, share]
        for kind, n, share in _distribution(manifest.images["dx_type"])
    ]
    return [
        table(["dx_type", "Meaning", "Images", "Share"], rows, numbers=2),
        never,
        "Diagnoses without histopathology may be wrong, and rarely can anyone tell which.",
    ]


def _people(manifest: Manifest, data: DataFacts) -> list[str]:
    parts = []
    if "age" in manifest.images:
        age = pd.to_numeric(manifest.images["age"], errors="coerce")
        known = age.dropna()
        middle = "" if known.empty else (
            f"; median {known.median():.0f} years, from {known.min():.0f} to {known.max():.0f}"
        )  # fmt: skip
        parts.append(f"Age: known for {len(known):,} of {len(age):,} images{middle}.")
    for column, title in (("sex", "Sex"), ("localization", "Body site")):
        if column in manifest.images:
            rows = [[plain(v), n, s] for v, n, s in _distribution(manifest.images[column])]
            parts.append(table([title, "Images", "Share"], rows, numbers=2))
    if not parts:
        parts.append("Age, sex and body site are not recorded in this data set.")
    if not data.synthetic:
        parts.append(
            "**Skin tone, ethnicity and genetic background are not recorded.** None of age, sex and "
            "body site is an input of the model; they serve to look at subgroups."
        )
    return parts


def _distribution(values: "pd.Series[str]") -> list[tuple[str, str, str]]:
    """Value, number and share, the most common first; what is missing counts as unknown."""
    counts = values.fillna("unknown").replace("", "unknown").value_counts()
    total = max(int(counts.sum()), 1)
    return [(str(value), f"{n:,}", f"{n / total:.1%}") for value, n in counts.items()]


def _preprocessing(manifest: Manifest) -> list[str]:
    return [
        "Each file is decoded, oriented by its EXIF tag, converted to RGB and brought to the model's "
        f"input size (resize mode {plain(manifest.provenance.resize_mode)}); serving does the same.",
        "Nothing is removed from the pictures: hair, rulers, gel bubbles and ink stay.",
        "Diagnoses and lesion ids are taken as they are. Near-identical pictures under different "
        "lesion ids are found by perceptual hash and pixel comparison, and kept in one split.",
        "The files as they came are not changed.",
    ]


def _quarantine(manifest: Manifest) -> list[str]:
    aside = manifest.quarantine
    if aside.empty:
        return ["No image was put aside."]
    rows = [[plain(str(reason)), f"{n:,}"] for reason, n in aside["reason"].value_counts().items()]
    return [
        f"{len(aside):,} images were put aside and reached no split; each is named with its reason in "
        "the manifest.",
        table(["Reason", "Images"], rows, numbers=1),
    ]


def _splits(split: SplitTable) -> list[str]:
    counts = {(row.split, row.label): row for row in count_splits(split)}
    rows = [
        [
            class_name(label),
            *(f"{(c := counts[name, label]).images:,} ({c.lesions:,})" for name in SPLITS),
        ]
        for label in LABELS
    ]
    report = split.leak_report
    return [
        "Shared out by lesion group, with about the same share of each class everywhere. A group holds "
        "one lesion id, or several whose pictures are nearly identical. In brackets: lesion ids.",
        table(["Class", "Train", "Validation", "Test"], [*rows, *_totals(split)], numbers=3),
        f"Checked afterwards: {report.groups_crossing} lesion groups and "
        f"{report.duplicates_crossing} confirmed duplicate pairs in more than one split. Patients "
        "cannot be kept apart, since no patient id exists.",
    ]


def _totals(split: SplitTable) -> list[list[str]]:
    grouped = split.rows.groupby("split")
    counts = {
        "Images": grouped.size(),
        "Lesion ids": grouped["lesion_id"].nunique(),
        "Lesion groups": grouped["group"].nunique(),
    }
    return [
        [f"**{title}**", *(f"**{int(found.get(name, 0)):,}**" for name in SPLITS)]
        for title, found in counts.items()
    ]


def _people_by_split(manifest: Manifest, split: SplitTable) -> list[str]:
    rows = count_people(manifest, split)

    def cells(write: Callable[[PeopleRow], str]) -> list[str]:
        return [write(row) for row in rows]

    return [
        table(
            ["Images, unless said otherwise", "Train", "Validation", "Test"],
            [
                ["Number", *cells(lambda row: f"{row.images:,}")],
                ["Lesion groups", *cells(lambda row: f"{row.lesion_groups:,}")],
                ["Of a malignant class", *cells(lambda row: f"{row.malignant:.1%}")],
                ["Age in years: median (quartiles)", *cells(_age)],
                ["Age known", *cells(lambda row: f"{row.age_known:,}")],
                ["Of women, where the sex is known", *cells(lambda row: _share(row.female))],
                ["Sex known", *cells(lambda row: f"{row.sex_known:,}")],
                ["Confirmed by histopathology", *cells(lambda row: _share(row.histology))],
            ],
            numbers=3,
        ),
        "Counted over images, since no patient id exists: a person with several pictures counts as "
        "often.",
    ]


def _age(row: PeopleRow) -> str:
    if row.age is None:
        return "not known"
    median, low, high = row.age
    return f"{median:.0f} ({low:.0f} to {high:.0f})"


def _share(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _uses(data: DataFacts) -> list[str]:
    if data.synthetic:
        return ["For tests and demonstrations of the pipeline.", "Not for anything about skin."]
    return [
        "For research on the classification of dermatoscopic pictures of pigmented lesions.",
        "Not for judging how a model does on darker skin, on lesions without pigment, on pictures "
        "taken without a dermatoscope, or at another prevalence.",
        "Figures from a split by image are not comparable with those from a split by lesion.",
    ]


def _licence(data: DataFacts) -> list[str]:
    texts: Mapping[str, str] = LICENCE_TEXT
    return [
        f"Licence: {plain(data.licence)}. {texts.get(data.licence, '')}".rstrip(),
        f"To be cited as: {plain(data.citation)}",
        "This project contains no picture of it.",
    ]


def _maintenance(manifest: Manifest, split: SplitTable, data: DataFacts) -> list[str]:
    keeper = {
        "ham10000": "Kept by its authors on Harvard Dataverse, doi:10.7910/DVN/DBW86T.",
        "synthetic": "Drawn anew from its seed whenever it is needed.",
        "unknown": "Who keeps it is not known.",
    }[data.kind]
    return [
        keeper,
        "This sheet is written anew by each run. It is of the data with fingerprint "
        f"{code(manifest.fingerprint)} and of the split {code(split.split_hash)}.",
    ]
