from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.cannot_assess import OutlierSample, choose_ood_gate, separate
from skin_lesion.evaluation.outliers import REPORT_SOURCES, SELECTION_SOURCES
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS
from skin_lesion.ood import SCORES, OodReference, fit_reference, score
from skin_lesion.quality import Quality, judge

CHANNELS, IMAGES, TRAIN = 12, 400, 300
HOW = {
    "acceptance": 0.95,
    "quality_share": 0.2,
    "min_short_side": 100,
    "max_aspect": 2.0,
    "neighbours": 5,
    "folds": 5,
    "resamples": 100,
    "seed": 0,
}
CENTRES = np.random.default_rng(9).normal(0, 2, (7, CHANNELS))


def features_of(truth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return (CENTRES[truth] + random.normal(0, 1, (len(truth), CHANNELS))).astype(np.float32)


def qualities_of(count: int, random: np.random.Generator) -> tuple[Quality, ...]:
    sharpness, brightness = random.normal(2, 0.3, count), random.normal(150, 15, count)
    contrast = random.uniform(2, 60, count)
    return tuple(
        Quality(float(s), float(b), 0.0, 0.0, float(c), 1.0, 450.0, 4 / 3)
        for s, b, c in zip(sharpness, brightness, contrast, strict=True)
    )


def outliers_of(
    sources: list[str], shift: float, seed: int, clusters: list[str] | None = None
) -> OutlierSample:
    random = np.random.default_rng([seed, 1])
    n = len(sources)
    features = random.normal(shift, 1, (n, CHANNELS)).astype(np.float32)
    logits = random.normal(0, 3, (n, 7)).astype(np.float32)
    source = np.array(sources)
    cluster = source if clusters is None else np.array(clusters)
    return OutlierSample(source, cluster, logits, features, qualities_of(n, random))


@pytest.fixture(scope="module")
def reference() -> OodReference:
    random = np.random.default_rng(0)
    truth = random.integers(0, 7, TRAIN)
    return fit_reference(features_of(truth, random), truth, bank_size=1000, seed=0)


@pytest.fixture(scope="module")
def validation() -> Sample:
    random = np.random.default_rng(1)
    groups = np.concatenate([np.arange(300), random.integers(0, 300, IMAGES - 300)])
    truth = random.integers(0, 7, 300)[groups]
    logits = (random.normal(0, 2, (IMAGES, 7)) + 2 * np.eye(7)[truth]).astype(np.float32)
    rows = pd.DataFrame(
        {
            "image_id": [f"image {i:04d}" for i in range(IMAGES)],
            "lesion_id": [f"lesion {g:04d}" for g in groups],
            "group": [f"lesion {g:04d}" for g in groups],
            "dx": [LABELS[k] for k in truth],
        }
    )
    return Sample(rows, logits, softmax(logits), features_of(truth, random))


@pytest.fixture(scope="module")
def qualities() -> tuple[Quality, ...]:
    return qualities_of(IMAGES, np.random.default_rng(2))


@pytest.fixture(scope="module")
def outliers() -> dict[str, OutlierSample]:
    sources = sorted(SELECTION_SOURCES | REPORT_SOURCES) * 6
    return {
        "crops": outliers_of(sources, 3.0, 0),
        "skin": outliers_of(["skin"] * 30, 0.3, 1, [str(i) for i in range(30)]),
    }


@pytest.fixture(scope="module")
def choice(validation, qualities, outliers, reference):
    return choose_ood_gate(validation, qualities, outliers, reference, **HOW)


def scores_of(sample: Sample | OutlierSample, kind: str, reference: OodReference) -> np.ndarray:
    return score(kind, sample.logits, sample.features, reference, HOW["neighbours"])


def test_both_gates_together_accept_the_share_that_was_asked_for(
    choice, validation, qualities, reference
) -> None:
    good = np.array([judge(quality, choice.limits) is None for quality in qualities])
    accepted = good & (scores_of(validation, choice.gate.score, reference) <= choice.gate.threshold)
    # Scores have no ties, so the budget of 20 of the 400 images is spent to the last.
    assert (~accepted).sum() == 20
    assert choice.accepted == 0.95
    assert choice.refused_by_quality == (~good).sum() <= 4


@pytest.mark.parametrize("quality_share", [0.0, 1.0])
def test_the_whole_budget_may_go_to_one_gate(
    validation, qualities, outliers, reference, quality_share
) -> None:
    how = HOW | {"quality_share": quality_share}
    found = choose_ood_gate(validation, qualities, outliers, reference, **how)
    assert found.accepted >= 0.95
    assert (found.refused_by_quality == 0) == (quality_share == 0)


def test_separation_is_the_area_that_scikit_learn_finds(
    choice, validation, outliers, reference
) -> None:
    seen = outliers["crops"].of_sources(SELECTION_SOURCES)
    for kind in SCORES:
        for name, found in (("crops", seen), ("skin", outliers["skin"])):
            inside, outside = (scores_of(s, kind, reference) for s in (validation, found))
            truth = np.repeat([0, 1], [len(inside), len(outside)])
            expected = roc_auc_score(truth, np.concatenate([inside, outside]))
            auroc = choice.separations[kind].auroc[name]
            assert auroc.value == pytest.approx(expected, abs=1e-9)
            assert auroc.ci_low is None or auroc.ci_low <= expected <= auroc.ci_high


def test_the_score_that_separates_crops_best_is_chosen(choice) -> None:
    areas = {kind: choice.separations[kind].auroc["crops"].value for kind in SCORES}
    assert areas[choice.gate.score] == max(areas.values()) > 0.95
    assert choice.gate.neighbours == HOW["neighbours"]


def test_where_scores_do_equally_well_the_cheapest_is_chosen(
    validation, qualities, outliers, reference
) -> None:
    crops = outliers["crops"]
    # Beyond everything by every score: even logits, all low, and features far away.
    hopeless = replace(
        crops, logits=np.full_like(crops.logits, -50), features=np.full_like(crops.features, 90)
    )
    found = choose_ood_gate(validation, qualities, {"crops": hopeless}, reference, **HOW)
    assert [s.auroc["crops"].value for s in found.separations.values()] == [1.0] * 4
    assert found.gate.score == "energy"


def test_photographs_kept_for_the_report_have_no_say(
    choice, validation, qualities, outliers, reference
) -> None:
    crops = outliers["crops"]
    kept = np.isin(crops.source, sorted(REPORT_SOURCES))
    poisoned = replace(
        crops,
        logits=np.where(kept[:, None], 1e3, crops.logits).astype(np.float32),
        features=np.where(kept[:, None], -500, crops.features).astype(np.float32),
    )
    found = choose_ood_gate(validation, qualities, outliers | {"crops": poisoned}, reference, **HOW)
    assert found == choice
    assert set(choice.selection_sources) == SELECTION_SOURCES
    n = int((~kept).sum())
    assert {s.n_outliers["crops"] for s in choice.separations.values()} == {n}


def test_outliers_never_move_limits_or_threshold_of_a_score(
    choice, validation, qualities, outliers, reference
) -> None:
    others = {"crops": replace(outliers["crops"], qualities=outliers["crops"].qualities[::-1])}
    others["skin"] = outliers_of(["skin"] * 30, 50.0, 5)
    found = choose_ood_gate(validation, qualities, others, reference, **HOW)
    assert (found.gate, found.limits) == (choice.gate, choice.limits)


def test_a_lesion_that_sets_the_threshold_for_itself_is_found_out_by_the_cross_fit(
    validation, qualities, outliers, reference
) -> None:
    # One lesion of 60 images lies far out. Where it takes part, the threshold makes room for it.
    features, rows = validation.features.copy(), validation.rows.copy()
    far = np.arange(60)
    features[far] = 25 + features[far]
    rows.loc[far, ["lesion_id", "group"]] = "lesion far away"
    odd = replace(validation, rows=rows, features=features)
    found = choose_ood_gate(odd, qualities, outliers, reference, **HOW)
    assert found.accepted >= 0.95
    assert found.accepted_cross_fitted.value < 0.86


def test_intervals_are_wide_where_all_outliers_come_from_few_photographs(
    validation, reference
) -> None:
    # All crops of a photograph have about the same energy, those of another a different one.
    few = outliers_of([f"photograph {i}" for i in range(5)] * 40, 0.0, 0)
    logits = np.full_like(few.logits, -50)
    logits[:, 0] = np.tile([3, 4, 5, 6, 7], 40) + 0.1 * few.logits[:, 0]
    few = replace(few, logits=logits)
    many = replace(few, cluster=np.array([str(i) for i in range(200)]))
    lesions = Resamples.over_lesions(validation.groups, 400, 0)

    def width(of: OutlierSample) -> float:
        found = separate(validation, {"crops": of}, reference, 5, lesions, 0)
        auroc = found["energy"].auroc["crops"]
        return auroc.ci_high - auroc.ci_low

    assert width(few) > 2 * width(many)


def test_only_scores_that_the_reference_suffices_for_are_separated(
    validation, outliers, reference
) -> None:
    lesions = Resamples.over_lesions(validation.groups, 20, 0)
    found = separate(validation, outliers, reference.only("knn"), 5, lesions, 0)
    assert tuple(found) == ("energy", "max_softmax", "knn")


def test_without_crops_for_the_choice_there_is_none(
    validation, qualities, outliers, reference
) -> None:
    crops = outliers["crops"].of_sources(REPORT_SOURCES)
    with pytest.raises(ValueError, match="meant for selection"):
        choose_ood_gate(validation, qualities, {"crops": crops}, reference, **HOW)
