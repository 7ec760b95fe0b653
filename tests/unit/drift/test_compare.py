import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from skin_lesion.drift.compare import (
    EXIT_CODES,
    DriftReport,
    compare,
    holm,
    permuted_chi_squared,
    stability_index,
    without_reference,
)
from skin_lesion.drift.features import watched
from skin_lesion.drift.page import draw, render
from skin_lesion.drift.reference import DriftReference
from skin_lesion.drift.tables import read_predictions
from skin_lesion.labels import LABELS
from skin_lesion.settings import DriftConfig

LIMITS = DriftConfig(permutations=1000)


def predictions(n: int, seed: int, *, nevi: float = 0.7, darker: float = 0.0) -> pd.DataFrame:
    """Answers of a model, `n` of them, one in ten refused."""
    random = np.random.default_rng(seed)
    top = random.beta(5, 2, n)
    rest = (1 - top)[:, None] * random.dirichlet(np.ones(6), n)
    others = [label for label in LABELS if label != "nv"]
    answer = np.where(random.random(n) < nevi, "nv", random.choice(others, n))
    place = np.array([LABELS.index(label) for label in answer])
    filled = np.zeros((n, 7))
    filled[~np.eye(7, dtype=bool)[place]] = rest.ravel()
    filled[np.arange(n), place] = top
    table = pd.DataFrame(filled, columns=list(LABELS))
    table = table.assign(
        prediction=answer,
        status="ok",
        reason=None,
        quality_brightness=random.normal(170 - darker, 20, n),
        quality_aspect=1.33,
        ood_score=random.normal(0, 1, n),
        model_version="7",
        bundle_hash="b" * 64,
    )
    refused = random.random(n) < 0.1
    table.loc[refused, [*LABELS, "ood_score"]] = np.nan
    table.loc[refused, "prediction"] = None
    table.loc[refused, "status"] = "cannot_assess"
    table.loc[refused, "reason"] = "too_blurred"
    return table


def report(batch: pd.DataFrame, limits: DriftConfig = LIMITS) -> DriftReport:
    return compare(predictions(1500, seed=0), batch, limits, data="this week")


def feature(found: DriftReport, name: str):
    return next(one for one in found.features if one.name == name)


def test_pictures_of_the_same_kind_have_not_drifted():
    verdicts = [report(predictions(300, seed=seed)).verdict for seed in range(1, 21)]
    assert verdicts.count("none") >= 19


def test_darker_pictures_are_found_and_named():
    found = report(predictions(300, seed=1, darker=25))
    assert found.verdict == "drift"
    assert [one.name for one in found.at("drift")] == ["quality_brightness"]
    brightness = feature(found, "quality_brightness")
    assert brightness.batch_median < brightness.reference_median - 15
    assert found.exit_code == 11
    assert "Brightness" in found.to_lines()[1]


def test_another_class_mix_is_found_and_named():
    found = report(predictions(300, seed=1, nevi=0.2))
    assert "prediction" in {one.name for one in found.at("drift")}


def test_a_rise_of_refusals_is_found():
    batch = predictions(300, seed=1)
    batch.loc[:149, "status"], batch.loc[:149, "reason"] = "cannot_assess", "unlike_training"
    found = report(batch)
    assert {"status", "reason"} <= {one.name for one in found.at("drift")}


def test_a_small_change_of_a_large_batch_is_significant_but_no_drift():
    found = report(predictions(6000, seed=1, darker=4))
    brightness = feature(found, "quality_brightness")
    assert brightness.p_value < LIMITS.significance
    assert brightness.level == "none"


def test_a_large_change_of_few_pictures_is_no_drift_while_it_may_be_luck():
    strict = DriftConfig(permutations=1000, significance=1e-9)
    assert report(predictions(60, seed=1, darker=15), strict).verdict == "none"


@pytest.mark.parametrize(
    ("then", "first", "last"),
    [
        ([0.0] * 60 + [0.5] * 40, "< 0", "> 0.5"),
        ([0.99999, 0.999995, 1.0] * 40, "< 0.99999", "> 1"),
        ([150.0] * 100, "< 150", "> 150"),
    ],
)
def test_bins_are_named_by_the_numbers_of_the_reference_and_told_apart(then, first, last):
    table = pd.DataFrame({"quality_sharpness": then, "status": "ok"})
    one = feature(compare(table, table, LIMITS, data="x"), "quality_sharpness")
    assert (one.bins[0], one.bins[-1]) == (first, last)
    assert len(set(one.bins)) == len(one.bins) == len(one.reference)
    assert one.reference == one.batch
    assert sum(one.reference) == pytest.approx(1.0)
    assert one.reference[0] == one.reference[-1] == 0.0


def test_too_few_pictures_tell_nothing():
    found = report(predictions(20, seed=1, darker=60))
    assert found.verdict == "too_few"
    assert all(one.psi is None and one.level == "none" for one in found.features)
    assert "20 beside 1500, and 50 are needed of each" in found.to_lines()[0]


