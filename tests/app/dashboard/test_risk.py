"""How the frozen operating points become a level of malignancy risk."""

import itertools

import pytest

from app.clinic.risk import RISK_LEVELS, Risk, risk, risk_of
from skin_lesion.decisions import Decisions, OperatingPoint
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction
from skin_lesion.texts import LANGUAGES, Texts


def point(
    name: str, threshold: float, criterion: str = "sensitivity", *, reached: bool = True
) -> OperatingPoint:
    return OperatingPoint.model_validate(
        {
            "name": name,
            "target": name.split("_")[0],
            "criterion": criterion,
            "goal": 0.95,
            "threshold": threshold,
            "reached": reached,
        }
    )


POINTS = (
    point("melanoma_90", 0.05),
    point("melanoma_95", 0.03),
    point("malignant_95", 0.10),
    point("melanoma_referral", 0.02, "ppv"),
)


def level(melanoma: float, malignant: float, points: tuple[OperatingPoint, ...] = POINTS) -> object:
    return risk(melanoma, malignant, points).level


@pytest.mark.parametrize(
    ("melanoma", "malignant", "expected"),
    [
        (0.0, 0.0, "low"),
        (0.019, 0.099, "low"),
        (0.02, 0.02, "raised"),  # a point for a predictive value
        (0.03, 0.03, "raised"),  # the less specific of two for sensitivity
        (0.05, 0.05, "high"),
        (0.0, 0.10, "high"),
        (0.0, 0.49, "high"),
        (0.0, 0.5, "very_high"),
        (1.0, 1.0, "very_high"),
    ],
)
def test_the_level_follows_from_the_frozen_thresholds(
    melanoma: float, malignant: float, expected: str
) -> None:
    assert level(melanoma, malignant) == expected


@pytest.mark.parametrize("points", [POINTS, POINTS[:1], (point("malignant_95", 0.7),), ()])
def test_more_malignant_probability_never_lowers_the_level(
    points: tuple[OperatingPoint, ...],
) -> None:
    steps = [i / 50 for i in range(51)]
    grid = {
        (melanoma, malignant): risk(melanoma, malignant, points)
        for melanoma, malignant in itertools.product(steps, steps)
        if melanoma <= malignant
    }
    # What has no level says less than every level: it may become any of them, and no level it.
    order = {None: -1, **{name: i for i, name in enumerate(RISK_LEVELS)}}
    for (melanoma, malignant), here in grid.items():
        for further in ((melanoma + 0.02, malignant), (melanoma, malignant + 0.02)):
            there = grid.get((round(further[0], 2), round(further[1], 2)))
            assert there is None or order[there.level] >= order[here.level]


@pytest.mark.parametrize(
    "points",
    [
        (),
        POINTS[:2],  # nothing looks for malignant lesions
        (POINTS[3],),  # a predictive value promises no sensitivity
        (POINTS[0], point("malignant_95", 0.1, reached=False)),
    ],
    ids=["no points", "one target", "no sensitivity", "not reached"],
)
def test_no_level_is_low_where_no_threshold_vouches_for_it(
    points: tuple[OperatingPoint, ...],
) -> None:
    assert level(0.0, 0.0, points) is None
    assert level(0.4, 0.6, points) == "very_high"


def test_a_threshold_that_validation_could_not_reach_still_raises_the_level() -> None:
    assert level(0.0, 0.2, (point("malignant_95", 0.1, reached=False),)) == "high"


def test_what_has_no_level_is_sorted_above_what_has_no_signal() -> None:
    unrated = risk(0.0, 0.0, ())
    assert unrated.rank > risk(0.0, 0.0, POINTS).rank
    assert unrated.rank < risk(0.0, 0.2, POINTS).rank


def test_a_sure_benign_first_choice_hides_no_melanoma() -> None:
    """The most probable class has no say: a naevus at 90 % leaves room enough for a melanoma."""
    shares = dict.fromkeys(LABELS, 0.0) | {"nv": 0.9, "mel": 0.1}
    found = risk_of(
        Prediction("ok", probabilities=shares, prediction="nv", malignant_probability=0.1),
        Decisions(operating_points=POINTS),
    )
    assert found == Risk("high", 0.1, 0.1, POINTS, 4)


@pytest.mark.parametrize("status", ["cannot_assess", "unreadable"])
def test_what_was_not_assessed_has_no_risk_at_all(status: str) -> None:
    refused = Prediction(status, reason="blank")  # type: ignore[arg-type]
    assert risk_of(refused, Decisions(operating_points=POINTS)) is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_level_is_ever_said_to_be_safe(language: str) -> None:
    texts = Texts(language)  # type: ignore[arg-type]
    reassuring = (
        "safe",
        "harmless",
        "benign",
        "nothing to",
        "segur",
        "inofensiv",
        "benign",
        "sano",
    )
    for name in (*RISK_LEVELS, "none"):
        said = (
            f"{texts(f'answer.risk.level.{name}')} {texts(f'answer.risk.meaning.{name}')}".lower()
        )
        assert not [word for word in reassuring if word in said]
    assert "not rule" in texts("answer.risk.meaning.low") or "no descarta" in texts(
        "answer.risk.meaning.low"
    )
