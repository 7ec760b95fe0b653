"""Putting a bundle into the registry, once."""

from pathlib import Path

import skin_lesion
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.summary import ReportSummary
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.answers import ANSWER_TAG, answer_tag
from skin_lesion.registry.checksums import FILES_TAG, files_tag
from skin_lesion.registry.fitness import GATE_AGAINST, gate_tags
from skin_lesion.registry.lookup import champion, find_bundle
from skin_lesion.registry.measurements import MEASURED_BY
from skin_lesion.registry.packaging import input_example, serving_requirements, signature
from skin_lesion.registry.version import MODEL_NAME, RegisteredVersion, as_registered

TAGGED_FIGURES = (
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "melanoma_auc",
    "malignant_auc",
    "ece",
)
# Where the look that gave the figures stands in the ledger, as the ledger's head `HASH:COUNT`, and
# how many looks at the same test pictures came before it.
LOOK, LOOKS_BEFORE = "test_look", "test_looks_before"
_FIGURE = "test."
_GATE = "gate"


def register_bundle(
    bundle: ModelBundle, summary: ReportSummary, gate: GateReport, name: str = MODEL_NAME
) -> RegisteredVersion:
    """Register a bundle with its figures, unless the very same bundle is registered already.

    A version that is there already takes over the figures, which may have been measured anew. The
    active MLflow run is tagged with the version either way.

    Args:
        bundle: The model with its final contract.
        summary: What was measured on it.
        gate: The verdict of the gates.
        name: Registered model.
    """
    import mlflow

    tags = _tags(bundle, summary) | gate_tags(gate, champion(name))
    found = find_bundle(name, bundle.bundle_hash)
    version = _brought_up_to_date(found, bundle, tags) if found else _create(bundle, tags, name)
    mlflow.set_tags(
        {"registered_version": str(version.version), "model_uri": version.uri} | look_tags(summary)
    )
    return version


def _create(bundle: ModelBundle, tags: dict[str, str], name: str) -> RegisteredVersion:
    """Log a bundle to the active run and make a version of it.

    It is a pyfunc written as models from code: nothing in it is pickled, and the library travels
    with it.
    """
    import mlflow

    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(skin_lesion.__file__).with_name("pyfunc.py")),
        artifacts={"bundle": str(bundle.path)},
        code_paths=[str(Path(skin_lesion.__file__).parent)],
        pip_requirements=serving_requirements(),
        signature=signature(),
        input_example=input_example(bundle),
    )
    tags = tags | files_tag(bundle) | answer_tag(bundle)
    version = mlflow.register_model(f"models:/{logged.model_id}", name, tags=tags)
    return as_registered(version, created=True)


def _brought_up_to_date(
    version: RegisteredVersion, bundle: ModelBundle, tags: dict[str, str]
) -> RegisteredVersion:
    """Take over what was measured anew, and what earlier libraries did not record.

    Tags change one after the other. The run that measured is named first, so that a process that is
    killed half-way leaves figures that are not those of that run, of which `verify` tells, or a
    verdict that contradicts its report, which no promotion accepts; the next run of `register` mends
    both.
    """
    import mlflow

    new, old = _measured(tags), _measured(version.tags)
    changed = dict(sorted(new.items() - old.items()))
    gone = old.keys() - new.keys()
    run = mlflow.active_run()
    if (changed.keys() | gone) - {GATE_AGAINST} and run is not None:
        changed = {MEASURED_BY: run.info.run_id} | changed
    if FILES_TAG not in version.tags:
        changed |= files_tag(bundle)
    if ANSWER_TAG not in version.tags:
        changed |= answer_tag(bundle)
    client, number = mlflow.MlflowClient(), str(version.version)
    for name, value in changed.items():
        client.set_model_version_tag(version.name, number, name, value)
    for name in gone:
        client.delete_model_version_tag(version.name, number, name)
    kept = {name: value for name, value in version.tags.items() if name not in gone}
    return version.model_copy(update={"tags": kept | changed})


def _measured(tags: dict[str, str]) -> dict[str, str]:
    """The tags that another evaluation of the same bundle may change."""
    return {
        name: value
        for name, value in tags.items()
        if name.startswith((_FIGURE, _GATE, LOOK, LOOKS_BEFORE))
    }


def figure_tag(name: str) -> str:
    """Tag of a figure of the test split."""
    return f"{_FIGURE}{name}"


def look_tags(summary: ReportSummary) -> dict[str, str]:
    """Tags that note where the ledger ended at the look, out of reach of who writes to the ledger."""
    if summary.looks is None:
        return {}
    return {LOOK: summary.looks.head, LOOKS_BEFORE: str(summary.looks.before)}


def _figure_tags(summary: ReportSummary) -> dict[str, str]:
    figures = {name: getattr(summary.test, name) for name in TAGGED_FIGURES}
    return {
        figure_tag(name): f"{value:.4f}" for name, value in figures.items() if value is not None
    }


def _tags(bundle: ModelBundle, summary: ReportSummary) -> dict[str, str]:
    contract = bundle.contract
    return {
        "bundle_hash": bundle.bundle_hash,
        # Before the temperature that was found in measuring entered the contract.
        "evaluated_bundle_hash": summary.bundle_hash,
        "data_fingerprint": contract.data_fingerprint,
        "split_hash": contract.split_hash,
        "code_version": contract.code_version,
        "training_run_id": contract.training_run_id or "none",
        "synthetic_only": str(contract.synthetic_only).lower(),
        "licence": contract.licence,
        "backbone": contract.backbone,
        **_figure_tags(summary),
        **look_tags(summary),
    }
