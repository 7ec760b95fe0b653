"""What is stored is what is loaded, whatever the store; and a person sees something of it."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import VisualizationType

from materializers import _files
from materializers._files import FileMaterializer, frame_hash, workspace
from materializers.batch_result import BatchResultMaterializer
from materializers.evaluation_report import EvaluationReportMaterializer
from materializers.image_array import ImageArrayMaterializer
from materializers.manifest import ManifestMaterializer
from materializers.model_bundle import ModelBundleMaterializer
from materializers.warmup_model import WarmupModelMaterializer
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.train import WarmupModel

Artifact = tuple[Any, type[FileMaterializer]]


def same(a: object, b: object) -> bool:
    """Whether two artifacts are worth the same; handles on files by what the files hold."""
    if isinstance(a, ImageArray) and isinstance(b, ImageArray):
        return np.array_equal(a.open(), b.open()) and a.sha256 == b.sha256
    if isinstance(a, ModelBundle) and isinstance(b, ModelBundle):
        return a.contract == b.contract and a.bundle_hash == b.bundle_hash
    if isinstance(a, Path) and isinstance(b, Path):
        return a.read_bytes() == b.read_bytes()
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        pd.testing.assert_frame_equal(a, b)
        return True
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        compared = [field.name for field in dataclasses.fields(a) if field.compare]
        return all(same(getattr(a, name), getattr(b, name)) for name in compared)
    return a == b


def test_an_artifact_survives_the_round_trip(
    artifact: Artifact, store: LocalArtifactStore, open_materializer: Any
) -> None:
    value, materializer_class = artifact
    materializer = open_materializer(materializer_class, store)
    materializer.save(value)
    loaded = materializer_class(materializer.uri, store).load(type(value))
    assert type(loaded) is type(value)
    assert same(loaded, value)


def test_an_artifact_has_a_hash_of_its_content(
    artifact: Artifact, store: LocalArtifactStore, open_materializer: Any
) -> None:
    """Then a step that re-ran to an equal value leaves the steps after it in the cache."""
    value, materializer_class = artifact
    materializer = open_materializer(materializer_class, store)
    materializer.save(value)
    before = materializer.compute_content_hash(value)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert materializer.compute_content_hash(materializer.load(type(value))) == before


def test_an_artifact_shows_a_picture_or_a_page_that_needs_no_network(
    artifact: Artifact, store: LocalArtifactStore, open_materializer: Any
) -> None:
    value, materializer_class = artifact
    materializer = open_materializer(materializer_class, store)
    materializer.save(value)
    shown = materializer.save_visualizations(value)
    assert shown
    for address, kind in shown.items():
        assert address.startswith(materializer.uri)
        data = Path(address).read_bytes()
        if kind == VisualizationType.IMAGE:
            assert data.startswith(b"\x89PNG")
        else:
            assert kind == VisualizationType.HTML
            assert not re.search(rb"""(?:src|href)\s*=\s*(?!["']?(?:data:|#))""", data)
            assert b"url(" not in data


def test_metadata_can_be_stored(
    artifact: Artifact, store: LocalArtifactStore, open_materializer: Any
) -> None:
    from zenml.metadata.metadata_types import get_metadata_type

    value, materializer_class = artifact
    materializer = open_materializer(materializer_class, store)
    materializer.save(value)
    for entry in materializer.extract_metadata(value).values():
        get_metadata_type(entry)


def test_text_from_the_data_cannot_break_a_page(
    manifest: Manifest, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    materializer = open_materializer(ManifestMaterializer, local_store)
    (address,) = materializer.save_visualizations(manifest)
    page = Path(address).read_text()
    assert "a&lt;b&gt;.jpg" in page
    assert "A &amp; B" in page
    assert "<b>.jpg" not in page


def test_another_value_has_another_hash(
    manifest: Manifest, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    materializer = open_materializer(ManifestMaterializer, local_store)
    images = manifest.images.copy()
    images.loc[0, "age"] += 1e-9
    provenance = manifest.provenance.model_copy(update={"resize_mode": "crop"})
    hashes = {
        materializer.compute_content_hash(value)
        for value in (
            manifest,
            dataclasses.replace(manifest, images=images),
            dataclasses.replace(manifest, provenance=provenance),
            dataclasses.replace(manifest, quarantine=manifest.quarantine.iloc[:0]),
        )
    }
    assert len(hashes) == 4


def test_a_report_measured_again_has_the_hash_of_the_first(
    evaluation: EvaluationReport, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    """Another look gives the same figures: nothing that follows has to run again."""
    materializer = open_materializer(EvaluationReportMaterializer, local_store)
    assert evaluation.summary.looks is not None
    looks = evaluation.summary.looks.model_copy(update={"row": 99, "before": 98})
    changed = evaluation.summary.model_copy(update={"looks": looks})
    again = dataclasses.replace(evaluation, summary=changed)
    assert materializer.compute_content_hash(again) == materializer.compute_content_hash(evaluation)
    other = dataclasses.replace(evaluation, summary=changed.model_copy(update={"seed": 99}))
    assert materializer.compute_content_hash(other) != materializer.compute_content_hash(evaluation)


def test_the_hash_of_a_table_knows_types_and_order() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    others = [table.iloc[::-1], table.astype({"a": "float64"}), table[["b", "a"]]]
    assert len({frame_hash(frame) for frame in (table, *others)}) == 4


def test_pixels_are_linked_into_a_local_store_and_mapped_in_place(
    images: ImageArray, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    materializer = open_materializer(ImageArrayMaterializer, local_store)
    materializer.save(images)
    loaded = materializer.load(ImageArray)
    assert loaded.path.parent == Path(materializer.uri)
    assert loaded.path.samefile(images.path)
    assert isinstance(loaded.open(), np.memmap)


def test_pixels_outlive_the_folder_they_were_made_in(
    images: ImageArray, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    materializer = open_materializer(ImageArrayMaterializer, local_store)
    materializer.save(images)
    pixels = np.array(images.open())
    images.path.unlink()
    assert np.array_equal(materializer.load(ImageArray).open(), pixels)


@pytest.mark.parametrize(
    ("name", "materializer_class"),
    [
        ("images", ImageArrayMaterializer),
        ("bundle", ModelBundleMaterializer),
        ("warmup_model", WarmupModelMaterializer),
        ("batch", BatchResultMaterializer),
    ],
)
def test_copies_from_a_remote_store_vanish_with_their_handle(
    name: str,
    materializer_class: type[FileMaterializer],
    remote_store: LocalArtifactStore,
    open_materializer: Any,
    tmp_path: Path,
    collect: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    value = request.getfixturevalue(name)
    materializer = open_materializer(materializer_class, remote_store)
    materializer.save(value)
    assert not list(scratch.iterdir())
    loaded = materializer.load(type(value))
    assert list(scratch.iterdir())
    assert loaded.path.exists()
    del loaded
    collect()
    assert not list(scratch.iterdir())


def test_a_failed_download_leaves_nothing_behind(
    images: ImageArray,
    remote_store: LocalArtifactStore,
    open_materializer: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    materializer = open_materializer(ImageArrayMaterializer, remote_store)
    materializer.save(images)
    (Path(materializer.uri) / "images.npy").unlink()
    with pytest.raises(FileNotFoundError):
        materializer.load(ImageArray)
    assert not list(scratch.iterdir())


def test_a_workspace_without_an_owner_is_deleted(tmp_path: Path) -> None:
    with workspace(beside=tmp_path / "store") as space:
        (space.path / "file").touch()
        assert space.path.parent.parent == tmp_path
    assert not space.path.exists()


def test_a_workspace_lives_as_long_as_its_owner(tmp_path: Path, collect: Any) -> None:
    owner = ImageArray(tmp_path, (1, 1, 1, 3), "")
    with workspace() as space:
        space.belongs_to(owner)
    assert space.path.exists()
    del owner
    collect()
    assert not space.path.exists()


def test_large_files_are_moved_in_pieces(
    tmp_path: Path,
    remote_store: LocalArtifactStore,
    open_materializer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_files, "_CHUNK", 7)
    source = tmp_path / "source"
    source.write_bytes(bytes(range(100)))
    materializer = open_materializer(ImageArrayMaterializer, remote_store)
    materializer.upload(source, "deep/copy")
    assert materializer.download("deep/copy", tmp_path / "a" / "b").read_bytes() == bytes(
        range(100)
    )


def test_a_model_says_which_code_trained_it_and_one_of_an_earlier_version_that_nobody_knows(
    warmup_model: WarmupModel, local_store: LocalArtifactStore, open_materializer: Any
) -> None:
    materializer = open_materializer(WarmupModelMaterializer, local_store)
    trained = dataclasses.replace(warmup_model, trained_by=("abc", "def"))
    materializer.save(trained)
    assert materializer.load(WarmupModel).trained_by == ("abc", "def")
    assert materializer.extract_metadata(trained)["training_code"] == "abc, def"
    file = Path(materializer.uri) / "model.json"
    facts = json.loads(file.read_text())
    del facts["trained_by"]
    file.write_text(json.dumps(facts))
    assert materializer.load(WarmupModel).trained_by == ("",)


def test_the_time_of_saving_does_not_change_the_hash_of_a_model(
    warmup_model: WarmupModel,
    local_store: LocalArtifactStore,
    open_materializer: Any,
    write_model: Any,
) -> None:
    materializer = open_materializer(WarmupModelMaterializer, local_store)
    before = materializer.compute_content_hash(warmup_model)
    write_model(warmup_model.path, "tomorrow", b"weights")
    assert materializer.compute_content_hash(warmup_model) == before
    write_model(warmup_model.path, "today", b"others")
    assert materializer.compute_content_hash(warmup_model) != before


@pytest.mark.parametrize(
    ("graph", "equal"),
    [
        ([{"layer": {"shared_object_id": 7}}, {"shared_object_id": 7}, {"units": 3}], True),
        ([{"layer": {"shared_object_id": 7}}, {"shared_object_id": 8}, {"units": 3}], False),
        ([{"layer": {"shared_object_id": 7}}, {"shared_object_id": 7}, {"units": 4}], False),
    ],
)
def test_a_model_hashes_alike_in_every_process_for_which_objects_it_shares(
    graph: list[dict[str, Any]],
    equal: bool,
    warmup_model: WarmupModel,
    local_store: LocalArtifactStore,
    open_materializer: Any,
) -> None:
    """Keras writes the address of what layers share, which differs from process to process."""

    def hash_of(graph: list[dict[str, Any]]) -> str:
        with zipfile.ZipFile(warmup_model.path, "w") as archive:
            archive.writestr("config.json", json.dumps(graph))
        materializer = open_materializer(WarmupModelMaterializer, local_store)
        return str(materializer.compute_content_hash(warmup_model))

    here = [{"layer": {"shared_object_id": 139}}, {"shared_object_id": 139}, {"units": 3}]
    assert (hash_of(here) == hash_of(graph)) == equal


def test_what_a_killed_process_left_behind_is_removed(tmp_path: Path, root: Path) -> None:
    """A kill gives no chance to tidy up; the next workspace at the same place does it."""
    store = tmp_path / "store"
    code = (
        "import os, pathlib, signal, sys\n"
        "from materializers._files import workspace\n"
        "with workspace(beside=pathlib.Path(sys.argv[1])) as space:\n"
        "    (space.path / 'images.npy').write_bytes(b'x' * 1000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(store)], cwd=root, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    [orphan] = (tmp_path / "tmp").iterdir()
    with workspace(beside=store) as space:
        assert not orphan.exists()
        with workspace(beside=store):  # of a process that lives
            assert space.path.is_dir()
