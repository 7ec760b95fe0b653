"""The contract of a bundle, across versions of the library."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.decisions import Calibrator, Decisions
from skin_lesion.disk import DiskFullError
from skin_lesion.modeling.bundle import (
    CONTRACT_VERSION,
    EVALUATION_FILES,
    OOD_FILE,
    SEEN_FILE,
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


def test_the_options_in_use_are_told_in_words_and_others_are_not() -> None:
    assert CONTRACT.options == {}
    found = CONTRACT.model_copy(
        update={
            "feature_levels": ("conv_pw_5_relu", "conv_pw_11_relu"),
            "colour_constancy": "shades_of_grey",
            "stochastic_depth": 0.0,
            "views": 8,
        }
    ).options
    assert list(found) == ["Feature levels", "Colour constancy", "Stochastic depth", "Views"]
    assert "conv_pw_5_relu, conv_pw_11_relu" in found["Feature levels"]
    assert "shades of grey" in found["Colour constancy"]
    assert "up to 0 in training" in found["Stochastic depth"]
    assert "mean over 8" in found["Views"]
    assert "8 times the computation" in found["Views"]


class Words:
    """A file of a bundle, for want of a real one."""

    def __init__(self, text: str) -> None:
        self.text = text

    def save(self, path: Path) -> None:
        path.write_text(self.text)


DECISIONS = Decisions(calibrator=Calibrator(temperature=2.0))


def test_every_file_that_evaluation_adds_goes_along_and_counts_in_the_hash(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    plain = bundle.with_decisions(DECISIONS, {}, tmp_path / "plain")
    hashes = {plain.bundle_hash}
    for number, name in enumerate(EVALUATION_FILES):
        one = bundle.with_decisions(DECISIONS, {name: Words("x")}, tmp_path / str(number))
        assert (one.path / name).read_text() == "x"
        hashes.add(one.bundle_hash)
    assert len(hashes) == 1 + len(EVALUATION_FILES)
    assert plain.ood_path is None
    assert plain.seen_path is None


def test_files_of_an_earlier_evaluation_are_left_behind(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    first = bundle.with_decisions(
        DECISIONS, {OOD_FILE: Words("x"), SEEN_FILE: Words("y")}, tmp_path / "first"
    )
    second = first.with_decisions(DECISIONS, {SEEN_FILE: Words("z")}, tmp_path / "second")
    assert second.ood_path is None
    assert second.seen_path is not None
    assert second.seen_path.read_text() == "z"


def test_a_bundle_from_before_a_file_was_added_keeps_its_hash(tmp_path: Path) -> None:
    """Versions are found again by this hash: it is written down here as it always was."""
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    old = bundle.with_decisions(DECISIONS, {OOD_FILE: Words("x")}, tmp_path / "old")
    names = sorted(["contract.json", "model.keras", *SERVING_FILES, "serving/ood.npz"])
    lines = [
        f"{name}\t{hashlib.sha256((old.path / name).read_bytes()).hexdigest()}\n" for name in names
    ]
    assert old.bundle_hash == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert ModelBundle.open(old.path).seen_path is None


def test_a_file_of_no_such_name_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    with pytest.raises(ValueError, match=r"serving/odd\.npz is no file of a bundle"):
        bundle.with_decisions(DECISIONS, {"serving/odd.npz": Words("x")}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


class NoRoom:
    """A file that the disk has no room for."""

    def save(self, path: Path) -> None:
        path.write_text("half of i")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_a_copy_that_finds_no_room_says_so_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    wanted = (
        r"copy of the model's bundle \(temporary files lie where TMPDIR says\) cannot be written to "
        rf"{tmp_path}.*the disk is full: about .* MiB are needed, .* MiB are free"
    )
    with pytest.raises(DiskFullError, match=wanted):
        bundle.with_decisions(DECISIONS, {OOD_FILE: NoRoom()}, tmp_path / "decided")
    whole = bundle.with_contract(CONTRACT, tmp_path / "whole")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "whole"]

    def copytree(source: Path, target: Path, **_: Any) -> None:
        """It hands on the words of what the system said, and none of its numbers."""
        (target / "model.keras").write_text("half of i")
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise shutil.Error([(str(source), str(target), str(error))])

    monkeypatch.setattr(shutil, "copytree", copytree)
    with pytest.raises(DiskFullError, match=wanted):
        bundle.with_contract(CONTRACT, tmp_path / "copied")
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a", "whole"]
    assert ModelBundle.open(whole.path).contract == CONTRACT


def test_a_copy_takes_the_place_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    bundle = ModelBundle.open(written(tmp_path / "a"))
    with pytest.raises(FileExistsError, match="name a new folder"):
        bundle.with_contract(CONTRACT, bundle.path)
    assert ModelBundle.open(bundle.path).contract == CONTRACT
