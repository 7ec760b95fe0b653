"""The whole report of a registered model on labelled pictures from elsewhere.

Nothing is fitted: every decision is the one that was frozen with the model. A subset of the seven
classes is enough; figures of the absent ones are left out.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skin_lesion.data.external import ExternalSet
from skin_lesion.data.images import PixelSpec
from skin_lesion.decisions import Decisions
from skin_lesion.evaluation.evidence import Evidence, Subject, gather
from skin_lesion.evaluation.figures import Figures
from skin_lesion.evaluation.forward import forward, measure_qualities
from skin_lesion.evaluation.html import assemble, common_sections, notices
from skin_lesion.evaluation.html_sections import classes
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.pictures import draw_evidence
from skin_lesion.evaluation.plots import draw_split
from skin_lesion.evaluation.sample import Sample
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.ood import OodReference
from skin_lesion.settings import EvaluateConfig

_BINS_PER_IMAGES = 20


class NotEvaluatedError(ValueError):
    """A model whose decisions were never frozen."""


class ExternalSummary(Figures):
    """`report.json` of an external evaluation.

    Attributes:
        data: Name of the data set, as it was given.
        model: The model, as it was given.
        bundle_hash: Hash of the bundle that was measured.
        synthetic_only: True where the model has seen no real picture.
        classes: Codes of the classes that occur.
        put_aside: Pictures that could not be used.
        decisions: Frozen with the model; nothing was fitted here.
        figures: The main figures.
        evidence: Everything else.
    """

    data: str
    model: str
    bundle_hash: str
    synthetic_only: bool
    classes: tuple[str, ...]
    put_aside: int
    decisions: Decisions
    figures: SplitFigures
    evidence: Evidence


@dataclass(frozen=True)
class ExternalReport:
    """What was measured.

    Attributes:
        summary: The figures.
        predictions: One row for each picture.
        put_aside: One row for each that could not be used, with its reason.
        pictures: PNG pictures by name.
    """

    summary: ExternalSummary
    predictions: pd.DataFrame
    put_aside: pd.DataFrame
    pictures: dict[str, bytes]

    def to_html(self) -> str:
        """One page that needs no other file and no network."""
        summary = self.summary
        where = (
            f"<p>{summary.figures.n_images} pictures of {summary.figures.n_lesions} lesions, classes "
            f"{', '.join(summary.classes)}; {summary.put_aside} could not be used. Nothing was fitted "
            "on them: thresholds and calibration are those frozen with the model. Whether the model was trained on some of them was not "
            "checked: HAM10000's pictures are in the ISIC archive too, and would flatter it.</p>"
        )
        sections = {
            "Classes": classes(summary.figures, summary.evidence),
            **common_sections(summary.evidence),
        }
        origin = {
            "Model": summary.model,
            "Bundle": summary.bundle_hash,
            "Data": summary.data,
        }
        return assemble(
            "Evaluation on external pictures",
            [*notices(summary.synthetic_only), where],
            sections,
            self.pictures,
            origin,
        )

    def save(self, folder: Path) -> None:
        """Write `report.html`, `report.json`, `predictions.csv` and `put_aside.csv`.

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
            self.predictions.to_csv(draft / "predictions.csv", index=False)
            self.put_aside.to_csv(draft / "put_aside.csv", index=False)
            draft.chmod(0o755)
            os.replace(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


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
    *,
    data: str,
    model: str,
    seed: int,
) -> ExternalReport:
    """Measure a model with frozen decisions on external pictures.

    Args:
        bundle: As registered, with its decisions.
        external: The pictures, read at the model's input size.
        config: How to measure; what it says of fitting is not used.
        data: Name of the data set, for the report.
        model: Name of the model, for the report.
        seed: Of resamples and draws.

    Raises:
        NotEvaluatedError: The bundle has no frozen decisions.
    """
    decisions = bundle.contract.decisions
    if decisions is None:
        raise NotEvaluatedError(
            f"model {model} was registered without frozen decisions, so it has neither thresholds "
            "nor calibration; run the pipeline again, and take the version that it registers"
        )
    serving = ServingModel.load(bundle)
    rows = np.arange(len(external.table))
    seen = forward(serving, external.pixels, rows, config.batch_size)
    table = external.table.assign(group=external.table["lesion_id"])
    sample = Sample(
        table[["image_id", "lesion_id", "group", "dx"]],
        seen.logits,
        decisions.calibrator.probabilities(seen.logits),
        seen.features,
    )
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
    )
    bins = max(2, min(config.calibration_bins, len(sample) // _BINS_PER_IMAGES))
    fitting = config.model_copy(update={"calibration_bins": bins})
    measurement = gather(subject, fitting, seed)
    figures = measure(sample, measurement.resamples, bins=bins, purpose="external")
    pictures = draw_split(figures, sample) | draw_evidence(
        measurement, subject, None, bins=bins, seed=seed
    )
    summary = ExternalSummary(
        data=data,
        model=model,
        bundle_hash=bundle.bundle_hash,
        synthetic_only=bundle.contract.synthetic_only,
        classes=external.classes,
        put_aside=len(external.put_aside),
        decisions=decisions,
        figures=figures,
        evidence=measurement.evidence,
    )
    return ExternalReport(summary, _predictions(sample), external.put_aside, pictures)


def _predictions(sample: Sample) -> pd.DataFrame:
    probabilities = pd.DataFrame(sample.probabilities, columns=list(LABELS))
    predicted = [LABELS[index] for index in sample.predicted]
    return sample.rows.drop(columns="group").join(probabilities).assign(prediction=predicted)
