"""A store on this machine, one that is not, and one artifact of each type."""

import gc
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from zenml.artifact_stores import LocalArtifactStore, LocalArtifactStoreConfig
from zenml.enums import StackComponentType

from materializers._files import FileMaterializer
from materializers.augmentation_plan import AugmentationPlanMaterializer
from materializers.batch_result import BatchResultMaterializer
from materializers.evaluation_report import EvaluationReportMaterializer
from materializers.history import HistoryMaterializer
from materializers.image_array import ImageArrayMaterializer
from materializers.manifest import ManifestMaterializer
from materializers.model_bundle import ModelBundleMaterializer
from materializers.picture import Picture, PictureMaterializer
from materializers.registered_version import RegisteredVersionMaterializer
from materializers.split_table import SplitTableMaterializer
from materializers.validation_report import ValidationReportMaterializer
from materializers.warmup_model import WarmupModelMaterializer
from skin_lesion.batch.files import checksum
from skin_lesion.batch.page import summary_page
from skin_lesion.batch.result import PAGE, SUMMARY, TABLES, BatchResult, BatchSummary, ModelIdentity
from skin_lesion.data.augment import make_plan
from skin_lesion.data.checks import CheckResult, ClassFacts, ValidationReport
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import IMAGE_COLUMNS, QUARANTINE_COLUMNS, Manifest, Provenance
from skin_lesion.data.split_table import SPLITS, LeakReport, SplitTable
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import SERVING_FILES, Contract, ModelBundle
from skin_lesion.modeling.history import EpochRecord, History
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.registry import RegisteredVersion
from skin_lesion.settings import AugmentConfig, BackboneConfig

IMAGES = 42


class RemoteConfig(LocalArtifactStoreConfig):
    """Makes a folder look like a store elsewhere: its files may not be opened by their path."""

    @property
    def is_local(self) -> bool:
        return False


def _store(folder: Path, config: type[LocalArtifactStoreConfig]) -> LocalArtifactStore:
    return LocalArtifactStore(
        name="store",
        id=uuid4(),
        config=config(path=str(folder)),
        flavor="local",
        type=StackComponentType.ARTIFACT_STORE,
        user=None,
        created=datetime.now(UTC),
        updated=datetime.now(UTC),
    )


@pytest.fixture
def local_store(tmp_path: Path) -> LocalArtifactStore:
    return _store(tmp_path / "store", LocalArtifactStoreConfig)


@pytest.fixture
def remote_store(tmp_path: Path) -> LocalArtifactStore:
    return _store(tmp_path / "remote", RemoteConfig)


@pytest.fixture(params=["local_store", "remote_store"])
def store(request: pytest.FixtureRequest) -> LocalArtifactStore:
    found: LocalArtifactStore = request.getfixturevalue(request.param)
    return found


Opener = Callable[[type[FileMaterializer], LocalArtifactStore], Any]


@pytest.fixture
def open_materializer(tmp_path: Path) -> Opener:
    """Make a materializer with an empty folder in a store, as ZenML does."""

    def make(materializer: type[FileMaterializer], store: LocalArtifactStore) -> Any:
        folder = Path(store.path) / uuid4().hex
        folder.mkdir(parents=True)
        return materializer(str(folder), store)

    return make


@pytest.fixture
def manifest() -> Manifest:
    rows = range(IMAGES)
    images = pd.DataFrame(
        {
            "image_id": [f"ISIC_{i:07d}" for i in rows],
            "lesion_id": [f"HAM_{i // 2}" for i in rows],
            "dx": [LABELS[i // 2 % 7] for i in rows],
            "dx_type": "histo",
            "age": [float("nan") if i == 3 else 40.0 + i / 3 for i in rows],
            "sex": "female",
            "localization": "back",
            "sha256": [f"{i:064x}" for i in rows],
            "phash": [f"{i:016x}" for i in rows],
            "width": 600,
            "height": 450,
            "brightness": [0.1 + i for i in rows],
            "contrast": 12.5,
        }
    ).astype(IMAGE_COLUMNS)
    quarantine = pd.DataFrame(
        [("ISIC_9", "a<b>.jpg", "truncated", "ends after 5 bytes")],
        columns=list(QUARANTINE_COLUMNS),
        dtype="str",
    )
    provenance = Provenance(
        kind="local", name="A & B", licence="CC-BY-NC-4.0", citation="none", synthetic=False,
        source_height=450, source_width=600, resize_mode="pad",
    )  # fmt: skip
    return Manifest(images, quarantine, provenance)


@pytest.fixture
def images(tmp_path: Path) -> ImageArray:
    path = tmp_path / "made" / "images.npy"
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 12, 16, 3), np.uint8)
    np.save(path, pixels)
    return ImageArray(path, (IMAGES, 12, 16, 3), "ab" * 32)


