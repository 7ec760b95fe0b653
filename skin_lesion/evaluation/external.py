"""The whole report of a registered model on labelled pictures from elsewhere.

Nothing is fitted: every decision is the one that was frozen with the model. A subset of the seven
classes is enough; figures of the absent ones are left out. So are pictures that the model has seen
while it was made, as far as it can tell: the figures are of those that are left.
"""

import json
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from skin_lesion.data.external import ExternalSet
from skin_lesion.data.external_labels import lesions_in_conflict
from skin_lesion.data.images import PixelSpec
from skin_lesion.data.seen import SeenPictures
from skin_lesion.decisions import Calibrator
from skin_lesion.evaluation.discrimination import discrimination
from skin_lesion.evaluation.evidence import Subject, gather
from skin_lesion.evaluation.external_page import ExternalSummary, external_page
from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.forward import forward, measure_qualities
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.overlap import find_overlap
from skin_lesion.evaluation.pictures import draw_evidence
from skin_lesion.evaluation.plots import draw_split
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.subgroups import skin_tone_note
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.ood import OodReference
from skin_lesion.settings import EvaluateConfig, ExternalConfig
from skin_lesion.spreadsheets import no_formula

logger = logging.getLogger(__name__)


class NotEvaluatedError(ValueError):
    """A model whose decisions were never frozen."""


class NothingUnseenError(ValueError):
    """The model has seen every single picture."""


