"""A network that starts from random weights, trained on real images, with its leak-free figures.

`gpu.py --scratch` runs it. The library's own functions do everything: lesions, not images, are shared
out; validation chooses the epoch whose weights are kept; then the test split is looked at once,
through the door that writes the look into the ledger first. Probabilities are the plain softmax.
Apart from what training needs it wants scipy, tqdm and sqlalchemy.

A training that was killed goes on from its last epoch when it is started again, and is over once its
figures are kept: then the same command trains anew.
"""

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import skin_lesion
from skin_lesion.data.augment import make_plan
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.ingest import ingest
from skin_lesion.data.looking import GivenRows, LookedAt, Purpose, look_at_test
from skin_lesion.data.split_table import SplitTable
from skin_lesion.data.splits import assign_splits
from skin_lesion.decisions import Calibrator
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.ledger import LookLedger, environments_ledger, stored
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

if TYPE_CHECKING:
    import keras

TOOL = "benchmarks/gpu.py"
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
        checkpoints: Folder that outlives the program.
        seed: Of split, augmentation and weights.
        resamples: Of the test lesions, for the intervals.
    """

    source: Path
    backbone: str
    feature_layer: str | None
    size: tuple[int, int]
    epochs: int
    shared: dict[str, Any]
    checkpoints: Path
    seed: int = 17
    resamples: int = EvaluateConfig().resamples


def ready_ledger() -> LookLedger:
    """The ledger of looks, found to be usable before anything is trained.

    Raises:
        LedgerError: It cannot be used.
    """
    ledger = environments_ledger()
    ledger.head()
    return ledger


def train_from_scratch(
    wanted: Scratch, ledger: LookLedger, keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Read, split, train, and look at the test split once.

    Args:
        wanted: What is trained.
        ledger: For the look.
        keep: Is given what was found, to be written at once: with the look before there are figures,
            and then with these.

    Returns:
        The same as `keep` was given last.

    Raises:
        SourceError: The images cannot be opened.
        LedgerError: The look could not be written down; it was not taken.
    """
    import keras

    with tempfile.TemporaryDirectory() as name:
        read = ingest(
            SourceConfig(kind="local", path=str(wanted.source)),
            wanted.size, IngestConfig(), wanted.seed, Path(name),
        )  # fmt: skip
        split = assign_splits(read.manifest, read.images, SplitConfig(), wanted.seed)
        augmentation = AugmentConfig(imbalance="balanced_sampling")
        plan = make_plan(split, augmentation, wanted.seed)
        phases = _train(wanted, TrainingData(read.images, split, plan))
        trained = phases[-1]
        found = _trained(wanted, phases, split)
        model = keras.saving.load_model(trained.model.path, compile=False)
        given = _look(wanted, model, split, ledger)
        found["ledger"] = given.note.model_dump(mode="json")
        # All that this program took, so that none is lost where the ledger stays behind.
        found["looks"] = [stored(row) for row in ledger.rows() if row.tool == TOOL]
        keep(found)
        found["test"] = _figures(wanted, model, read.images, split, given)
        keep(found)
    for phase in reversed(phases):
        phase.delivered()
    return found


def _trained(
    wanted: Scratch, phases: tuple[TrainedPhase, ...], split: SplitTable
) -> dict[str, Any]:
    """What was trained, on what, and how it does on validation."""
    history = phases[-1].history
    kept = next(one for one in history.records if one.epoch == history.best_epoch)
    seconds = sum(record.seconds for phase in phases for record in phase.history.records)
    return {
        "what": "trained from random weights; lesions shared out, epoch chosen on validation",
        "backbone": wanted.backbone,
        "image_size": list(wanted.size),
        "seed": wanted.seed,
        "epochs": wanted.epochs,
        "epoch_kept": kept.epoch + 1,
        "minutes": round(seconds / 60, 2),  # of all epochs, those before a kill included
        "images": {part: int(n) for part, n in split.rows["split"].value_counts().items()},
        "split_hash": split.split_hash,
        "lesions_crossing": split.leak_report.groups_crossing,
        "validation": {"macro_f1": round(kept.metrics["val_macro_f1"], 4)},
    }


def _train(wanted: Scratch, data: TrainingData) -> tuple[TrainedPhase, ...]:
    from skin_lesion.modeling.train import train_finetune, train_warmup

    context = RunContext(
        checkpoint_root=wanted.checkpoints,
        code_version=_code(),
        afresh=True,
        elsewhere="--checkpoints names another folder",
    )
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
    return warm, train_finetune(data, warm.model, config, context)


def _code() -> str:
    """Hash of all code that training might call: what other code has begun is not gone on with.

    `steps/_caching.py` follows the imports, and wants ZenML for it.
    """
    package = Path(skin_lesion.__file__).parent
    files = [*package.glob("*.py"), *(package / "data").rglob("*.py")]
    digest = hashlib.sha256()
    for path in sorted([*files, *(package / "modeling").rglob("*.py")]):
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _look(
    wanted: Scratch, model: "keras.Model", split: SplitTable, ledger: LookLedger
) -> GivenRows:
    """Rows of the test split, once the ledger has the look at it."""
    from skin_lesion.modeling.train import weights_checksum

    weights = weights_checksum(model)
    return look_at_test(
        split,
        ledger,
        LookedAt(weights, weights, f"{wanted.backbone} from scratch"),
        Purpose(TOOL, "figures of a network that was trained from scratch"),
    )


def _figures(
    wanted: Scratch, model: "keras.Model", images: ImageArray, split: SplitTable, given: GivenRows
) -> dict[str, Any]:
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
    return found.model_dump(mode="json")


def _logits(
    model: "keras.Model", images: ImageArray, rows: NDArray[np.int64], batch_size: int
) -> NDArray[np.float32]:
    pixels = images.open()
    parts = [
        np.asarray(model.predict_on_batch(np.asarray(pixels[rows[start : start + batch_size]])))
        for start in range(0, len(rows), batch_size)
    ]
    return np.concatenate(parts).astype(np.float32)
