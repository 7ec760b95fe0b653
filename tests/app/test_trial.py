"""A model is asked before anyone relies on it."""

from dataclasses import replace

import numpy as np
import pytest

from app.trial import TrialError, try_out
from skin_lesion.inference import Predictor
from skin_lesion.prediction import HeatMap, Prediction


@pytest.fixture
def predictor(bundles) -> Predictor:
    return Predictor(bundles[1])


def test_a_sound_model_passes(predictor: Predictor) -> None:
    try_out(predictor)


def test_a_model_that_refuses_the_drawn_picture_may_be_sound(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [Prediction("cannot_assess", "unlike_training"), Prediction("unreadable", "empty")]
    monkeypatch.setattr(predictor, "predict", lambda *_: refused)
    try_out(predictor)


def sound(predictor: Predictor) -> Prediction:
    from app.trial import drawn_picture

    [answer] = predictor.predict([drawn_picture(predictor)])
    assert answer.status == "ok"
    return answer


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: replace(a, status="unreadable", reason="truncated"), "could not be read"),
        (lambda a: replace(a, probabilities=None), "probabilities are"),
        (lambda a: replace(a, probabilities={**a.probabilities, "mel": float("nan")}), "are"),
        (lambda a: replace(a, probabilities={**a.probabilities, "mel": 0.9999}), "sum to"),
        (
            lambda a: replace(a, prediction=min(a.probabilities, key=a.probabilities.get)),
            "not the most probable",
        ),
    ],
)
def test_an_answer_that_no_sound_model_gives_is_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, change, words: str
) -> None:
    answers = [change(sound(predictor)), Prediction("unreadable", "unreadable")]
    monkeypatch.setattr(predictor, "predict", lambda *_: answers)
    with pytest.raises(TrialError, match=words):
        try_out(predictor)


def test_a_model_that_answers_what_is_no_picture_is_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = sound(predictor)
    monkeypatch.setattr(predictor, "predict", lambda *_: [answer, answer])
    with pytest.raises(TrialError, match="no picture"):
        try_out(predictor)


def test_a_heat_map_out_of_range_is_refused(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = HeatMap(np.zeros((2, 2, 3), np.uint8), np.array([[np.nan]], np.float32), "mel")
    monkeypatch.setattr(predictor, "heat_map", lambda *_: broken)
    with pytest.raises(TrialError, match="heat-map"):
        try_out(predictor)
