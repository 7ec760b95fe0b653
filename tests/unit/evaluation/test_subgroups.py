from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import recall_score, roc_auc_score

from skin_lesion.data.manifest import Provenance
from skin_lesion.data.terms import HAM10000, SYNTHETIC, UNKNOWN, Terms
from skin_lesion.decisions import OperatingPoint
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroup_plots import subgroup_forests
from skin_lesion.evaluation.subgroups import age_bands, skin_tone_note, subgroups
from skin_lesion.labels import LABEL_INDEX, LABELS

MEL, NV = LABEL_INDEX["mel"], LABEL_INDEX["nv"]
POINTS = tuple(
    OperatingPoint(
        name=f"{target}_sensitivity_95",
        target=target,
        criterion="sensitivity",
        goal=0.95,
        threshold=threshold,
    )
    for target, threshold in (("melanoma", 0.2), ("malignant", 0.3))
)
LIMITS = {"min_images": 20, "min_positives": 5, "skin_tone": "not known"}


def case(seed=0, lesions=300):
    """Two images of each lesion, with the demographics of their patients."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(lesions), 2)
    n = len(groups)
    truth = random.choice(7, lesions, p=[0.05, 0.1, 0.1, 0.05, 0.2, 0.45, 0.05])[groups]
    logits = random.normal(size=(n, 7))
    logits[np.arange(n), truth] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = [f"g{group:04d}" for group in groups]
    rows = pd.DataFrame(
        {"image_id": [f"i{i:04d}" for i in range(n)], "lesion_id": names, "group": names,
         "dx": [LABELS[i] for i in truth]}
    )  # fmt: skip
    sample = Sample(rows, logits.astype(np.float32), probabilities, np.zeros((n, 1), np.float32))
    demographics = pd.DataFrame(
        {
            "age": random.choice([25.0, 45.0, 65.0, 80.0, np.nan], lesions)[groups],
            "sex": random.choice(["male", "female"], lesions)[groups],
            "localization": random.choice(["back", "face", "ear"], lesions, p=[0.6, 0.38, 0.02])[
                groups
            ],
        }
    )
    return sample, demographics


def measured(sample, demographics, **limits):
    resamples = Resamples.over_lesions(sample.groups, 200, 0)
    return subgroups(sample, demographics, POINTS, resamples, **(LIMITS | limits))


def attribute(figures, name):
    return next(one for one in figures.attributes if one.name == name)


def test_ages_fall_into_bands_whose_lower_end_is_included():
    ages = pd.Series([0, 29, 30, 49, 50, 69, 70, 85, np.nan])
    assert age_bands(ages).tolist() == [
        "<30", "<30", "30-49", "30-49", "50-69", "50-69", "70+", "70+", "unknown"
    ]  # fmt: skip


def test_every_image_is_in_one_group_of_each_attribute():
    figures = measured(*case())
    assert [one.name for one in figures.attributes] == ["sex", "age", "site"]
    for one in figures.attributes:
        assert sum(group.n_images for group in one.groups) == 600
        assert sum(group.n_lesions for group in one.groups) == 300
    assert [group.name for group in attribute(figures, "age").groups] == [
        "<30", "30-49", "50-69", "70+", "unknown"
    ]  # fmt: skip
    assert [group.name for group in attribute(figures, "site").groups] == ["back", "face", "ear"]


def test_the_figures_of_a_group_are_those_of_scikit_learn():
    sample, demographics = case()
    women = (demographics["sex"] == "female").to_numpy()
    group = next(
        one for one in attribute(measured(sample, demographics), "sex").groups
        if one.name == "female"
    )  # fmt: skip
    melanoma, score = sample.truth[women] == MEL, sample.probabilities[women, MEL]
    assert group.melanoma_images == melanoma.sum()
    assert group.melanoma_lesions * 2 == melanoma.sum()
    assert group.figure("melanoma_auc").value == pytest.approx(roc_auc_score(melanoma, score))
    name = "melanoma_sensitivity_95"
    assert group.figure(f"{name}.sensitivity").value == pytest.approx(
        recall_score(melanoma, score >= 0.2)
    )
    assert group.figure(f"{name}.specificity").value == pytest.approx(
        recall_score(~melanoma, score < 0.2)
    )
    malignant = np.isin(sample.truth[women], [LABEL_INDEX[c] for c in ("mel", "bcc", "akiec")])
    summed = sample.probabilities[women][:, [LABEL_INDEX[c] for c in ("mel", "bcc", "akiec")]]
    assert group.malignant_images == malignant.sum()
    assert group.figure("malignant_auc").value == pytest.approx(
        roc_auc_score(malignant, summed.sum(axis=1))
    )
    assert group.figure("malignant_auc").ci_low < group.figure("malignant_auc").value


def test_a_small_group_is_listed_without_figures():
    sample, demographics = case()
    group = attribute(measured(sample, demographics), "site").groups[-1]
    assert (group.name, group.too_few) == ("ear", True)
    assert group.n_images == (demographics["localization"] == "ear").sum() > 0
    assert all(one.estimate is None for one in group.figures)


def test_a_group_with_few_melanomas_reports_its_specificity_alone():
    sample, demographics = case()
    rare = (sample.truth != MEL) | (sample.groups % 7 == 0)
    demographics["sex"] = np.where(rare, "female", "male")
    melanomas = len(np.unique(sample.groups[rare & (sample.truth == MEL)]))
    figures = measured(sample, demographics, min_positives=melanomas + 1)
    group = next(one for one in attribute(figures, "sex").groups if one.name == "female")
    assert group.figure("melanoma_auc") is None
    assert group.figure("melanoma_sensitivity_95.sensitivity") is None
    assert group.figure("melanoma_sensitivity_95.specificity") is not None
    assert not group.too_few


def test_the_minimum_is_of_lesions_not_of_their_images():
    sample, demographics = case()
    melanomas = len(np.unique(sample.groups[sample.truth == MEL]))
    for minimum, reported in ((melanomas, True), (melanomas + 1, False)):
        overall = measured(sample, demographics, min_positives=minimum).overall
        assert (overall.figure("melanoma_auc") is not None) is reported


def test_the_gap_is_between_all_and_the_worst_group():
    sample, demographics = case()
    figures = measured(sample, demographics)
    ages = attribute(figures, "age")
    assert len(ages.gaps) == 6
    for gap in ages.gaps:
        known = {
            group.name: group.figure(gap.figure).value
            for group in ages.groups
            if group.name != "unknown" and group.figure(gap.figure) is not None
        }
        assert gap.worst == min(known, key=known.get)
        assert gap.gap.value == pytest.approx(
            figures.overall.figure(gap.figure).value - min(known.values())
        )


def test_the_interval_of_a_gap_is_of_the_difference_on_the_same_resamples():
    sample, demographics = case()
    resamples = Resamples.over_lesions(sample.groups, 100, 0)
    found = subgroups(sample, demographics, POINTS, resamples, **LIMITS)
    gap = next(one for one in attribute(found, "sex").gaps if one.figure == "melanoma_auc")
    inside = (demographics["sex"] == gap.worst).to_numpy()
    melanoma, score = sample.truth == MEL, sample.probabilities[:, MEL]
    drawn = [
        roc_auc_score(melanoma, score, sample_weight=weights)
        - roc_auc_score(melanoma[inside], score[inside], sample_weight=weights[inside])
        for weights in resamples.weights.astype(float)
    ]
    assert gap.gap.ci_low == pytest.approx(np.quantile(drawn, 0.025), abs=1e-6)
    assert gap.gap.ci_high == pytest.approx(np.quantile(drawn, 0.975), abs=1e-6)


def test_one_reported_group_has_no_gap():
    sample, demographics = case()
    demographics["sex"] = "male"
    assert attribute(measured(sample, demographics), "sex").gaps == ()


def test_a_group_in_which_nothing_was_missed_is_no_certainty():
    sample, demographics = case()
    men = (demographics["sex"] == "male").to_numpy()
    sample.probabilities[men & (sample.truth == MEL)] = np.eye(7)[MEL]
    group = next(
        one for one in attribute(measured(sample, demographics), "sex").groups
        if one.name == "male"
    )  # fmt: skip
    found = group.figure("melanoma_sensitivity_95.sensitivity")
    assert found.value == found.ci_high == 1.0
    assert found.ci_low == pytest.approx(0.025 ** (1 / group.melanoma_lesions))


def test_what_is_not_known_is_one_group_at_the_end():
    sample, demographics = case()
    demographics["sex"] = np.resize(np.array([None, "", "Unknown", "male", "Female "], object), 600)
    groups = attribute(measured(sample, demographics), "sex").groups
    assert [(one.name, one.n_images) for one in groups] == [
        ("female", 120), ("male", 120), ("unknown", 360)
    ]  # fmt: skip


def test_the_index_of_the_demographics_does_not_matter():
    sample, demographics = case()
    moved = demographics.set_axis(range(1000, 1600))
    assert measured(sample, moved) == measured(sample, demographics)


def test_without_positives_only_specificities_remain():
    sample, demographics = case()
    benign = Sample(
        sample.rows.assign(dx="nv"), sample.logits, sample.probabilities, sample.features
    )
    figures = measured(benign, demographics)
    reported = [one.name for one in figures.overall.figures if one.estimate is not None]
    assert reported == [f"{point.name}.specificity" for point in POINTS]


def origin(terms: Terms) -> Provenance:
    return Provenance(
        kind="local", source_height=450, source_width=600,
        **{name: getattr(terms, name) for name in ("name", "licence", "citation", "synthetic")},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("where", "said", "unsaid"),
    [
        (origin(HAM10000), "Austria and Australia", "not known here"),
        (origin(SYNTHETIC), "drawn", "Austria"),
        (origin(UNKNOWN), "not known here", "Austria"),
        (None, "not known here", "Austria"),
    ],
)
def test_what_is_said_of_skin_tone_depends_on_the_data(where, said, unsaid):
    note = skin_tone_note(where)
    assert said in note
    assert unsaid not in note


def test_the_report_says_what_is_known_of_skin_tone():
    assert measured(*case(), skin_tone="nothing").skin_tone == "nothing"


def test_demographics_of_other_images_are_refused():
    sample, demographics = case()
    with pytest.raises(ValueError, match="lack \\['sex'\\]"):
        measured(sample, demographics.drop(columns="sex"))
    with pytest.raises(ValueError, match="599 rows for 600 images"):
        measured(sample, demographics.iloc[1:])
    shuffled = demographics.assign(image_id=sample.rows["image_id"].to_numpy()[::-1])
    with pytest.raises(ValueError, match="another order"):
        measured(sample, shuffled)


def test_there_is_a_forest_for_each_attribute():
    pictures = subgroup_forests(measured(*case()))
    assert list(pictures) == ["subgroups_sex", "subgroups_age", "subgroups_site"]
    assert all(min(Image.open(BytesIO(one)).size) > 300 for one in pictures.values())


def test_groups_that_are_all_too_small_are_drawn():
    figures = measured(*case(lesions=8), min_images=100)
    assert figures.overall.too_few
    by_sex = figures.model_copy(update={"attributes": figures.attributes[:1]})
    assert list(subgroup_forests(by_sex)) == ["subgroups_sex"]
