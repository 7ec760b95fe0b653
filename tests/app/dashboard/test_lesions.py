"""Several pictures of one lesion: one answer, by the rule that `app/clinic/lesions.py` states."""

from dataclasses import replace

import numpy as np
import pytest

from app.clinic.lesions import MixedModelsError, combine, groups_by_name, least_specificity
from skin_lesion.labels import LABELS, MALIGNANT
from skin_lesion.prediction import Versions
from tests.app.dashboard.made import (
    MALIGNANT_POINT,
    MELANOMA_POINT,
    made_reading,
    made_refusal,
    made_served,
    with_shares,
)


def test_probabilities_are_the_mean_over_the_pictures() -> None:
    lesion = combine([made_reading("a", mel=0.1, bcc=0.3), made_reading("b", mel=0.5, bcc=0.1)])
    assert lesion.probabilities is not None
    assert lesion.probabilities["mel"] == pytest.approx(0.3)
    assert lesion.probabilities["nv"] == pytest.approx(0.5)
    assert sum(lesion.probabilities.values()) == pytest.approx(1.0)
    assert lesion.malignant_probability == pytest.approx(
        sum(lesion.probabilities[label] for label in MALIGNANT)
    )
    assert lesion.prediction == "nv"


def test_one_suspicious_picture_makes_the_lesion_suspicious_though_the_mean_is_not() -> None:
    loud = made_reading("loud", mel=0.25)
    lesion = combine([loud, *(made_reading(f"quiet {i}", mel=0.01) for i in range(4))])
    assert lesion.verdicts is not None
    verdict = lesion.verdicts[MELANOMA_POINT.name]
    assert verdict.suspicious
    assert not verdict.by_mean
    assert verdict.by_pictures == (loud,)
    assert not lesion.verdicts[MALIGNANT_POINT.name].suspicious


def test_a_lesion_whose_pictures_are_all_below_is_below() -> None:
    lesion = combine([made_reading(str(i), mel=0.19) for i in range(3)])
    assert lesion.verdicts is not None
    assert not any(verdict.suspicious for verdict in lesion.verdicts.values())


@pytest.mark.parametrize("seed", range(5))
def test_a_mean_never_accuses_where_no_picture_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    served = made_served()
    for _ in range(40):
        shares = rng.dirichlet(np.full(len(LABELS), 0.5), size=rng.integers(1, 6))
        readings = [
            made_reading(
                str(i),
                served=served,
                **{k: float(v) for k, v in zip(LABELS, row, strict=True) if k != "nv"},
            )
            for i, row in enumerate(shares)
        ]
        for verdict in (combine(readings).verdicts or {}).values():
            assert not verdict.by_mean or verdict.by_pictures


def test_one_picture_is_its_own_answer() -> None:
    reading = made_reading(mel=0.3, bcc=0.2)
    lesion, prediction = combine([reading]), reading.prediction
    assert lesion.probabilities == pytest.approx(prediction.probabilities)
    assert lesion.prediction_set == prediction.prediction_set
    assert lesion.confidence == prediction.confidence
    assert {n: v.suspicious for n, v in (lesion.verdicts or {}).items()} == prediction.verdicts


def test_the_answer_does_not_depend_on_the_order_of_the_pictures() -> None:
    readings = [made_reading("a", mel=0.1), made_reading("b", mel=0.6), made_reading("c", bcc=0.2)]
    one, other = combine(readings), combine(readings[::-1])
    assert one.probabilities == pytest.approx(other.probabilities)
    assert one.prediction_set == other.prediction_set


def test_what_remains_possible_in_any_picture_remains_possible_for_the_lesion() -> None:
    one, other = made_reading("a", mel=0.4), made_reading("b", bcc=0.4)
    assert "bcc" not in (one.prediction.prediction_set or ())
    lesion = combine([one, other])
    assert lesion.prediction_set == tuple(
        label for label in LABELS if label in {"mel", "bcc", "nv"}
    )


