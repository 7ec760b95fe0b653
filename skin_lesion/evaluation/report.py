"""The evaluation of a model: measured on its serving export, so what is measured is what is served.

Validation decides whatever is decided after training; the test split is then measured and
decides nothing.
"""

import tempfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.looking import Ledger, LookedAt, Purpose, look_at_test
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.seen import SeenPictures
from skin_lesion.data.split_table import LEARNING_SPLITS, SplitName, SplitTable
from skin_lesion.decisions import Calibrator
from skin_lesion.drift.reference import DriftReference, reference_of
from skin_lesion.evaluation.cannot_assess import OutlierKind, OutlierSample
from skin_lesion.evaluation.evidence import Measurement, Subject, gather
from skin_lesion.evaluation.forward import Seen, forward, measure_qualities
from skin_lesion.evaluation.freezing import FrozenModel, ValidationSet, freeze
from skin_lesion.evaluation.html import render
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.outliers import (
    Outliers,
    corrupted,
    lesion_free_skin,
    non_lesion_crops,
)
from skin_lesion.evaluation.pictures import draw_evidence
from skin_lesion.evaluation.plots import draw_split
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroups import skin_tone_note
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABEL_INDEX, LABELS
from skin_lesion.modeling.bundle import DRIFT_FILE, OOD_FILE, SEEN_FILE, ModelBundle, Saveable
from skin_lesion.ood import OodReference
from skin_lesion.quality import Quality
from skin_lesion.settings import EvaluateConfig

LOGIT_COLUMNS: tuple[str, ...] = tuple(f"logit_{label}" for label in LABELS)
PROBABILITY_COLUMNS: tuple[str, ...] = tuple(f"p_{label}" for label in LABELS)
ROW_COLUMNS = ("image_id", "lesion_id", "group", "dx", "split")
_DEMOGRAPHICS = ("age", "sex", "localization")


@dataclass(frozen=True)
class EvaluationReport:
    """What was measured.

    Attributes:
        summary: The figures; `evaluation/report.json`.
        predictions: One row for each image of validation and test: `ROW_COLUMNS`, `LOGIT_COLUMNS`
            (raw) and `PROBABILITY_COLUMNS` (by the frozen calibrator).
        figures: PNG pictures by name.
        reference: The training pictures as the gate for likeness needs them; goes along with the
            model. None where its score needs none.
        seen: What the model saw of training and validation, as hashes; goes along with it too. None
            in a report from before they were kept.
        drift: What the model said of the validation pictures, which later batches are held against;
            goes along with it too. None in a report from before that was kept.
    """

    summary: ReportSummary
    predictions: pd.DataFrame
    figures: dict[str, bytes]
    reference: OodReference | None
    seen: SeenPictures | None = None
    drift: DriftReference | None = None

    @property
    def bundle_files(self) -> dict[str, Saveable]:
        """What goes along with the model, by its name in the bundle."""
        return _bundle_files(self.reference, self.seen, self.drift)

    def to_html(self) -> str:
        """One page that needs no other file and no network."""
        return render(self.summary, self.figures)


def sample_of_test(predictions: pd.DataFrame) -> Sample:
    """The test images of `EvaluationReport.predictions`, without features."""
    rows = predictions[predictions["split"] == "test"].reset_index(drop=True)
    return Sample(
        rows[["image_id", "lesion_id", "group", "dx"]],
        rows[list(LOGIT_COLUMNS)].to_numpy(np.float32),
        rows[list(PROBABILITY_COLUMNS)].to_numpy(np.float64),
        np.empty((len(rows), 0), np.float32),
    )


