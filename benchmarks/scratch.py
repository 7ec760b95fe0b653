"""A network that starts from random weights, trained on real images, with its leak-free figures.

`gpu.py --scratch` runs it. The library's own functions do everything: lesions, not images, are shared
out; validation chooses the epoch whose weights are kept; then the test split is looked at once,
through the door that writes the look into the ledger first. Probabilities are the plain softmax.
Apart from what training needs it wants scipy, tqdm and sqlalchemy.
"""

import hashlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.ingest import ingest
from skin_lesion.data.looking import LookedAt, Purpose, look_at_test
from skin_lesion.data.split_table import SplitTable
from skin_lesion.data.splits import assign_splits
from skin_lesion.decisions import Calibrator
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.trained import TrainedPhase
from skin_lesion.modeling.training_data import RunContext, TrainingData
from skin_lesion.settings import (
    AugmentConfig,
    BackboneConfig,
    EvaluateConfig,
    FinetuneConfig,
    IngestConfig,
    SourceConfig,
    SplitConfig,
    WarmupConfig,
)

RATE, DECAY, AVERAGED = 0.002, 0.05, 0.998  # as in configs/ham10000_scratch.yaml
WARMUP_SHARE = 0.1  # of the epochs, in which the rate rises


@dataclass(frozen=True)
class Scratch:
    """What is trained.

    Attributes:
        source: Folder or zip of the images, in the Kaggle layout.
        backbone: Name of the network.
        feature_layer: Where it is cut; None leaves it whole.
        size: Height and width of the pictures.
        epochs: Of both phases together, at least 2.
        shared: Settings of both phases, such as `batch_size`.
        seed: Of split, augmentation and weights.
        resamples: Of the test lesions, for the intervals.
    """

    source: Path
    backbone: str
    feature_layer: str | None
    size: tuple[int, int]
    epochs: int
    shared: dict[str, Any]
    seed: int = 17
    resamples: int = EvaluateConfig().resamples


def train_from_scratch(wanted: Scratch) -> dict[str, Any]:
    """Read, split, train, and look at the test split once.

    Raises:
        SourceError: The images cannot be opened.
        LedgerError: The look could not be written down; it was not taken.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read = ingest(
            SourceConfig(kind="local", path=str(wanted.source)),
            wanted.size, IngestConfig(), wanted.seed, folder,
        )  # fmt: skip
        split = assign_splits(read.manifest, read.images, SplitConfig(), wanted.seed)
        augmentation = AugmentConfig(imbalance="balanced_sampling")
        plan = make_plan(split, augmentation, wanted.seed)
        start = time.perf_counter()
        trained = _train(wanted, TrainingData(read.images, split, plan), folder)
        minutes = (time.perf_counter() - start) / 60
        figures, note = _look(wanted, trained, read.images, split)
    kept = next(one for one in trained.history.records if one.epoch == trained.history.best_epoch)
    return {
        "what": "trained from random weights; lesions shared out, epoch chosen on validation",
        "backbone": wanted.backbone,
        "image_size": list(wanted.size),
        "seed": wanted.seed,
        "epochs": wanted.epochs,
        "epoch_kept": kept.epoch + 1,
        "minutes": round(minutes, 2),
        "images": {part: int(n) for part, n in split.rows["split"].value_counts().items()},
        "split_hash": split.split_hash,
        "lesions_crossing": split.leak_report.groups_crossing,
        "validation": {"macro_f1": round(kept.metrics["val_macro_f1"], 4)},
        "test": figures,
        "ledger": note,
    }


def _train(wanted: Scratch, data: TrainingData, folder: Path) -> TrainedPhase:
    from skin_lesion.modeling.train import train_finetune, train_warmup

    context = RunContext(checkpoint_root=folder / "checkpoints")
    backbone = BackboneConfig(
        name=wanted.backbone, weights="none", feature_layer=wanted.feature_layer,
        batchnorm_momentum=0.95,  # statistics of a random network have to be forgotten
    )  # fmt: skip
    rising = max(1, round(wanted.epochs * WARMUP_SHARE))
    rate: dict[str, Any] = {"learning_rate": RATE, "weight_decay": DECAY, **wanted.shared}
    warm = train_warmup(data, backbone, WarmupConfig(epochs=rising, **rate), context)
    rest = wanted.epochs - rising
    config = FinetuneConfig(
        epochs=rest, train_batchnorm=True, unfreeze_epochs=0, ema_decay=AVERAGED, patience=rest,
        final_learning_rate_share=0.01, **rate,
    )  # fmt: skip
    return train_finetune(data, warm.model, config, context)


def _look(
    wanted: Scratch, trained: TrainedPhase, images: ImageArray, split: SplitTable
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of the test split, and where the ledger has the look at it."""
    import keras

    model = keras.saving.load_model(trained.model.path, compile=False)
    weights = hashlib.sha256(trained.model.path.read_bytes()).hexdigest()
    given = look_at_test(
        split,
        environments_ledger(),
        LookedAt(weights, weights, f"{wanted.backbone} from scratch"),
        Purpose("benchmarks/gpu.py", "figures of a network that was trained from scratch"),
    )
    logits = _logits(model, images, given.rows, int(wanted.shared["batch_size"]))
    calibrator = Calibrator()
    sample = Sample(
        split.rows.iloc[given.rows].reset_index(drop=True),
        logits,
        calibrator.probabilities(logits),
        np.zeros((len(logits), 0), np.float32),  # no figure here is of features
    )
    resamples = Resamples.over_lesions(sample.groups, wanted.resamples, wanted.seed)
    bins = EvaluateConfig().calibration_bins
    found = measure(sample, resamples, bins=bins, purpose="test")
    return found.model_dump(mode="json"), given.note.model_dump(mode="json")


def _logits(
    model: Any, images: ImageArray, rows: NDArray[np.int64], batch_size: int
) -> NDArray[np.float32]:
    pixels = images.open()
    parts = [
        np.asarray(model.predict_on_batch(np.asarray(pixels[rows[start : start + batch_size]])))
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate(parts).astype(np.float32)
