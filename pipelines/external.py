"""Measures a registered model on labelled pictures from elsewhere."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skin_lesion.data.external import read_external, read_labels
from skin_lesion.evaluation.external import ExternalReport, evaluate_external, pixel_spec
from skin_lesion.evaluation.wording import with_interval
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import open_bundle
from skin_lesion.settings import EvaluateConfig, IngestConfig

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
        seed: Of all draws.
    """

    model: str
    pictures: Path
    labels: Path
    mapping: Sequence[str] = ()
    output: Path | None = None
    seed: int = 17


def run_external(request: ExternalRequest, shelf: Path) -> str:
    """Measure, write the report, and say where it is.

    Args:
        request: What is asked for.
        shelf: Folder for reports that were not given one.

    Raises:
        LookupError: No such model.
        SourceError: Pictures or labels cannot be used.
        FileExistsError: The report's folder exists.
        ValueError: A mapping is none, or the model was never evaluated.
    """
    mapping = read_mapping(request.mapping)
    folder = request.output or shelf / f"{request.pictures.stem}-{Path(request.model).name}"
    if folder.exists():
        raise FileExistsError(f"{folder} exists; name another folder with --output")
    labels = read_labels(request.labels, mapping)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        work = Path(name)
        bundle = _bundle(request.model, work)
        external = read_external(request.pictures, labels, pixel_spec(bundle), IngestConfig(), work)
        report = evaluate_external(
            bundle,
            external,
            EvaluateConfig(),
            data=request.pictures.name,
            model=request.model,
            seed=request.seed,
        )
        report.save(folder)
    return "\n".join(_lines(report, folder))


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


def _bundle(model: str, work: Path) -> ModelBundle:
    path = Path(model)
    return ModelBundle.open(path) if path.is_dir() else open_bundle(model, work)


def _lines(report: ExternalReport, folder: Path) -> list[str]:
    summary = report.summary
    estimates = summary.evidence.discrimination.images.estimates
    return [
        f"{summary.figures.n_images} pictures of {summary.figures.n_lesions} lesions, "
        f"{summary.put_aside} put aside",
        *(f"  {words:<26}{with_interval(estimates[name])}" for name, words in _SHOWN.items()),
        f"Report: {(folder / 'report.html').resolve().as_uri()}",
    ]