def evaluate(
    bundle: ModelBundle,
    images: ImageArray,
    split: SplitTable,
    manifest: Manifest,
    config: EvaluateConfig,
    seed: int,
    *,
    ledger: Ledger,
    purpose: Purpose,
    draw: bool = True,
) -> EvaluationReport:
    """Freeze every decision on validation, then measure on test, through the serving export.

    Before a test picture is shown to the model, the look is in the ledger, with the hash of the bundle
    and of all that was frozen with it.

    Args:
        bundle: The model; decisions in its contract are not used.
        images: Pictures at the model's input size.
        split: Which image belongs to which split.
        manifest: What the pictures are.
        config: How to measure.
        seed: Of folds, resamples and draws.
        ledger: Where the look at the test split is written down.
        purpose: Who looks, and why.
        draw: Whether to draw the pictures.

    Raises:
        ValueError: The inputs do not describe the same images, the model was trained on other data
            or on another split (its test images may have been seen in training), or a split is
            empty.
        RuntimeError: The look could not be written down; nothing was measured.
    """
    _check_same_origin(bundle, images, split, manifest)
    data = _Data(ServingModel.load(bundle), images.open(), split, manifest, config)
    val = data.sample("val")
    frozen = freeze(
        ValidationSet(
            val,
            data.qualities("val"),
            data.outliers(val, "val", seed),
            data.seen["train"],
            data.truth("train"),
        ),
        config,
        seed,
    )
    seen = SeenPictures.of(manifest, images, split)
    drift = reference_of(
        val.logits, val.features, data.qualities("val"), frozen.decisions, frozen.reference
    )
    # All that the model will be served with is settled here, and its hash is in the ledger's row.
    decided = _decided_hash(bundle, frozen, seen, drift)
    door = look_at_test(split, ledger, LookedAt(decided, bundle.bundle_hash), purpose)
    data.let_in(door.rows)
    test = data.sample("test").calibrated(frozen.decisions.calibrator)
    subject = Subject(
        sample=test,
        pixels=data.pixels,
        rows=door.rows,
        qualities=data.qualities("test"),
        demographics=data.demographics("test"),
        model=data.model,
        bundle=bundle,
        decisions=frozen.decisions,
        reference=frozen.reference,
        outliers=data.outliers(test, "test", seed),
        where="test split",
        skin_tone=skin_tone_note(manifest.provenance),
    )
    measurement = gather(subject, config, seed)
    summary = _summarise(bundle, frozen, test, measurement, config, seed).model_copy(
        update={"decided_bundle_hash": decided, "looks": door.note}
    )
    figures: dict[str, bytes] = {}
    if draw:
        figures = draw_split(summary.test, test) | draw_evidence(
            measurement,
            subject,
            frozen.figures.cannot_assess,
            bins=config.calibration_bins,
            seed=seed,
        )
    predictions = pd.concat(
        [
            _predictions(val.calibrated(frozen.decisions.calibrator), "val"),
            _predictions(test, "test"),
        ],
        ignore_index=True,
    )
    return EvaluationReport(summary, predictions, figures, frozen.served_reference, seen, drift)


def _bundle_files(
    reference: OodReference | None, seen: SeenPictures | None, drift: DriftReference | None
) -> dict[str, Saveable]:
    files = {OOD_FILE: reference, SEEN_FILE: seen, DRIFT_FILE: drift}
    return {name: content for name, content in files.items() if content is not None}


def _decided_hash(
    bundle: ModelBundle, frozen: FrozenModel, seen: SeenPictures, drift: DriftReference
) -> str:
    """Hash of the bundle with what was frozen, which is the one that will be served."""
    files = _bundle_files(frozen.served_reference, seen, drift)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        return bundle.with_decisions(frozen.decisions, files, Path(folder) / "bundle").bundle_hash


