"""Codes of the classes: every class has its ICD-10 code, and every SNOMED code is well formed."""

import re

import pytest

from skin_lesion.labels import DIAGNOSES, LABELS
from skin_lesion.medical_codes import MEDICAL_CODES

# Verhoeff's check digit (Mathematisch Centrum, Amsterdam, 1969), which ends every SNOMED CT identifier.
_PRODUCT = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432",
    "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTATION = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415",
    "7046913258",
)  # fmt: skip


def has_its_check_digit(code: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(code)):
        check = int(_PRODUCT[check][int(_PERMUTATION[place % 8][int(digit)])])
    return check == 0


SNOMED = [codes.snomed.code for codes in MEDICAL_CODES.values() if codes.snomed is not None]


def test_every_class_has_its_codes_and_no_other_has() -> None:
    assert tuple(MEDICAL_CODES) == LABELS


def test_icd_10_codes_are_those_of_the_labels() -> None:
    assert {label: codes.icd10 for label, codes in MEDICAL_CODES.items()} == {
        each.code: each.icd10 for each in DIAGNOSES
    }
    assert all(re.fullmatch(r"[A-Z]\d\d(\.\d{1,3})?", c.icd10) for c in MEDICAL_CODES.values())


@pytest.mark.parametrize("code", SNOMED)
def test_a_snomed_code_is_an_identifier_of_a_concept(code: str) -> None:
    assert re.fullmatch(r"[1-9]\d{5,17}", code)
    assert code[-3:-1] == "00"  # a concept of the International Edition
    assert has_its_check_digit(code)


def test_the_check_would_notice_a_slip_of_the_pen() -> None:
    assert not any(
        has_its_check_digit(code[:-1] + str((int(code[-1]) + 1) % 10)) for code in SNOMED
    )
    swapped = [code[1] + code[0] + code[2:] for code in SNOMED if code[0] != code[1]]
    assert swapped
    assert not any(has_its_check_digit(code) for code in swapped)


def test_no_two_classes_share_a_code() -> None:
    assert len(set(SNOMED)) == len(SNOMED)
    assert len({codes.icd10 for codes in MEDICAL_CODES.values()}) == len(LABELS)


def test_where_no_concept_was_confirmed_none_is_named() -> None:
    assert {label for label, codes in MEDICAL_CODES.items() if codes.snomed is None} == {
        "bkl", "df", "vasc",
    }  # fmt: skip
