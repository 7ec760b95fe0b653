"""Measures a registered model on labelled pictures from elsewhere."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.progress import stages_on_stderr
from skin_lesion.batch.model import names_folder
from skin_lesion.data.external import read_external
from skin_lesion.data.external_labels import read_labels
from skin_lesion.evaluation.external import ExternalReport, evaluate_external, pixel_spec
from skin_lesion.evaluation.external_page import extent, lesion_warnings
from skin_lesion.evaluation.overlap import OverlapFigures, blind_spots, overlap_words
from skin_lesion.evaluation.wording import with_interval
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import RegisteredVersion, open_bundle, reports
from skin_lesion.settings import EvaluateConfig, ExternalConfig, IngestConfig, check_seed

logger = logging.getLogger(__name__)

_SHOWN = {
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "accuracy": "Accuracy",
    "melanoma_auc": "Melanoma AUC",
    "malignant_auc": "Malignant AUC",
    "ece": "Calibration error (ECE)",
}


@dataclass(frozen=True)
class ExternalRequest:
    """What is asked for.

    Attributes:
        model: Version or alias in the registry, or folder of a bundle.
        pictures: Folder or zip.
        labels: CSV file.
        mapping: `name=code` each; without a code the pictures are left out.
        output: Folder to be made; None names one after data and model.
        seed: Of all draws; None takes the default.
        log: Whether the MLflow run of a registered version takes the report.
    """

    model: str
    pictures: Path
    labels: Path
    mapping: Sequence[str] = ()
    output: Path | None = None
    seed: int | None = None
    log: bool = True


@dataclass(frozen=True)
class Measured:
    """A report that was written.

    Attributes:
        text: The main figures, and where the report is.
        folder: Where it is.
        data: Name of the pictures.
        version: Registered version whose run is to take it; None where none is.
    """

    text: str
    folder: Path
    data: str
    version: RegisteredVersion | None


def run_external(request: ExternalRequest, shelf: Path) -> Measured:
    """Measure, and write the report.

    Args:
        request: What is asked for.
        shelf: Folder for reports that were not given one.

    Raises:
        LookupError: No such model, or its run is gone and cannot take the report.
        SourceError: Pictures or labels cannot be used.
        FileExistsError: The report's folder exists.
        ValueError: A mapping is none, the seed is out of range, or the model was never evaluated or
            has seen every picture.
    """
    settings = ExternalConfig()
    if request.seed is not None:
        check_seed(request.seed)
        settings = settings.model_copy(update={"seed": request.seed})
    mapping = read_mapping(request.mapping)
    folder = (
        request.output or shelf / f"{request.pictures.resolve().stem}-{Path(request.model).name}"
    )
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name another folder with --output")
    with stages_on_stderr(), tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        work = Path(name)
        labels = read_labels(request.labels, mapping)
        logger.info("fetching model %s", request.model)
        version, bundle = _open(request, work)
        external = read_external(request.pictures, labels, pixel_spec(bundle), IngestConfig(), work)
        report = evaluate_external(
            bundle,
            external,
            EvaluateConfig(),
            settings,
            data=request.pictures.resolve().name,
            model=_described(request.model, version),
        )
        logger.info("writing the report")
        report.save(folder)
    return Measured(
        "\n".join(_lines(report, folder)),
        folder,
        request.pictures.resolve().stem,
        version if request.log else None,
    )


def log_external(measured: Measured) -> str:
    """Log a report to the run of its version, and say so; nothing where there is none.

    Raises:
        RuntimeError: MLflow did not take it; says where it is all the same.
    """
    version = measured.version
    if version is None:
        return ""
    path = reports.log_external(version, measured.folder, measured.data)
    return (
        f"Logged as {path} of MLflow's run {version.run_id}, which registered version "
        f"{version.version} of {version.name}"
    )


def read_mapping(pairs: Sequence[str]) -> Mapping[str, str]:
    """Turn `name=code` into a mapping, names in lower case.

    Raises:
        ValueError: A pair without `=`.
    """
    mapping = {}
    for pair in pairs:
        name, equals, code = pair.partition("=")
        if not equals:
            raise ValueError(f"--map got {pair!r}; expected NAME=CODE, such as nevus=nv or scc=")
        mapping[name.strip().lower()] = code.strip().lower()
    return mapping


def _open(request: ExternalRequest, work: Path) -> tuple[RegisteredVersion | None, ModelBundle]:
    if names_folder(request.model):
        return None, ModelBundle.open(Path(request.model))
    version = reports.version_to_measure(request.model, log=request.log)
    # By its number, since an alias may move meanwhile.
    return version, open_bundle(str(version.version), work)


def _described(model: str, version: RegisteredVersion | None) -> str:
    if version is None or model == str(version.version):
        return model
    return f"{model} (version {version.version})"


def _lines(report: ExternalReport, folder: Path) -> list[str]:
    summary = report.summary
    estimates = summary.evidence.discrimination.images.estimates
    return [
        f"{extent(summary)}, {summary.put_aside} put aside",
        *(f"  {text}" for text in lesion_warnings(summary)),
        _overlap(summary.overlap),
        *(f"  {words:<26}{with_interval(estimates[name])}" for name, words in _SHOWN.items()),
        f"Report: {(folder / 'report.html').resolve().as_uri()}",
    ]


def _overlap(figures: OverlapFigures) -> str:
    if not figures.checked:
        return "  Not known whether the model has seen some of them: it carries no hashes"
    if not figures.total:
        return (
            f"  None of them was recognised as one of the {figures.n_seen:,} that the model has seen; "
            f"{blind_spots(figures)}"
        )
    return f"  {overlap_words(figures)}; left out: see overlap.csv"
