"""A prediction as a flat row: whatever it says, the same columns of the same types."""

import io
import json
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from skin_lesion.labels import LABELS
from skin_lesion.prediction import HeatMap, Prediction, Versions
from skin_lesion.prediction_table import COLUMNS, frame, nested, row
from skin_lesion.quality import Quality

VERSIONS = Versions(bundle="b" * 64, contract="c" * 64, model="7")
QUALITY = Quality(
    sharpness=1.5, brightness=180.0, dark_share=0.0, bright_share=0.25, contrast=20.0,
    skin_likeness=0.75, short_side=150.0, aspect=1.25,
)  # fmt: skip
ANSWER = Prediction(
    status="ok",
    probabilities=dict(zip(LABELS, (0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.015625), strict=True)),
    prediction="akiec",
    malignant_probability=0.78125,
    confidence="low",
    prediction_set=("akiec", "bcc"),
    verdicts={"melanoma_sensitivity_95": False, "malignant_sensitivity_95": True},
    quality=QUALITY,
    ood_score=2.5,
    unlike_training=False,
    image_sha256="a" * 64,
    versions=VERSIONS,
)  # fmt: skip
UNREADABLE = Prediction("unreadable", "truncated", image_sha256="d" * 64, versions=VERSIONS)
UNLIKE = Prediction(
    "cannot_assess", "unlike_training", quality=QUALITY, ood_score=9.0, unlike_training=True,
    image_sha256="e" * 64, versions=VERSIONS,
)  # fmt: skip


@pytest.mark.parametrize("prediction", [ANSWER, UNREADABLE, UNLIKE, Prediction("ok")])
def test_a_row_has_every_column_in_order(prediction: Prediction) -> None:
    assert tuple(row(prediction)) == COLUMNS


def test_the_columns_of_the_contract_come_first_and_none_is_renamed() -> None:
    assert COLUMNS == (
        "akiec", "bcc", "bkl", "df", "mel", "nv", "vasc", "prediction", "malignant_probability",
        "status", "reason", "confidence", "prediction_set", "verdicts", "quality_sharpness",
        "quality_brightness", "quality_dark_share", "quality_bright_share", "quality_contrast",
        "quality_skin_likeness", "quality_short_side", "quality_aspect", "ood_score",
        "unlike_training", "image_sha256", "model_version", "bundle_hash", "contract_hash", "several_frames",
        "precision", "embedding_distance",
    )  # fmt: skip


def test_every_field_of_a_prediction_but_the_heat_map_changes_the_row() -> None:
    changed = {
        "status": "unreadable", "reason": "bomb", "probabilities": {"mel": 1.0},
        "prediction": "mel", "malignant_probability": 0.0, "confidence": "high",
        "prediction_set": (), "verdicts": {}, "quality": replace(QUALITY, aspect=2.0),
        "ood_score": 0.0, "unlike_training": True, "image_sha256": "0" * 64,
        "versions": replace(VERSIONS, contract="0" * 64), "several_frames": True,
        "embedding_distance": 0.5,
    }  # fmt: skip
    assert {field.name for field in fields(Prediction)} == changed.keys() | {"heat_map"}
    for name, value in changed.items():
        other = replace(ANSWER, **{name: value})
        assert row(other) != row(ANSWER), name
        assert nested(other) != nested(ANSWER), name


def test_cells_say_what_the_prediction_says() -> None:
    cells = row(ANSWER)
    assert [cells[label] for label in LABELS] == list((ANSWER.probabilities or {}).values())
    assert cells["prediction_set"] == "akiec bcc"
    assert json.loads(str(cells["verdicts"])) == ANSWER.verdicts
    assert cells["quality_bright_share"] == 0.25
    assert (cells["model_version"], cells["bundle_hash"]) == ("7", "b" * 64)


def test_what_was_not_found_out_is_none_and_what_was_is_kept() -> None:
    cells = row(UNLIKE)
    assert all(cells[name] is None for name in (*LABELS, "prediction", "verdicts", "confidence"))
    assert (cells["ood_score"], cells["unlike_training"]) == (9.0, True)
    assert cells["quality_aspect"] == 1.25


@pytest.mark.parametrize("rows", [[ANSWER, UNREADABLE, UNLIKE], [UNREADABLE], []], ids=len)
def test_a_table_has_the_same_types_whatever_its_rows_say(rows: list[Prediction]) -> None:
    assert list(frame(rows).dtypes.astype(str)) == list(frame([ANSWER]).dtypes.astype(str))
    assert set(frame(rows).dtypes.astype(str)) == {"float64", "str", "boolean"}


def test_a_table_survives_parquet_and_its_figures_survive_csv() -> None:
    table = frame([ANSWER, UNREADABLE, UNLIKE])
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    pd.testing.assert_frame_equal(pd.read_parquet(buffer), table)
    text = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert list(text.columns) == list(COLUMNS)
    np.testing.assert_array_equal(text[list(LABELS)], table[list(LABELS)])


def test_nested_is_json_and_leaves_the_heat_map_out() -> None:
    heat_map = HeatMap(np.zeros((2, 2, 3), np.uint8), np.zeros((1, 1), np.float32), "mel")
    answer = nested(replace(ANSWER, heat_map=heat_map))
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["probabilities"] == ANSWER.probabilities
    assert answer["prediction_set"] == ["akiec", "bcc"]
    assert answer["verdicts"] == ANSWER.verdicts
    assert answer["contract_hash"] == "c" * 64
    assert "heat_map" not in answer


def test_nested_has_the_same_members_whatever_the_status() -> None:
    assert list(nested(UNREADABLE)) == list(nested(UNLIKE)) == list(nested(ANSWER))
    assert nested(UNREADABLE)["probabilities"] is None