@pytest.fixture
def split(manifest: Manifest) -> SplitTable:
    rows = manifest.images[["image_id", "lesion_id", "dx"]].copy()
    rows.insert(2, "group", rows["lesion_id"])
    rows["split"] = [SPLITS[i // 14] for i in range(IMAGES)]
    zeros = {split: dict.fromkeys(LABELS, 0.0) for split in SPLITS}
    report = LeakReport(
        groups_crossing=0,
        duplicates_crossing=0,
        merged_pairs=2,
        unmerged_pairs=1,
        images=dict.fromkeys(SPLITS, 14),
        groups=dict.fromkeys(SPLITS, 7),
        class_counts={split: dict.fromkeys(LABELS, 2) for split in SPLITS},
        class_share_deviation=zeros,
    )
    return SplitTable(rows, report)


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    folder = tmp_path / "made_bundle"
    (folder / "serving").mkdir(parents=True)
    for name in ("model.keras", *SERVING_FILES):
        (folder / name).write_bytes(name.encode() * 100)
    contract = Contract(
        input_height=12, input_width=16, resize_mode="pad", source_height=450, source_width=600,
        backbone="mobilenet", feature_layer=None, pretrained_on="nothing",
        data_fingerprint="d" * 64, split_hash="s" * 64, code_version="0+x",
        training_run_id="run", synthetic_only=False, licence="CC-BY-NC-4.0",
        parity_max_abs_difference=1e-7,
    )  # fmt: skip
    (folder / "contract.json").write_text(contract.model_dump_json())
    return ModelBundle.open(folder)


def _write_model(path: Path, date: str, weights: bytes) -> None:
    """A zip in the layout of a `.keras` file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", date)
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", weights)


@pytest.fixture
def write_model() -> Callable[[Path, str, bytes], None]:
    return _write_model


@pytest.fixture
def warmup_model(tmp_path: Path) -> WarmupModel:
    path = tmp_path / "made.keras"
    _write_model(path, "today", b"weights")
    return WarmupModel(path, BackboneConfig(name="mobilenet", weights="none"), "nothing", 3)


@pytest.fixture
def history() -> History:
    records = [
        EpochRecord(
            epoch=epoch,
            learning_rate=1e-3,
            seconds=2.5,
            images_per_second=10.0,
            metrics={"loss": 1.0, "accuracy": 0.5, "val_loss": 1.1, "val_accuracy": 0.4,
                     "val_balanced_accuracy": 0.3, "val_macro_f1": 0.2},
        )
        for epoch in (2, 3)
    ]  # fmt: skip
    return History(
        phase="finetune", description="words", records=tuple(records), best_epoch=3,
        trainable_parameters=7, mlflow_run_id="run",
    )  # fmt: skip


@pytest.fixture
def evaluation(small_report: EvaluationReport) -> EvaluationReport:
    return small_report


@pytest.fixture
def validation() -> ValidationReport:
    return ValidationReport(
        data_set="A & B",
        synthetic=False,
        images=IMAGES,
        lesions=21,
        quarantined=1,
        classes=tuple(ClassFacts(dx=x, images=6, lesions=3, share=1 / 7) for x in LABELS),
        expectations=(
            CheckResult(
                name="a rule", table="images", severity="warning", success=False, detail="no",
                failing_rows=("ISIC_0000001",), failing_count=1,
            ),
        ),
    )  # fmt: skip


@pytest.fixture
def version() -> RegisteredVersion:
    return RegisteredVersion(
        name="skin-lesion-classifier", version=3, uri="models:/m-1", bundle_hash="b" * 64,
        run_id="run", created=True, tags={"bundle_hash": "b" * 64},
    )  # fmt: skip


@pytest.fixture
def batch(tmp_path: Path) -> BatchResult:
    folder = tmp_path / "made_batch"
    folder.mkdir()
    for name in TABLES:
        (folder / name).write_bytes(name.encode() * 50)
    summary = BatchSummary(
        job="a" * 64, source="/A & <b>", source_fingerprint="c" * 64, inputs=3, left_out=1,
        model=ModelIdentity(
            asked="champion", version="3", bundle_hash="b" * 64, synthetic_only=True,
            operating_points=("melanoma_sensitivity_95",),
        ),
        statuses={"ok": 2, "unreadable": 1}, reasons={"empty": 1},
        classes=dict.fromkeys(LABELS, 0) | {"nv": 2}, suspicious={"melanoma_sensitivity_95": 1},
        files={name: checksum(folder / name) for name in TABLES},
        finished="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    aside = [{"row": "1", "file": "a<b>\n.jpg", "reason": "empty", "detail": "no bytes"}]
    (folder / PAGE).write_text(summary_page(summary, aside))
    (folder / SUMMARY).write_text(summary.model_dump_json())
    return BatchResult.open(folder)


# Name of the fixture -> materializer of its type.
MATERIALIZERS: dict[str, type[FileMaterializer]] = {
    "manifest": ManifestMaterializer,
    "images": ImageArrayMaterializer,
    "validation": ValidationReportMaterializer,
    "split": SplitTableMaterializer,
    "plan": AugmentationPlanMaterializer,
    "picture": PictureMaterializer,
    "warmup_model": WarmupModelMaterializer,
    "history": HistoryMaterializer,
    "bundle": ModelBundleMaterializer,
    "evaluation": EvaluationReportMaterializer,
    "version": RegisteredVersionMaterializer,
    "batch": BatchResultMaterializer,
}


@pytest.fixture
def plan(split: SplitTable) -> Any:
    return make_plan(split, AugmentConfig(), seed=5)


@pytest.fixture
def picture(evaluation: EvaluationReport) -> Picture:
    return Picture(evaluation.figures["roc"])


@pytest.fixture(params=sorted(MATERIALIZERS))
def artifact(request: pytest.FixtureRequest) -> tuple[Any, type[FileMaterializer]]:
    """Each artifact with its materializer."""
    return request.getfixturevalue(request.param), MATERIALIZERS[request.param]


@pytest.fixture
def collect() -> Callable[[], int]:
    return gc.collect
