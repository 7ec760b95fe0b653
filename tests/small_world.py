"""A small world for the tests of evaluation and serving: pictures, their split and a model."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.looking import Ledger, Look, LookNote, Purpose
from skin_lesion.data.manifest import Manifest, Provenance
from skin_lesion.data.split_table import LeakReport, SplitTable
from skin_lesion.evaluation.report import EvaluationReport, evaluate
from skin_lesion.labels import LABELS, NUM_CLASSES
from skin_lesion.modeling.bundle import Contract, ModelBundle
from skin_lesion.settings import EvaluateConfig

HEIGHT, WIDTH = 24, 32
SOURCE = (150, 200)
LESIONS_PER_CLASS, IMAGES_PER_LESION = 20, 2


# Everything is measured, though on few pictures.
QUICK = EvaluateConfig(
    resamples=200,
    outlier_crops=200,
    calibration_bins=8,
    min_group_images=10,
    min_group_positives=5,
    robustness_images=14,
    explained_images=4,
    randomised_images=4,
    randomised_models=1,
    deletion_steps=3,
    deletion_orders=1,
    gallery_images=1,
)


# Why a test looks.
TRIED = Purpose("evaluate", "a test wants the figures", user="test")


class Notebook:
    """A ledger that remembers what it was told, and chains nothing."""

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def record(self, look: Look) -> LookNote:
        self.looks.append(look)
        row = len(self.looks)
        return LookNote(
            row=row, head=f"{'a' * 64}:{row}", before=row - 1, models_before=0,
            same_model_before=0, since=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip


@dataclass(frozen=True)
class SmallWorld:
    """A data set of noisy colours, shared out by lesion, and a model that half understands it."""

    images: ImageArray
    manifest: Manifest
    split: SplitTable
    bundle: ModelBundle

    @property
    def test_rows(self) -> NDArray[np.int64]:
        """Row numbers of the test pictures; tests need not say why they look."""
        return np.flatnonzero(self.split.rows["split"] == "test")

    def evaluate(
        self, config: EvaluateConfig, ledger: Ledger | None = None, *, draw: bool = True
    ) -> EvaluationReport:
        """The evaluation of its model."""
        return evaluate(
            self.bundle, self.images, self.split, self.manifest, config, seed=3,
            ledger=ledger or Notebook(), purpose=TRIED, draw=draw,
        )  # fmt: skip


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    folder = tmp_path_factory.mktemp("small_world")
    manifest, split = _tables()
    truth = np.array([LABELS.index(dx) for dx in manifest.images["dx"]])
    pixels = _pictures(truth)
    np.save(folder / "images.npy", pixels)
    images = ImageArray(folder / "images.npy", pixels.shape, "0" * 64)
    train = split.indices("train")
    contract = Contract(
        input_height=HEIGHT,
        input_width=WIDTH,
        resize_mode="stretch",
        source_height=SOURCE[0],
        source_width=SOURCE[1],
        backbone="tiny",
        feature_layer=None,
        pretrained_on="nothing",
        data_fingerprint=manifest.fingerprint,
        split_hash=split.split_hash,
        code_version="test",
        training_run_id=None,
        synthetic_only=True,
        licence="CC0-1.0",
        parity_max_abs_difference=0.0,
    )
    bundle = _export(folder / "bundle", pixels[train], truth[train], contract)
    return SmallWorld(images, manifest, split, bundle)


@pytest.fixture(scope="session")
def quick() -> EvaluateConfig:
    return QUICK


@pytest.fixture(scope="session")
def small_report(small_world: SmallWorld) -> EvaluationReport:
    """The evaluation of the model of the small world."""
    return small_world.evaluate(QUICK)


def _tables() -> tuple[Manifest, SplitTable]:
    rows = [
        {"image_id": f"{dx}_{lesion}_{view}", "lesion_id": f"{dx}_{lesion}", "dx": dx,
         "split": "train" if lesion < 8 else "val" if lesion < 14 else "test"}
        for lesion in range(LESIONS_PER_CLASS)
        for dx in LABELS
        for view in range(IMAGES_PER_LESION)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    table["group"] = table["lesion_id"]
    provenance = Provenance(
        kind="synthetic", name="colours", licence="CC0-1.0", citation="none", synthetic=True,
        source_height=SOURCE[0], source_width=SOURCE[1],
    )  # fmt: skip
    images = table[["image_id", "lesion_id", "dx"]].assign(
        sha256="0" * 64,
        dx_type="histo",
        age=[20.0 + i % 60 for i in range(len(table))],
        sex=["female" if i % 3 else "male" for i in range(len(table))],
        localization=["back" if i % 2 else "face" for i in range(len(table))],
        height=SOURCE[0],
        width=SOURCE[1],
    )
    manifest = Manifest(images, pd.DataFrame(), provenance)
    leaks = LeakReport(
        groups_crossing=0, duplicates_crossing=0, merged_pairs=0, unmerged_pairs=0, images={},
        groups={}, class_counts={}, class_share_deviation={},
    )  # fmt: skip
    return manifest, SplitTable(table[["image_id", "lesion_id", "group", "dx", "split"]], leaks)


def _pictures(truth: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Each class has its colour; the noise of a picture makes it easy to mistake one for another."""
    random = np.random.default_rng(7)
    colours = random.uniform(70, 190, (NUM_CLASSES, 3))
    means = colours[truth] + random.normal(0, 22, (len(truth), 3))
    noise = random.normal(0, 12, (len(truth), HEIGHT, WIDTH, 3))
    return np.clip(means[:, None, None] + noise, 0, 255).astype(np.uint8)


def _export(
    folder: Path, pixels: NDArray[np.uint8], truth: NDArray[np.int64], contract: Contract
) -> ModelBundle:
    """A convolution, global average pooling and a dense layer, in the layout of a bundle."""
    import keras
    from sklearn.linear_model import LogisticRegression

    keras.utils.set_random_seed(3)
    image = keras.Input((HEIGHT, WIDTH, 3), dtype="uint8", name="image")
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32")(image)
    convolved = keras.layers.Conv2D(12, 3, strides=4, bias_initializer="uniform")(scaled)
    features = keras.layers.ReLU(name="features")(convolved)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    logits = keras.layers.Dense(NUM_CLASSES, name="logits")(pooled)

    pooled_train = keras.Model(image, pooled).predict(pixels, verbose=0)
    head = LogisticRegression(C=1e4, max_iter=2000).fit(pooled_train, truth)
    model = keras.Model(image, logits)
    # Twice the fitted weights: too sure of itself, so that there is something to calibrate.
    model.get_layer("logits").set_weights([2 * head.coef_.T, 2 * head.intercept_])

    (folder / "serving").mkdir(parents=True)
    model.save(folder / "model.keras")
    serving = keras.Model(image, {"logits": logits, "features": features})
    serving.export(str(folder / "serving" / "model.xml"), format="openvino", verbose=False)
    kernel, bias = model.get_layer("logits").get_weights()
    np.savez(folder / "serving" / "head.npz", kernel=kernel, bias=bias)
    (folder / "contract.json").write_text(contract.model_dump_json())
    return ModelBundle.open(folder)
