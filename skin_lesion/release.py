"""From a trained and measured model to a version in the registry, with the verdict of the gates."""

from dataclasses import dataclass
from pathlib import Path

from skin_lesion import registry
from skin_lesion.data.looking import Ledger, Purpose
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.verdict import pass_judgement
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.settings import GateConfig


@dataclass(frozen=True)
class Release:
    """A registered model.

    Attributes:
        bundle: With the decisions that evaluation froze.
        gate: The verdict.
        version: In the registry, tagged with the verdict.
    """

    bundle: ModelBundle
    gate: GateReport
    version: registry.RegisteredVersion


def release(
    bundle: ModelBundle,
    report: EvaluationReport,
    limits: GateConfig,
    target: Path,
    *,
    ledger: Ledger | None = None,
    run: str | None = None,
) -> Release:
    """Freeze the decisions into the bundle, judge it and register it in the active MLflow run.

    A model that fails a gate is registered too, tagged as failed: what may go into production is
    decided when it is promoted.

    Args:
        bundle: As trained.
        report: What was measured on it.
        limits: What it has to reach.
        target: Folder to be made for the bundle with its decisions.
        ledger: Where a comparison with the model in production is written down; None takes the one of
            the environment.
        run: Name of the pipeline run; None outside one.

    Raises:
        ValueError: The report is of another bundle.
        RuntimeError: The comparison could not be written down; nothing was registered.
    """
    if report.summary.bundle_hash != bundle.bundle_hash:
        raise ValueError(
            f"the report is of bundle {report.summary.bundle_hash} and not of "
            f"{bundle.bundle_hash}; evaluate this one"
        )
    final = bundle.with_decisions(report.summary.decisions, report.bundle_files, target)
    gate = pass_judgement(
        report,
        final.bundle_hash,
        limits,
        registry.production(),
        ledger=ledger or environments_ledger(),
        purpose=Purpose("register", "the gates: no worse than the model in production", run),
    )
    return Release(final, gate, registry.register_bundle(final, report.summary, gate))
