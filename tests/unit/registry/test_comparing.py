"""Two versions on the same images, and only on the same."""

import mlflow
import pytest

from skin_lesion.registry import MODEL_NAME, compare_versions
from skin_lesion.settings import RegistryConfig
from tests.unit.registry.conftest import ALSO_GOOD, GOOD, WORSE

QUICK = RegistryConfig(resamples=200)


def test_a_worse_version_is_told_from_a_better_one(registry: mlflow.MlflowClient) -> None:
    found = compare_versions(GOOD, WORSE, config=QUICK)
    figure = found.comparison.figures["macro_f1"]
    assert (found.a.version, found.b.version) == (GOOD, WORSE)
    assert figure.b_is_worse
    assert figure.difference.ci_high < 0
    assert figure.p_value < 0.05


def test_two_versions_with_one_answer_do_not_differ(registry: mlflow.MlflowClient) -> None:
    found = compare_versions(GOOD, ALSO_GOOD, config=QUICK)
    figure = found.comparison.figures["melanoma_auc"]
    assert (figure.difference.value, figure.p_value) == (0, 1)


def test_aliases_name_versions_too(registry: mlflow.MlflowClient) -> None:
    registry.set_registered_model_alias(MODEL_NAME, "champion", str(GOOD))
    assert compare_versions("champion", str(WORSE), config=QUICK).a.version == GOOD


def test_a_version_is_not_compared_with_itself(registry: mlflow.MlflowClient) -> None:
    registry.set_registered_model_alias(MODEL_NAME, "champion", str(GOOD))
    with pytest.raises(ValueError, match="champion and 1 are both version 1"):
        compare_versions("champion", 1)


@pytest.mark.parametrize(("tag", "word"), [("split_hash", "split"), ("data_fingerprint", "data")])
def test_versions_tested_on_other_images_are_refused_with_the_reason(
    registry: mlflow.MlflowClient, tag: str, word: str
) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(WORSE), tag, "abc")
    with pytest.raises(ValueError, match=f"version {WORSE} on {word} abc: they share no test"):
        compare_versions(GOOD, WORSE)


def test_a_version_whose_answers_are_gone_says_so(registry: mlflow.MlflowClient) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(WORSE), "measured_run_id", "0" * 32)
    with pytest.raises(LookupError, match="0" * 32):
        compare_versions(WORSE, GOOD)
