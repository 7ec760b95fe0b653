"""The contract of a bundle, across versions of the library."""

import json
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.modeling.bundle import (
    CONTRACT_VERSION,
    SERVING_FILES,
    Contract,
    ContractError,
    ModelBundle,
)

CONTRACT = Contract(
    input_height=150,
    input_width=200,
    resize_mode="stretch",
    source_height=450,
    source_width=600,
    backbone="mobilenet",
    feature_layer=None,
    pretrained_on="imagenet",
    data_fingerprint="d",
    split_hash="s",
    code_version="1",
    training_run_id=None,
    synthetic_only=False,
    licence="CC-BY-NC-4.0",
    parity_max_abs_difference=1e-6,
)


def written(folder: Path, **changes: Any) -> Path:
    """A bundle whose files are empty but for the contract; a field set to `...` is left out."""
    (folder / "serving").mkdir()
    for name in ("model.keras", *SERVING_FILES):
        (folder / name).touch()
    values = CONTRACT.model_dump(mode="json") | changes
    values = {name: value for name, value in values.items() if value is not ...}
    (folder / "contract.json").write_text(json.dumps(values))
    return folder


def test_the_contract_states_range_and_colour_order_of_the_input(tmp_path: Path) -> None:
    written(tmp_path)
    values = json.loads((tmp_path / "contract.json").read_text())
    assert values["input_range"] == [0, 255]
    assert values["colour_order"] == "RGB"
    assert ModelBundle.open(tmp_path).contract == CONTRACT


def test_what_a_later_library_appended_is_ignored(tmp_path: Path) -> None:
    assert ModelBundle.open(written(tmp_path, appended=[1])).contract == CONTRACT


def test_a_bundle_from_before_a_field_was_appended_is_read(tmp_path: Path) -> None:
    bundle = ModelBundle.open(written(tmp_path, input_range=..., colour_order=...))
    assert bundle.contract == CONTRACT


def test_a_newer_contract_is_refused_in_words(tmp_path: Path) -> None:
    newer = CONTRACT_VERSION + 1
    with pytest.raises(ContractError, match=f"contract_version {newer}.*up to {CONTRACT_VERSION}"):
        ModelBundle.open(written(tmp_path, contract_version=newer, temperature=...))


def test_a_misspelt_field_is_refused_where_a_contract_is_made() -> None:
    with pytest.raises(ValueError, match="temprature"):
        Contract.model_validate(CONTRACT.model_dump() | {"temprature": 2.0})