@dataclass(frozen=True)
class _Data:
    """The data set as the model sees it; every picture goes through the model once."""

    model: ServingModel
    pixels: NDArray[np.uint8]
    split: SplitTable
    manifest: Manifest
    config: EvaluateConfig
    # Those of the test split are not here before they were given out.
    _rows: dict[SplitName, NDArray[np.int64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rows.update({name: self.split.indices(name) for name in LEARNING_SPLITS})

    def let_in(self, test: NDArray[np.int64]) -> None:
        """Take the rows of the test split, and show them to the model."""
        self._rows["test"] = test
        self.seen["test"] = self._forward("test")

    @cached_property
    def seen(self) -> dict[SplitName, Seen]:
        return {name: self._forward(name) for name in LEARNING_SPLITS}

    def _forward(self, name: SplitName) -> Seen:
        return forward(self.model, self.pixels, self._rows[name], self.config.batch_size)

    def sample(self, name: SplitName) -> Sample:
        """A split, not calibrated."""
        rows = self.split.rows.iloc[self._rows[name]].reset_index(drop=True)
        seen = self.seen[name]
        return Sample(
            rows[["image_id", "lesion_id", "group", "dx"]],
            seen.logits,
            Calibrator().probabilities(seen.logits),
            seen.features,
        )

    def truth(self, name: SplitName) -> NDArray[np.int64]:
        rows = self.split.rows.iloc[self._rows[name]]
        return np.array([LABEL_INDEX[dx] for dx in rows["dx"]], dtype=np.int64)

    def qualities(self, name: SplitName) -> tuple[Quality, ...]:
        index = self._rows[name]
        table = self.manifest.images.iloc[index]
        return measure_qualities(self.pixels, index, list(table["height"]), list(table["width"]))

    def demographics(self, name: SplitName) -> pd.DataFrame:
        index = self._rows[name]
        return self.manifest.images[list(_DEMOGRAPHICS)].iloc[index].reset_index(drop=True)

    def outliers(
        self, sample: Sample, name: SplitName, seed: int
    ) -> dict[OutlierKind, OutlierSample]:
        """Pictures that should be refused, beside the pictures of a split."""
        height, width = self.pixels.shape[1:3]
        count = self.config.outlier_crops
        firsts = np.sort(np.unique(sample.groups, return_index=True)[1])
        spoilt = firsts[:: max(1, len(firsts) // _SPOILT)]
        crops = non_lesion_crops(count=count, height=height, width=width, seed=seed)
        skin = lesion_free_skin(count=_SKIN, height=height, width=width, seed=seed)
        ruined = corrupted(np.asarray(self.pixels[self._rows[name][spoilt]]), seed)
        groups = sample.rows["group"].to_numpy()[spoilt]
        return {
            "crops": self._see(crops, crops.source),
            "corruptions": self._see(ruined, groups.astype(str)),
            "skin": self._see(skin, np.arange(len(skin)).astype(str)),
        }

    def _see(self, outliers: Outliers, cluster: NDArray[np.str_]) -> OutlierSample:
        rows = np.arange(len(outliers))
        seen = forward(self.model, outliers.pixels, rows, self.config.batch_size)
        # What the file itself says is no reason here: only what is in the picture counts.
        sides = np.array(self.manifest.images[["height", "width"]].median(), int)
        qualities = measure_qualities(
            outliers.pixels, rows, [sides[0]] * len(rows), [sides[1]] * len(rows)
        )
        return OutlierSample(outliers.source, cluster, seen.logits, seen.features, qualities)


_SPOILT, _SKIN = 300, 60


def _summarise(
    bundle: ModelBundle,
    frozen: FrozenModel,
    test: Sample,
    measurement: Measurement,
    config: EvaluateConfig,
    seed: int,
) -> ReportSummary:
    val = frozen.validation
    contract = bundle.contract
    of_val = Resamples.over_lesions(val.groups, config.resamples, seed)
    bins = config.calibration_bins
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
        decisions=frozen.decisions,
        freezing=frozen.figures,
        val=measure(val, of_val, bins=bins, purpose="selection"),
        test=measure(test, measurement.resamples, bins=bins, purpose="test"),
        evidence=measurement.evidence,
    )


def _predictions(sample: Sample, split: SplitName) -> pd.DataFrame:
    values = pd.DataFrame(
        np.hstack([sample.logits.astype(np.float64), sample.probabilities]),
        columns=[*LOGIT_COLUMNS, *PROBABILITY_COLUMNS],
    )
    return sample.rows.assign(split=split)[list(ROW_COLUMNS)].join(values)


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