def test_too_small_a_reference_tells_nothing_either():
    batch = predictions(300, seed=1, darker=60)
    found = compare(predictions(30, seed=0), batch, LIMITS, data="x")
    assert found.verdict == "too_few"


def test_each_verdict_ends_a_process_in_its_own_way():
    codes = list(EXIT_CODES.values())
    assert len(set(codes)) == 5
    assert EXIT_CODES["none"] == 0
    assert not {1, 2} & set(codes)  # errors and wrong arguments


def test_answers_of_two_models_are_refused():
    batch = predictions(100, seed=1)
    batch.loc[:10, "model_version"] = "8"
    with pytest.raises(ValueError, match="answered by 2 models"):
        report(batch)


def test_a_table_of_something_else_is_refused():
    with pytest.raises(ValueError, match="holds no predictions"):
        report(pd.DataFrame({"temperature": [1.0] * 100}))


def test_tables_that_share_no_column_are_refused():
    with pytest.raises(ValueError, match="share no column"):
        compare(
            pd.DataFrame({"status": ["ok"] * 100}),
            pd.DataFrame({"ood_score": [1.0] * 100}),
            LIMITS,
            data="x",
        )


def test_columns_that_one_side_lacks_are_left_out():
    found = report(predictions(100, seed=1)[["prediction", "status", "reason"]])
    assert [one.name for one in found.features] == ["status", "reason", "prediction"]


def test_pictures_that_were_not_assessed_have_no_answer_to_compare():
    found = report(predictions(300, seed=1))
    answered = feature(found, "prediction")
    assert answered.n_batch < 300 == feature(found, "status").n_batch
    assert "None" not in answered.bins
    assert "nan" not in answered.bins


def test_a_value_that_never_varies_has_one_bin_and_no_drift():
    aspect = feature(report(predictions(300, seed=1)), "quality_aspect")
    assert aspect.level == "none"
    assert aspect.psi == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("way", ["table", "saved", "csv"])
def test_a_reference_kept_in_single_precision_does_not_make_equal_values_drift(way, tmp_path):
    """600 / 450, the ratio of HAM10000's pictures, is not the same number in both precisions."""
    table = predictions(300, seed=1).assign(quality_aspect=600 / 450, quality_dark_share=7 / 6912)
    reference, batch = DriftReference.of(watched(table)), table
    if way == "saved":
        reference.save(tmp_path / "drift.npz")
        reference = DriftReference.load(tmp_path / "drift.npz")
    if way == "csv":
        table.to_csv(tmp_path / "table.csv", index=False)
        batch = read_predictions(tmp_path / "table.csv")
    found = compare(reference.table, batch, LIMITS, data="x")
    assert found.verdict == "none"
    assert feature(found, "quality_aspect").psi == pytest.approx(0, abs=1e-9)


def test_a_constant_that_becomes_another_constant_is_drift():
    batch = predictions(300, seed=1).assign(quality_aspect=1.0)
    assert feature(report(batch), "quality_aspect").level == "drift"


def test_the_stability_index_by_hand():
    reference, batch = np.array([60, 40]), np.array([20, 80])
    then, now = (reference + 0.5) / 101, (batch + 0.5) / 101
    by_hand = sum((n - t) * np.log(n / t) for t, n in zip(then, now, strict=True))
    assert stability_index(reference, batch) == pytest.approx(by_hand)
    assert stability_index(reference, 7 * reference) == pytest.approx(0, abs=1e-4)


def test_the_permuted_p_value_agrees_with_scipy():
    reference, batch = np.array([50, 30, 20]), np.array([20, 20, 20])
    expected = chi2_contingency(np.stack([reference, batch]), correction=False).pvalue
    found = permuted_chi_squared(reference, batch, rounds=20_000, seed=0)
    assert found == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(
    ("reference", "batch", "expected"),
    [([5, 0], [0, 0], None), ([5, 0], [9, 0], 1.0), ([10, 10], [10, 10], 1.0)],
)
def test_tables_without_anything_to_tell(reference, batch, expected):
    found = permuted_chi_squared(np.array(reference), np.array(batch), rounds=1000, seed=0)
    assert found == expected


def test_holm_by_hand():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_same_seed_gives_the_same_report():
    batch = predictions(120, seed=1, nevi=0.5)
    assert report(batch) == report(batch)


def test_nothing_given_is_changed():
    batch = predictions(60, seed=1)
    before = batch.copy()
    watched(batch)
    pd.testing.assert_frame_equal(batch, before)


def test_without_a_reference_the_page_says_so_and_why():
    found = without_reference(predictions(60, seed=1), LIMITS, data="old model")
    assert (found.verdict, found.model_version, found.n_batch) == ("not_compared", "7", 60)
    assert "Not compared" in render(found)
    assert "not compared" in found.to_lines()[0]


def test_the_page_says_the_verdict_names_the_batch_and_needs_no_network():
    html = render(report(predictions(300, seed=1, darker=25).assign(model_version="<7>")))
    assert ">Drift</span>" in html
    assert "&lt;7&gt;" in html
    assert "http" not in html.replace("data:image", "")
    assert draw(report(predictions(20, seed=1))).startswith(b"\x89PNG")