@dataclass(frozen=True)
class ExternalReport:
    """What was measured.

    Attributes:
        summary: The figures.
        predictions: One row for each picture, those that the model has seen included: column
            `overlap` tells which.
        put_aside: One row for each that is not measured, with its reason.
        overlap: One row for each that the model has seen.
        pictures: PNG pictures by name.
    """

    summary: ExternalSummary
    predictions: pd.DataFrame
    put_aside: pd.DataFrame
    overlap: pd.DataFrame
    pictures: dict[str, bytes]

    def to_html(self) -> str:
        """One page that needs no other file and no network."""
        return external_page(self.summary, self.pictures)

    def save(self, folder: Path) -> None:
        """Write `report.html`, `report.json` with its schema, and three tables.

        The tables are `predictions.csv`, `put_aside.csv` and `overlap.csv`.
        The folder appears whole or not at all.

        Raises:
            FileExistsError: It exists.
        """
        if folder.exists():
            raise FileExistsError(f"{folder} exists; name a new folder for the report")
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".report-"))
        try:
            (draft / "report.html").write_text(self.to_html(), encoding="utf-8")
            (draft / "report.json").write_text(
                json.dumps(self.summary.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8"
            )
            schema = json.dumps(ExternalSummary.model_json_schema(mode="serialization"), indent=2)
            (draft / "report.schema.json").write_text(schema + "\n", encoding="utf-8")
            _write_table(self.predictions, draft / "predictions.csv")
            _write_table(self.put_aside, draft / "put_aside.csv")
            _write_table(self.overlap, draft / "overlap.csv")
            draft.chmod(0o755)
            os.replace(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in which the names that others gave run in no spreadsheet."""
    safe = table.map(lambda value: no_formula(value) if isinstance(value, str) else value)
    safe.to_csv(path, index=False)


def pixel_spec(bundle: ModelBundle) -> PixelSpec:
    """How pictures become the input of a model."""
    contract = bundle.contract
    return PixelSpec(
        height=contract.input_height,
        width=contract.input_width,
        resize_mode=contract.resize_mode,
        source_height=contract.source_height,
        source_width=contract.source_width,
    )


def evaluate_external(
    bundle: ModelBundle,
    external: ExternalSet,
    config: EvaluateConfig,
    settings: ExternalConfig,
    *,
    data: str,
    model: str,
) -> ExternalReport:
    """Measure a model with frozen decisions on external pictures.

    Args:
        bundle: As registered, with its decisions.
        external: The pictures, read at the model's input size.
        config: How to measure; what it says of fitting is not used.
        settings: How to treat pictures from elsewhere.
        data: Name of the data set, for the report.
        model: Name of the model, for the report.

    Raises:
        NotEvaluatedError: The bundle has no frozen decisions.
        NothingUnseenError: The model has seen every picture.
        ValueError: The bundle's list of seen pictures is broken.
    """
    decisions = bundle.contract.decisions
    if decisions is None:
        raise NotEvaluatedError(
            f"model {model} was registered without frozen decisions, so it has neither thresholds "
            "nor calibration; run the pipeline again, and take the version that it registers"
        )
    logger.info("looking for pictures that the model has seen")
    overlap = find_overlap(
        SeenPictures.load(bundle.seen_path) if bundle.seen_path else None,
        external,
        bundle.contract.resize_mode,
        settings.max_hash_distance,
    )
    if not len(overlap.unseen):
        raise NothingUnseenError(
            f"model {model} was trained or chosen by every one of the {len(external.table)} pictures "
            f"of {data}, or by others of their lesions ({external.table['image_id'].iloc[0]}, for "
            "one); give pictures that it has not seen"
        )
    serving = ServingModel.load(bundle)
    logger.info("running the model on %d pictures", len(external.table))
    everything = _sample(serving, external, decisions.calibrator, config)
    rows = overlap.unseen
    table = external.table.iloc[rows].reset_index(drop=True)
    sample = replace(everything.take(rows), units=_units(table["lesion_named"]))
    subject = Subject(
        sample=sample,
        pixels=external.pixels,
        rows=rows,
        qualities=measure_qualities(
            external.pixels, rows, list(table["height"]), list(table["width"])
        ),
        demographics=table[["age", "sex", "localization"]],
        model=serving,
        bundle=None,  # that its maps depend on its weights was shown when it was made
        decisions=decisions,
        reference=OodReference.load(bundle.ood_path) if bundle.ood_path else None,
        outliers={},
        where="external pictures",
        skin_tone=skin_tone_note(None),
    )
    seed, bins = settings.seed, _bins(len(sample), config, settings)
    measurement = gather(subject, config.model_copy(update={"calibration_bins": bins}), seed)
    figures = measure(sample, measurement.resamples, bins=bins, purpose="external")
    logger.info("drawing")
    pictures = draw_split(figures, sample) | draw_evidence(
        measurement, subject, None, bins=bins, seed=seed
    )
    with_overlap = None
    if len(rows) < len(everything):
        of_all = Resamples.over_lesions(everything.groups, config.resamples, seed)
        all_bins = _bins(len(everything), config, settings)
        with_overlap = discrimination(everything, of_all, bins=all_bins)
    summary = ExternalSummary(
        data=data,
        model=model,
        bundle_hash=bundle.bundle_hash,
        synthetic_only=bundle.contract.synthetic_only,
        n_lesion_named=int(table["lesion_named"].sum()),
        n_lesions_in_conflict=len(lesions_in_conflict(table)),
        classes=tuple(label for label in LABELS if figures.per_class[label].n),
        put_aside=len(external.put_aside),
        decisions=decisions,
        figures=figures,
        evidence=measurement.evidence,
        overlap=overlap.figures,
        with_overlap=with_overlap,
        put_aside_reasons={
            str(reason): int(n) for reason, n in external.put_aside["reason"].value_counts().items()
        },
        seed=seed,
    )
    predictions = _predictions(everything, overlap.table)
    return ExternalReport(summary, predictions, external.put_aside, overlap.table, pictures)


def _sample(
    serving: ServingModel, external: ExternalSet, calibrator: Calibrator, config: EvaluateConfig
) -> Sample:
    rows = np.arange(len(external.table))
    seen = forward(serving, external.pixels, rows, config.batch_size)
    table = external.table.assign(group=external.table["lesion_id"])
    return Sample(
        table[["image_id", "lesion_id", "group", "dx"]],
        seen.logits,
        calibrator.probabilities(seen.logits),
        seen.features,
    )


def _units(named: "pd.Series[bool]") -> Units:
    if named.all():
        return "lesion"
    return "lesion_or_picture" if named.any() else "picture"


def _bins(pictures: int, config: EvaluateConfig, settings: ExternalConfig) -> int:
    return max(2, min(config.calibration_bins, pictures // settings.images_per_bin))


def _predictions(sample: Sample, overlap: pd.DataFrame) -> pd.DataFrame:
    probabilities = pd.DataFrame(sample.probabilities, columns=list(LABELS))
    predicted = [LABELS[index] for index in sample.predicted]
    kinds = dict(zip(overlap["image_id"], overlap["kind"], strict=True))
    return (
        sample.rows.drop(columns="group")
        .join(probabilities)
        .assign(
            prediction=predicted,
            overlap=[kinds.get(image_id, "") for image_id in sample.rows["image_id"]],
        )
    )
