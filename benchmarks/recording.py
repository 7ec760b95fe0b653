"""What `results_table.py` keeps of a finished pipeline run, and the checks that it is true."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from baselines import Baselines, Comparison, compare, look
from finished_run import (
    ENSEMBLE,
    TRAINING,
    bundle_step,
    commit_of,
    find_run,
    minutes_of_work,
    output,
    pipeline_of,
    refuse_other_code,
    states,
)
from pydantic import BaseModel, ConfigDict
from root import ROOT

from skin_lesion.checkout import processor
from skin_lesion.evaluation.figures import Estimate

if TYPE_CHECKING:
    from skin_lesion.evaluation.report import EvaluationReport
    from skin_lesion.evaluation.summary import ReportSummary

OF_LESIONS = ("balanced_accuracy", "macro_f1", "melanoma_auc", "malignant_auc")


class Recorded(BaseModel):
    """One real run, as kept in `benchmarks/results/<config>.json`.

    Attributes:
        config: Configuration, relative to the root.
        commit: Commit of the project that ran.
        machine: Processor and number of cores.
        minutes: Time that its steps took where each did its work, all epochs of training included.
        report: Its `evaluation/report.json`, without the evidence.
        dirty: Whether files differed from that commit; None where the run did not note it.
        comparison: The run beside a baseline; None where it was not compared.
        evidence: What `evidence_of` picks from the report; None in a run recorded before it was.
        pipeline: Which one ran; of a run recorded before it was noted, that of a single training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str
    commit: str
    machine: str
    minutes: float
    report: dict[str, Any]
    dirty: bool | None = None
    comparison: Comparison | None = None
    evidence: dict[str, Estimate] | None = None
    pipeline: str = TRAINING

    @property
    def command(self) -> str:
        """What repeats the run."""
        if self.pipeline == ENSEMBLE:
            run = "zenml pipeline run pipelines.ensemble.ensemble_pipeline"
            return f"HAM10000_PATH=... {run} -c {self.config}"
        return f"make train HAM10000_PATH=... CONFIG={self.config}"


def record(config: str, run_name: str | None, baseline: Path | None = None) -> Recorded:
    """Read a finished pipeline run from ZenML.

    Args:
        config: The configuration that it ran.
        run_name: Name or id of the run; None takes the last one that finished.
        baseline: File of figures to compare it with.

    Raises:
        ValueError: What would be recorded is not true of the run: it is not one of this
            configuration on real images, or other code trained it.
    """
    asked = yaml.safe_load((ROOT / config).read_text(encoding="utf-8"))
    pipeline = pipeline_of(asked)
    run = find_run(run_name, pipeline)
    used = {name: step.config.parameters for name, step in run.steps.items()}
    if not states(asked.get("parameters", {}), run.config.parameters) or not all(
        states(step.get("parameters", {}), used.get(name, {}))
        for name, step in asked.get("steps", {}).items()
    ):
        raise ValueError(f"Run {run.name} did not run {config}: its parameters are others")
    minutes = minutes_of_work(run)
    bundle = output(run, bundle_step(pipeline), "bundle")
    refuse_other_code(run.name, bundle.contract.code_version)
    report: EvaluationReport = output(run, "evaluate", "evaluation")
    if report.summary.synthetic_only:
        raise ValueError(f"Run {run.name} saw synthetic images only; record one on real images")
    commit, dirty = commit_of(run)
    comparison = None
    if baseline is not None:
        given = Baselines.model_validate_json(baseline.read_text(encoding="utf-8"))
        look(report, run.name)
        comparison = compare(report.predictions, report.summary, given)
    return Recorded(
        config=config,
        commit=commit,
        dirty=dirty,
        machine=processor(),
        minutes=round(minutes, 1),
        report=report.summary.model_dump(mode="json", exclude={"evidence"}),
        comparison=comparison,
        evidence=evidence_of(report.summary),
        pipeline=pipeline,
    )


def evidence_of(summary: "ReportSummary") -> dict[str, Estimate]:
    """The figures of the test split that a clinician asks for first, by name."""
    evidence, lesions = summary.evidence, summary.evidence.discrimination.lesions.estimates
    found = {f"lesions.{name}": lesions[name] for name in OF_LESIONS}
    for one in evidence.operating_points:
        flags = one.figures
        found |= {
            f"{one.point.name}.sensitivity": flags.lesion_sensitivity,
            f"{one.point.name}.specificity": flags.lesion_specificity,
            f"{one.point.name}.ppv": flags.ppv,
            f"{one.point.name}.npv": flags.npv,
        }
    found["ece_before"], found["ece"] = (
        evidence.calibration.before.ece,
        evidence.calibration.after.ece,
    )
    if evidence.prediction_sets:
        found["sets.coverage"] = evidence.prediction_sets.coverage
        found["sets.mean_size"] = evidence.prediction_sets.mean_size
    if evidence.refusals and summary.decisions.ood:
        found["refused"] = evidence.refusals.refused
        chosen = evidence.refusals.separations.get(summary.decisions.ood.score)
        if chosen is not None and "crops" in chosen.auroc:
            found["outliers.auroc"] = chosen.auroc["crops"]
    if evidence.explanations and evidence.explanations.deletion:
        found["deletion.better"] = evidence.explanations.deletion.better_deletion
    return found
