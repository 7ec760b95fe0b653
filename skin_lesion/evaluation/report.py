"""The evaluation of a model: measured on its serving export, so what is measured is what is served.

Validation fits the temperature; the test split is then looked at once and decides nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitName, SplitTable
from skin_lesion.decisions import softmax
from skin_lesion.evaluation.calibration import calibrate
from skin_lesion.evaluation.html import render
from skin_lesion.evaluation.metrics import measure, true_classes
from skin_lesion.evaluation.plots import draw_all
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.settings import EvaluateConfig

LOGIT_COLUMNS: tuple[str, ...] = tuple(f"logit_{label}" for label in LABELS)
PROBABILITY_COLUMNS: tuple[str, ...] = tuple(f"p_{label}" for label in LABELS)
MEASURED: tuple[SplitName, ...] = ("val", "test")


@dataclass(frozen=True)
class EvaluationReport:
    """What was measured.

    Attributes:
        summary: The figures; `evaluation/report.json`.
        predictions: One row for each image of validation and test: `image_id`, `lesion_id`,
            `group`, `dx`, `split`, `LOGIT_COLUMNS` (raw) and `PROBABILITY_COLUMNS` (calibrated).
        figures: PNG pictures by name.
    """

    summary: ReportSummary
    predictions: pd.DataFrame
    figures: dict[str, bytes]

    def to_html(self) -> str:
        """One page that needs no other file and no network."""
        return render(self.summary, self.figures)


def evaluate(
    bundle: ModelBundle,
    images: ImageArray,
    split: SplitTable,
    manifest: Manifest,
    config: EvaluateConfig,
    seed: int,
) -> EvaluationReport:
    """Calibrate on validation and measure on test, through the bundle's serving export.

    Args:
        bundle: The model; the temperature in its contract is not used.
        images: Pictures at the model's input size.
        split: Which image belongs to which split.
        manifest: What the pictures are.
        config: How to measure.
        seed: Seed of the calibration folds.

    Raises:
        ValueError: The inputs do not describe the same images, the model was trained on other data
            or on another split (its test images may have been seen in training), or a split is
            empty.
    """
    _check_same_origin(bundle, images, split, manifest)
    model = ServingModel.load(bundle)
    pixels = images.open()
    logits = {
        name: _forward(model, pixels, split.indices(name), config.batch_size) for name in MEASURED
    }
    summary = _summarise(bundle, split, logits, config, seed)
    predictions = _predictions(split, logits, summary.temperature)
    return EvaluationReport(summary, predictions, draw_all(summary, predictions))


def _forward(
    model: ServingModel, pixels: NDArray[np.uint8], rows: NDArray[np.int64], batch_size: int
) -> NDArray[np.float32]:
    # Fancy indexing copies, so it is done a batch at a time: memory stays flat.
    batches = np.split(rows, range(batch_size, len(rows), batch_size))
    return np.concatenate([model.run(pixels[batch], batch_size).logits for batch in batches])


def _summarise(
    bundle: ModelBundle,
    split: SplitTable,
    logits: dict[SplitName, NDArray[np.float32]],
    config: EvaluateConfig,
    seed: int,
) -> ReportSummary:
    val, test = (split.rows.iloc[split.indices(name)] for name in MEASURED)
    calibration = calibrate(
        logits["val"],
        true_classes(val),
        val["group"].to_numpy(dtype=object),
        folds=config.calibration_folds,
        bins=config.calibration_bins,
        seed=seed,
    )
    temperature, bins = calibration.temperature, config.calibration_bins
    contract = bundle.contract
    return ReportSummary(
        labels=LABELS,
        backbone=contract.backbone,
        pretrained_on=contract.pretrained_on,
        bundle_hash=bundle.bundle_hash,
        training_run_id=contract.training_run_id,
        data_fingerprint=contract.data_fingerprint,
        split_hash=contract.split_hash,
        synthetic_only=contract.synthetic_only,
        licence=contract.licence,
        seed=seed,
        temperature=temperature,
        calibration=calibration,
        val=measure(
            logits["val"],
            true_classes(val),
            val["lesion_id"].to_numpy(dtype=object),
            temperature=temperature,
            bins=bins,
            purpose="selection",
        ),
        test=measure(
            logits["test"],
            true_classes(test),
            test["lesion_id"].to_numpy(dtype=object),
            temperature=temperature,
            bins=bins,
            purpose="test",
        ),
    )


def _predictions(
    split: SplitTable, logits: dict[SplitName, NDArray[np.float32]], temperature: float
) -> pd.DataFrame:
    parts = []
    for name, values in logits.items():
        rows = split.rows.iloc[split.indices(name)]
        columns = pd.DataFrame(
            np.hstack([values.astype(np.float64), softmax(values, temperature)]),
            columns=[*LOGIT_COLUMNS, *PROBABILITY_COLUMNS],
            index=rows.index,
        )
        parts.append(rows[["image_id", "lesion_id", "group", "dx", "split"]].join(columns))
    return pd.concat(parts, ignore_index=True)


def _check_same_origin(
    bundle: ModelBundle, images: ImageArray, split: SplitTable, manifest: Manifest
) -> None:
    if not len(images) == len(split.rows) == len(manifest):
        raise ValueError(
            f"{len(images)} pictures, {len(split.rows)} rows of the split and {len(manifest)} of "
            "the manifest; expected one row for each picture"
        )
    if list(split.rows["image_id"]) != list(manifest.images["image_id"]):
        raise ValueError("split and manifest list different images; make both in one run")
    contract = bundle.contract
    expected = (contract.input_height, contract.input_width, 3)
    if images.shape[1:] != expected:
        raise ValueError(f"pictures have shape {images.shape[1:]}; the model expects {expected}")
    for what, trained_on, given in (
        ("data", contract.data_fingerprint, manifest.fingerprint),
        ("split", contract.split_hash, split.split_hash),
    ):
        if trained_on != given:
            raise ValueError(
                f"the model was trained on {what} {trained_on}, not {given}; its test images may "
                "have been seen in training: train it on this one"
            )
