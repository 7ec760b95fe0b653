"""What the cards say of the data set, read from its table and its split."""

from typing import Literal

import pandas as pd

from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SPLITS, SplitName, SplitTable
from skin_lesion.data.terms import HAM10000
from skin_lesion.evaluation.cards.sections import PeopleRow, SplitCount
from skin_lesion.evaluation.figures import Figures
from skin_lesion.labels import LABELS, MALIGNANT

DataKind = Literal["ham10000", "synthetic", "unknown"]
# As published: doi:10.1038/sdata.2018.161.
HAM10000_IMAGES = 10_015
HAM10000_SIZE = (450, 600)


class DataFacts(Figures):
    """The data set.

    Attributes:
        name: Its name.
        licence: SPDX-like identifier; "unknown" where nothing tells it.
        citation: How to cite it.
        synthetic: True where no picture shows a real patient.
        source_height: Median height of the source pictures in pixels.
        source_width: Median width.
        histology_share: Share of the images whose diagnosis rests on histopathology; None where the
            table does not say.
        malignant_histology_share: The same for the images of malignant classes.
        found: Images that the table of the data set names and that came with it.
        put_aside: How many of them could not be used, by reason.
    """

    name: str
    licence: str
    citation: str
    synthetic: bool
    source_height: int
    source_width: int
    histology_share: float | None
    malignant_histology_share: float | None
    found: int
    put_aside: dict[str, int]

    @classmethod
    def of(cls, manifest: Manifest) -> "DataFacts":
        """Read them from the manifest."""
        origin = manifest.provenance
        return cls(
            name=origin.name,
            licence=origin.licence,
            citation=origin.citation,
            synthetic=origin.synthetic,
            source_height=origin.source_height,
            source_width=origin.source_width,
            histology_share=_histology_share(manifest.images),
            malignant_histology_share=_histology_share(
                manifest.images[manifest.images["dx"].isin(MALIGNANT)]
            ),
            found=len(manifest) + len(manifest.quarantine),
            put_aside={}
            if manifest.quarantine.empty
            else {
                str(reason): int(n)
                for reason, n in manifest.quarantine["reason"].value_counts().items()
            },
        )

    @property
    def quarantined(self) -> int:
        """Images put aside."""
        return sum(self.put_aside.values())

    @property
    def source_size(self) -> str:
        """How large the pictures were when this run read them, in words."""
        size = f"{self.source_height} × {self.source_width} pixels (median height × width)"
        if self.kind == "ham10000" and (self.source_height, self.source_width) != HAM10000_SIZE:
            height, width = HAM10000_SIZE
            return (
                f"{size} as they were supplied to this run; HAM10000 publishes them at {height} × "
                f"{width}, so they had been resized before this run read them"
            )
        return f"{size} as they were supplied to this run"

    @property
    def kind(self) -> DataKind:
        """What is known of it beyond these fields."""
        if self.synthetic:
            return "synthetic"
        return "ham10000" if self.name == HAM10000.name else "unknown"


def count_splits(split: SplitTable) -> tuple[SplitCount, ...]:
    """Images and lesions of each class in each split, absent ones as 0."""
    grouped = split.rows.groupby(["split", "dx"])
    images, lesions = grouped.size(), grouped["lesion_id"].nunique()
    return tuple(
        SplitCount(
            split=name,
            label=label,
            images=int(images.get((name, label), 0)),
            lesions=int(lesions.get((name, label), 0)),
        )
        for name in SPLITS
        for label in LABELS
    )


def count_people(manifest: Manifest, split: SplitTable) -> tuple[PeopleRow, ...]:
    """Whose lesions each split holds, as far as the data say."""
    images = manifest.images.merge(split.rows[["image_id", "group", "split"]], on="image_id")
    return tuple(_people_of(images[images["split"] == name], name) for name in SPLITS)


def _people_of(images: pd.DataFrame, name: SplitName) -> PeopleRow:
    age = pd.to_numeric(images.get("age", pd.Series(dtype=float)), errors="coerce").dropna()
    sex = images.get("sex", pd.Series(dtype=str))
    known = sex[sex.isin(["female", "male"])]
    return PeopleRow(
        split=name,
        images=len(images),
        lesion_groups=int(images["group"].nunique()),
        age=None if age.empty else (
            float(age.median()), float(age.quantile(0.25)), float(age.quantile(0.75))
        ),
        age_known=len(age),
        female=None if known.empty else float((known == "female").mean()),
        sex_known=len(known),
        malignant=float(images["dx"].isin(MALIGNANT).mean()) if len(images) else 0.0,
        histology=_histology_share(images),
    )  # fmt: skip


def _histology_share(images: pd.DataFrame) -> float | None:
    if "dx_type" not in images or images.empty:
        return None
    return float((images["dx_type"] == "histo").mean())
