"""What the last training run came to, and what to open next."""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.client import Client
from zenml.enums import ExecutionStatus, VisualizationType

if TYPE_CHECKING:
    from zenml.models import ArtifactVersionResponse, PipelineRunResponse

PIPELINE = "training_pipeline"
ENSEMBLES = "ensemble_pipeline"
FIGURES = {
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_auc": "Macro AUC",
    "melanoma_auc": "Melanoma AUC",
    "malignant_auc": "Malignant AUC",
    "ece": "Calibration error (ECE)",
}


def describe_last_run(tracking_uri: str) -> str:
    """Figures, registered model and pages of the last finished training run, an ensemble's included.

    Args:
        tracking_uri: Where MLflow keeps its runs.

    Raises:
        LookupError: There is no finished run.
    """
    runs = [
        run
        for pipeline in (PIPELINE, ENSEMBLES)
        for run in Client().list_pipeline_runs(
            pipeline=pipeline, status=ExecutionStatus.COMPLETED, sort_by="desc:created", size=1
        )
    ]
    if not runs:
        raise LookupError(
            "no training run has finished yet; start one with "
            "`zenml pipeline run pipelines.training.training_pipeline -c configs/demo.yaml`"
        )
    run = max(runs, key=lambda one: one.created)
    artifacts = dict(_artifacts(run))
    evaluation = artifacts["evaluation"].run_metadata
    version = artifacts["registered_version"].run_metadata
    return "\n".join(
        [
            f"Run {run.name}",
            *_notice(evaluation),
            "",
            "On the test split:",
            *_figures(evaluation["test"]),
            "",
            f"Registered: {version['name']}, version {version['version']}",
            f"  mlflow.pyfunc.load_model('{version['uri']}')",
            "",
            *_verdict(run),
            "",
            "Open next:",
            *(f"  {name:<18} {path}" for name, path in _pages(artifacts)),
            f"  {'runs and models':<18} mlflow ui --backend-store-uri {tracking_uri}",
            f"  {'pipeline':<18} zenml login --local",
            f"  {'production':<18} skin-lesion promote {version['version']} --reason '…'",
            f"  {'dashboard':<18} skin-lesion dashboard   (reads pictures by what is in production)",
        ]
    )


def _artifacts(run: "PipelineRunResponse") -> "Iterator[tuple[str, ArtifactVersionResponse]]":
    for step in run.steps.values():
        for name, versions in step.outputs.items():
            yield name, versions[0]


def _notice(evaluation: Mapping[str, Any]) -> list[str]:
    if not evaluation["synthetic_only"]:
        return []
    text = "Trained on drawn pictures only: it has never seen a patient and is of no clinical use."
    return textwrap.wrap(text, 100)


def _verdict(run: "PipelineRunResponse") -> list[str]:
    """What the gates say: the verdict, and why where it is not passed."""
    lines = [str(line) for line in run.steps["register"].run_metadata["gate"]]
    return [f"Gates: {lines[0]}", *(f"  {line}" for line in lines if line.startswith("FAILED"))]


def _figures(test: Mapping[str, Any]) -> Iterator[str]:
    for name, label in FIGURES.items():
        if name in test:
            yield f"  {label:<26}{test[name]:.3f}"
    yield f"  on {test['n_images']} images of {test['n_lesions']} lesions"


def _pages(artifacts: "Mapping[str, ArtifactVersionResponse]") -> Iterator[tuple[str, str]]:
    """One page or picture of each artifact, the report of the evaluation first."""
    order = sorted(artifacts, key=lambda name: name != "evaluation")
    for name in order:
        for visualization in artifacts[name].visualizations or []:
            if visualization.type in (VisualizationType.HTML, VisualizationType.IMAGE):
                path = Path(visualization.uri)
                yield name.replace("_", " "), path.as_uri() if path.is_absolute() else str(path)
                break
