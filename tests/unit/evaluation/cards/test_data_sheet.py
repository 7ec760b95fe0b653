import dataclasses
import re

import pandas as pd
import pytest

from skin_lesion.evaluation.cards import data_sheet as sheets
from skin_lesion.evaluation.cards.places import ARTIFACTS
from skin_lesion.labels import LABELS

# The sections of "Datasheets for Datasets", by the headings used here.
SECTIONS = (
    "Motivation", "Composition", "Collection", "Preprocessing", "Put aside", "Splits",
    "Who is in each split", "Uses",
    "Licence and distribution", "Maintenance",
)  # fmt: skip


def data_sheet(manifest, split) -> str:
    return sheets.data_sheet(manifest, split, ARTIFACTS)


def section_of(markdown: str, heading: str) -> str:
    return markdown.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_section_is_there(manifest, split, heading):
    assert section_of(data_sheet(manifest, split), heading).strip()


@pytest.mark.parametrize("label", LABELS)
def test_classes_are_counted_from_the_manifest(manifest, split, label):
    text = section_of(data_sheet(manifest, split), "Composition")
    line = next(line for line in text.splitlines() if f"({label})" in line)
    images = manifest.images[manifest.images["dx"] == label]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == [
        str(len(images)), str(images["lesion_id"].nunique()),
        f"{len(images) / len(manifest):.1%}",
    ]  # fmt: skip


def test_the_way_of_diagnosis_is_counted_and_said_to_be_no_input(manifest, split):
    text = section_of(data_sheet(manifest, split), "How the diagnoses were made")
    n = (manifest.images["dx_type"] == "histo").sum()
    assert f"| {n} | {n / len(manifest):.1%} |" in text
    assert "never an input" in text


def test_images_put_aside_are_counted_by_reason(manifest, split):
    assert "| not an image | 2 |" in section_of(data_sheet(manifest, split), "Put aside")
    none = dataclasses.replace(manifest, quarantine=pd.DataFrame())
    assert "No image was put aside" in section_of(data_sheet(none, split), "Put aside")


def test_age_counts_only_where_it_is_known(manifest, split):
    known = manifest.images["age"].dropna()
    text = section_of(data_sheet(manifest, split), "Who is in it")
    assert f"known for {len(known)} of {len(manifest)} images; median {known.median():.0f}" in text


def test_a_table_without_facts_of_patients_says_so(manifest, split):
    bare = dataclasses.replace(
        manifest, images=manifest.images[["image_id", "lesion_id", "dx", "sha256"]]
    )
    text = data_sheet(bare, split)
    assert "not recorded" in section_of(text, "Who is in it")
    assert "Not recorded" in section_of(text, "How the diagnoses were made")


def test_it_is_of_one_data_set_and_one_split(manifest, split):
    text = section_of(data_sheet(manifest, split), "Maintenance")
    assert manifest.fingerprint in text
    assert split.split_hash in text


def test_drawn_pictures_have_no_patients(manifest, split):
    drawn = dataclasses.replace(
        manifest, provenance=manifest.provenance.model_copy(update={"synthetic": True})
    )
    text = data_sheet(drawn, split)
    assert "Synthetic only" in text.split("\n## ", 1)[0]
    assert "Vienna" not in text


def test_lesion_ids_and_groups_are_counted_apart(manifest, split):
    text = section_of(data_sheet(manifest, split), "Splits")
    assert "| **Lesion ids** | **140** | **35** | **35** |" in text
    assert "| **Lesion groups** | **140** | **35** | **34** |" in text


def test_what_is_not_known_of_the_people_of_a_split_is_said(manifest, split):
    bare = dataclasses.replace(
        manifest, images=manifest.images[["image_id", "lesion_id", "dx", "sha256"]]
    )
    text = section_of(data_sheet(bare, split), "Who is in each split")
    assert text.count("not known") == 9  # age, sex and histology in three splits
    assert "Age known | 0 | 0 | 0 |" in text


def test_the_page_needs_nothing_from_outside(manifest, split):
    html = sheets.data_sheet_html(manifest, split, ARTIFACTS)
    assert not re.search(r"(?:src|href)\s*=|@import|url\(|<script", html)
