"""The contract of the registered model: one row for each row, in order, whatever the bytes hold."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion import pyfunc
from skin_lesion.inference import Predictor
from skin_lesion.labels import LABELS, MALIGNANT
from skin_lesion.prediction_table import COLUMNS


@pytest.fixture(scope="module")
def model(small_world) -> Any:
    loaded = pyfunc.SkinLesionModel()
    loaded.load_context(SimpleNamespace(artifacts={"bundle": str(small_world.bundle.path)}))
    return loaded


@pytest.fixture(scope="module")
def pictures(small_world) -> list[bytes]:
    return [encode(pixels) for pixels in small_world.images.open()[:5]]


def encode(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def predict(model: Any, values: list[Any], index: list[Any] | None = None) -> pd.DataFrame:
    return model.predict(
        None, pd.DataFrame({"image": pd.Series(values, index=index, dtype=object)})
    )


def test_the_columns_are_the_contract(model: Any, pictures: list[bytes]) -> None:
    columns = list(predict(model, pictures).columns)
    assert columns == list(COLUMNS)
    assert columns[:11] == [
        *LABELS, "prediction", "malignant_probability", "status", "reason",
    ]  # fmt: skip


def test_a_row_for_each_row_in_order_and_under_its_index(model: Any, pictures: list[bytes]) -> None:
    index = ["e", "b", "a", "d", "c"]
    together = predict(model, pictures, index)
    assert list(together.index) == index
    for name, picture in zip(index, pictures, strict=True):
        alone = predict(model, [picture])
        assert np.allclose(
            alone[list(LABELS)].to_numpy()[0], together.loc[name, list(LABELS)].astype(float)
        )


def test_probabilities_are_those_of_the_predictor(
    model: Any, pictures: list[bytes], small_world
) -> None:
    expected = Predictor(small_world.bundle).predict(pictures)
    table = predict(model, pictures)
    for answer, (_, row) in zip(expected, table.iterrows(), strict=True):
        assert dict(row[list(LABELS)]) == pytest.approx(answer.probabilities)
        assert row["prediction"] == answer.prediction
        assert row["malignant_probability"] == pytest.approx(sum(row[list(MALIGNANT)]))


@pytest.mark.parametrize("broken", [b"", b"no picture", None, float("nan"), "text", 5], ids=repr)
def test_a_broken_row_disturbs_no_other(broken: object, model: Any, pictures: list[bytes]) -> None:
    table = predict(model, [pictures[0], broken, pictures[1]])
    assert list(table["status"]) == ["ok", "unreadable", "ok"]
    row = table.iloc[1]
    assert row[[*LABELS, "malignant_probability", "prediction"]].isna().all()
    assert isinstance(row["reason"], str)
    assert pd.isna(table["reason"].iloc[0])


def test_figures_stay_numbers_where_every_row_is_broken(model: Any) -> None:
    table = predict(model, [b"", b"x"])
    assert {str(table[name].dtype) for name in (*LABELS, "malignant_probability")} == {"float64"}


def test_an_empty_table_gives_an_empty_table(model: Any) -> None:
    table = predict(model, [])
    assert len(table) == 0
    assert list(table.columns) == list(COLUMNS)


def test_other_byte_types_are_pictures_too(model: Any, pictures: list[bytes]) -> None:
    table = predict(model, [bytearray(pictures[0]), memoryview(pictures[0])])
    assert list(table["status"]) == ["ok", "ok"]