def test_the_least_sure_picture_says_how_sure_the_lesion_is() -> None:
    lesion = combine([made_reading("a", mel=0.05), made_reading("b", mel=0.3, bcc=0.3)])
    assert lesion.confidence == "low"


def test_pictures_without_an_answer_are_named_and_do_not_count() -> None:
    dark, broken = made_refusal(), made_refusal("x", status="unreadable", reason="truncated")
    clear = made_reading(mel=0.3)
    lesion = combine([dark, clear, broken])
    assert lesion.assessed == (clear,)
    assert lesion.left_out == (dark, broken)
    assert lesion.probabilities == pytest.approx(clear.prediction.probabilities)


def test_without_a_picture_that_could_be_assessed_there_is_no_answer() -> None:
    lesion = combine([made_refusal("a"), made_refusal("b")])
    assert len(lesion.left_out) == 2
    assert lesion.probabilities is None
    assert lesion.prediction is None
    assert lesion.malignant_probability is None
    assert lesion.verdicts is None


def test_the_same_file_twice_counts_once() -> None:
    once, again = made_reading("a", data=b"same", mel=0.6), made_reading("b", data=b"same", mel=0.6)
    lesion = combine([once, again, made_reading("c", mel=0.0)])
    assert lesion.repeated == (again,)
    assert lesion.probabilities is not None
    assert lesion.probabilities["mel"] == pytest.approx(0.3)


def test_pictures_of_different_models_are_never_combined() -> None:
    with pytest.raises(MixedModelsError, match="versions 3, 4"):
        combine([made_reading("a"), made_reading("b", served=made_served(4))])
    # Not even one that was refused by another model, or the same model at another precision.
    with pytest.raises(MixedModelsError):
        combine([made_reading("a"), made_refusal(served=made_served(4))])
    one = made_reading("b")
    versions = one.prediction.versions
    assert versions is not None
    other = with_shares(one, versions=replace(versions, precision="bfloat16"))
    with pytest.raises(MixedModelsError):
        combine([made_reading("a"), other])
    with pytest.raises(MixedModelsError):
        combine([with_shares(one, versions=None)])
    assert isinstance(versions, Versions)


def test_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        combine([])


def test_a_model_without_decisions_gives_neither_verdict_nor_set_nor_confidence() -> None:
    served = made_served(decisions=None)
    lesion = combine([made_reading("a", served=served), made_reading("b", served=served)])
    assert lesion.verdicts == {}
    assert lesion.prediction_set is None
    assert lesion.confidence is None


def test_specificity_can_fall_by_so_much_with_each_picture_and_no_further() -> None:
    assert least_specificity(0.9, 1) == pytest.approx(0.9)
    assert least_specificity(0.9, 3) == pytest.approx(0.7)
    assert least_specificity(0.4, 3) == 0.0
    # Pictures whose false alarms never coincide reach the bound; independent ones lie above it.
    assert least_specificity(0.9, 3) < 0.9**3 < 0.9


def test_files_that_differ_by_a_running_number_are_proposed_as_one_lesion() -> None:
    names = ["p7_arm-1.jpg", "p7_arm-2.JPG", "p7_leg-1.jpg", "P7_ARM-3.png", "note.txt"]
    assert groups_by_name(names) == [[0, 1, 3]]


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["a.jpg"],
        ["", ""],
        [".1", ".2"],
        ["1.jpg", "2.jpg"],
        ["p7_arm.jpg", "p7_leg.jpg"],
        ["IMG_1.jpg", "IMG_2.jpg"],  # whatever a camera took
        ["ISIC_0024306.jpg", "ISIC_0024307.jpg"],  # an archive's numbers
        ["7-0024306.jpg", "7-0024307.jpg"],
    ],
)
def test_names_that_share_no_beginning_are_no_lesion(names: list[str]) -> None:
    assert groups_by_name(names) == []
