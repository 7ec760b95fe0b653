"""What to beware of comes from the model's own figures, the gravest first."""

import re

import pytest

from skin_lesion.evaluation.cautions import Unit, cautions, main_point
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.html_summary import warnings as of_report
from skin_lesion.evaluation.report import EvaluationReport


@pytest.fixture
def evidence(small_report: EvaluationReport) -> Evidence:
    return small_report.summary.evidence


UNITS: tuple[Unit, ...] = ("image", "lesion")
_KINDS = {
    "Melanomas are missed": "missed_melanomas",
    "High confidence does not exclude melanoma": "sure_misses",
    "One source": "one_source",
    "Many melanomas get no answer": "unanswered",
    "Pictures from outside get answers": "strangers",
    "Poor pictures cost much": "fragile",
}


@pytest.mark.parametrize("synthetic", [True, False])
def test_the_page_warns_of_what_the_report_warns_of_in_its_order(
    evidence: Evidence, synthetic: bool
) -> None:
    titles = [re.match(r"<b>(.*?)\.</b>", one) for one in of_report(evidence, synthetic=synthetic)]
    expected = [_KINDS[title[1]] for title in titles if title]
    found = [one.kind for one in cautions(evidence, synthetic=synthetic, unit="lesion")]
    # The report goes by picture where the page goes by lesion: a melanoma may be missed in one
    # picture and found in the other.
    assert [kind for kind in found if kind != "missed_melanomas"] == [
        kind for kind in expected if kind != "missed_melanomas"
    ]
    assert ("one_source" in found) is not synthetic


def test_missed_melanomas_come_first_and_name_the_point(evidence: Evidence) -> None:
    point = main_point(evidence)
    assert point is not None
    assert point.point.name == "melanoma_sensitivity_95"
    figures = point.figures.model_copy(
        update={"lesion_sensitivity": Estimate(value=0.8, ci_low=0.6, ci_high=0.95)}
    )
    worse = evidence.model_copy(
        update={"operating_points": (point.model_copy(update={"figures": figures}),)}
    )
    first = next(cautions(worse, synthetic=False, unit="lesion"))
    assert first.kind == "missed_melanomas"
    assert first.point == point.point
    assert first.share is not None
    assert first.share.value == 0.8
    perfect = figures.model_copy(update={"lesion_sensitivity": Estimate(value=1.0)})
    better = evidence.model_copy(
        update={"operating_points": (point.model_copy(update={"figures": perfect}),)}
    )
    assert next(cautions(better, synthetic=False, unit="lesion")).kind != "missed_melanomas"


def test_sure_misses_are_counted(evidence: Evidence) -> None:
    assert evidence.confidence is not None
    high = evidence.confidence.bands[0].model_copy(
        update={"n_melanomas": 8, "melanoma_missed": Estimate(value=0.375)}
    )
    bands = evidence.confidence.model_copy(update={"bands": (high,)})
    found = list(
        cautions(evidence.model_copy(update={"confidence": bands}), synthetic=True, unit="lesion")
    )
    sure = next(one for one in found if one.kind == "sure_misses")
    assert (sure.count, sure.of) == (3, 8)


def test_a_model_without_points_and_checks_is_no_error(evidence: Evidence) -> None:
    bare = evidence.model_copy(
        update={
            "operating_points": (), "confidence": None, "refusals": None, "robustness": None,
        }
    )  # fmt: skip
    assert main_point(bare) is None
    assert [one.kind for one in cautions(bare, synthetic=False, unit="lesion")] == ["one_source"]


def test_the_report_counts_pictures_where_the_page_counts_lesions(evidence: Evidence) -> None:
    point = main_point(evidence)
    assert point is not None
    figures = point.figures.model_copy(
        update={
            "sensitivity": Estimate(value=0.75),
            "flagged": Estimate(value=0.4),
            "lesion_sensitivity": Estimate(value=1.0),
        }
    )
    mixed = evidence.model_copy(
        update={"operating_points": (point.model_copy(update={"figures": figures}),)}
    )
    kinds = {
        unit: [one.kind for one in cautions(mixed, synthetic=True, unit=unit)] for unit in UNITS
    }
    assert "missed_melanomas" in kinds["image"]
    assert "missed_melanomas" not in kinds["lesion"]
    said = next(of_report(mixed, synthetic=True))
    assert "75 % of the melanoma images" in said
    assert "40 % of all images" in said


def test_the_perturbation_that_costs_most_is_named_with_its_strength(evidence: Evidence) -> None:
    assert evidence.robustness is not None
    name, one = next(iter(evidence.robustness.perturbations.items()))
    strongest = one.strengths[-1]
    drop = strongest.drop.model_copy(update={"balanced_accuracy": Estimate(value=0.9)})
    worse = one.model_copy(
        update={"strengths": (*one.strengths[:-1], strongest.model_copy(update={"drop": drop}))}
    )
    robustness = evidence.robustness.model_copy(
        update={"perturbations": {**evidence.robustness.perturbations, name: worse}}
    )
    fragile = evidence.model_copy(update={"robustness": robustness})
    caution = list(cautions(fragile, synthetic=True, unit="image"))[-1]
    assert (caution.kind, caution.name) == ("fragile", name)
    said = list(of_report(fragile, synthetic=True))[-1]
    assert f"{one.title} ({strongest.amount:g} {one.unit}) lowers" in said
