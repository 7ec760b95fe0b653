"""What `results_table.py` keeps of a finished pipeline run, and the checks that it is true."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict

from skin_lesion.checkout import processor
from skin_lesion.evaluation.figures import Estimate

if TYPE_CHECKING:
    import pandas as pd
    from zenml.models import PipelineRunResponse

    from skin_lesion.evaluation.report import EvaluationReport
    from skin_lesion.evaluation.summary import ReportSummary
    from skin_lesion.modeling.history import History

ROOT = Path(__file__).resolve().parents[1]
COMPARED = (
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "melanoma_auc",
)  # fmt: skip
RESAMPLES = 500
TRAINING, ENSEMBLE = "training_pipeline", "ensemble_pipeline"
# Parameters that only the ensemble's pipeline has.
_OF_ENSEMBLES = frozenset({"ensemble", "warmup", "finetune"})
OF_LESIONS = ("balanced_accuracy", "macro_f1", "melanoma_auc", "malignant_auc")


class Baseline(BaseModel):
    """A run of something else on the same data.

    Attributes:
        fine_tune_epochs: Epochs of its second phase.
        minutes: How long it took.
        split: Its split, in words.
        test: Figures by name, on the test part of that split.
    """

    model_config = ConfigDict(frozen=True)

    fine_tune_epochs: int
    minutes: float
    split: str
    test: dict[str, int | float]


class Baselines(BaseModel):
    """The file that `--baseline` names.

    Attributes:
        what: What ran, in words.
        runs: Its runs.
    """

    model_config = ConfigDict(frozen=True)

    what: str
    runs: tuple[Baseline, ...]


class Comparison(BaseModel):
    """A run beside the baselines.

    Attributes:
        baselines: What it is compared with.
        resamples: Bootstrap resamples of the lesion groups behind each standard error.
        standard_errors: Of our figures on the test split, by name.
        no_worse: For each run of the baselines, by name of the figure: whether ours is no worse
            within one standard error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    baselines: Baselines
    resamples: int
    standard_errors: dict[str, float]
    no_worse: tuple[dict[str, bool], ...]


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
    ensemble = not _OF_ENSEMBLES.isdisjoint(asked.get("parameters", {}))
    pipeline = ENSEMBLE if ensemble else TRAINING
    run = find_run(run_name, pipeline)
    used = {name: step.config.parameters for name, step in run.steps.items()}
    if not states(asked.get("parameters", {}), run.config.parameters) or not all(
        states(step.get("parameters", {}), used.get(name, {}))
        for name, step in asked.get("steps", {}).items()
    ):
        raise ValueError(f"Run {run.name} did not run {config}: its parameters are others")
    minutes = minutes_of_work(run)
    bundle = output(run, "ensemble" if ensemble else "finetune_train", "bundle")
    refuse_other_code(run.name, bundle.contract.code_version)
    report: EvaluationReport = output(run, "evaluate", "evaluation")
    if report.summary.synthetic_only:
        raise ValueError(f"Run {run.name} saw synthetic images only; record one on real images")
    commit, dirty = commit_of(run)
    comparison = None
    if baseline is not None:
        given = Baselines.model_validate_json(baseline.read_text(encoding="utf-8"))
        _look(report, run.name)
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


def _look(report: "EvaluationReport", run: str) -> None:
    """Write down that standard errors will be computed from the answers to the test pictures."""
    from skin_lesion.data.looking import LookedAt, Purpose, look_at_answers
    from skin_lesion.evaluation.report import sample_of_test
    from skin_lesion.ledger import environments_ledger

    summary = report.summary
    look_at_answers(
        sample_of_test(report.predictions).rows["image_id"],
        summary.split_hash,
        environments_ledger(),
        LookedAt(summary.decided_bundle_hash or summary.bundle_hash, summary.bundle_hash),
        Purpose("benchmarks/recording.py", "standard errors beside the baselines", run),
    )


def find_run(name: str | None, pipeline: str = TRAINING) -> "PipelineRunResponse":
    """The run of this name or id; the last one of the pipeline that finished where it is None.

    Raises:
        ValueError: It is of another pipeline, or none has finished.
    """
    from zenml.client import Client
    from zenml.enums import ExecutionStatus

    if name is not None:
        run = Client().get_pipeline_run(name)
        if run.pipeline.name != pipeline:
            raise ValueError(f"Run {run.name} is one of {run.pipeline.name}, and not of {pipeline}")
        return run
    last = Client().list_pipeline_runs(
        pipeline=pipeline,
        status=ExecutionStatus.COMPLETED,
        sort_by="desc:created",
        size=1,
    )
    if not last.items:
        raise ValueError(f"no run of {pipeline} has finished yet")
    return Client().get_pipeline_run(last.items[0].id)


def output(run: "PipelineRunResponse", step: str, name: str) -> Any:
    """What a step of a run came to."""
    return run.steps[step].outputs[name][0].load()


def minutes_of_work(run: "PipelineRunResponse") -> float:
    """Time of all steps, each where it did its work.

    A step from the cache counts as long as it took when it ran, and a phase of training that was
    resumed as long as all of its epochs took.

    Raises:
        ValueError: A step has not finished.
    """
    from zenml.client import Client

    seconds = {}
    for name, step in run.steps.items():
        worked = step
        while worked.original_step_run_id:
            worked = Client().get_run_step(worked.original_step_run_id)
        if worked.start_time is None or worked.end_time is None:
            raise ValueError(f"Run {run.name} has not finished: {name} has no end")
        seconds[name] = (worked.end_time - worked.start_time).total_seconds()
    histories = {
        step: output(run, step, name)
        for step, made in run.steps.items()
        for name in ("warmup_history", "finetune_history")
        if name in made.outputs  # of a training, or of every member of an ensemble
    }
    return sum(whole_seconds(seconds, histories).values()) / 60


def whole_seconds(
    seconds: Mapping[str, float], histories: Mapping[str, "History"]
) -> dict[str, float]:
    """Time of each step; of a phase of training at least that of its epochs.

    Args:
        seconds: How long each step ran.
        histories: Of the steps that train.
    """
    trained = {
        name: sum(record.seconds for record in history.records)
        for name, history in histories.items()
    }
    return {name: max(took, trained.get(name, 0.0)) for name, took in seconds.items()}


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


def refuse_other_code(name: str, trained_with: str) -> None:
    """Raise where the model was trained by other code than that of this checkout."""
    from steps._caching import code_version

    if trained_with != code_version():
        raise ValueError(
            f"Run {name} trained with code version {trained_with}, and this checkout has "
            f"{code_version()}; record it from the commit that it ran"
        )


def commit_of(run: "PipelineRunResponse") -> tuple[str, bool | None]:
    """Commit that a run started with, and whether files differed from it.

    A run that did not note its commit has that of the checkout, whose code made the same model.
    """
    import mlflow
    from zenml.client import Client

    tracker = Client().active_stack.experiment_tracker
    run_id = str(run.steps["register"].run_metadata["mlflow_run_id"])
    tags = mlflow.MlflowClient(tracker.get_tracking_uri()).get_run(run_id).data.tags
    if "git_commit" in tags:
        return tags["git_commit"][:7], {"true": True, "false": False}.get(tags["git_dirty"])
    command = ["git", "rev-parse", "HEAD"]
    head = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return head[:7], None


def compare(
    predictions: "pd.DataFrame",
    summary: "ReportSummary",
    baselines: Baselines,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Put a run beside baselines.

    Args:
        predictions: Those of its report.
        summary: Its figures.
        baselines: The others' figures.
        resamples: Bootstrap resamples of the lesion groups.
    """
    errors = standard_errors(predictions, summary, resamples)
    ours = summary.test.model_dump()
    verdicts = tuple(
        {
            name: bool(ours[name] + errors[name] >= baseline.test[name])
            for name in COMPARED
            if name in baseline.test and name in errors
        }
        for baseline in baselines.runs
    )
    return Comparison(
        baselines=baselines,
        resamples=resamples,
        standard_errors={name: round(error, 4) for name, error in errors.items()},
        no_worse=verdicts,
    )


def standard_errors(
    predictions: "pd.DataFrame", summary: "ReportSummary", resamples: int
) -> dict[str, float]:
    """Standard error of each compared figure on the test split; none of an undefined figure.

    Whole lesion groups are drawn, since the pictures of one lesion are not independent.
    """
    from skin_lesion.evaluation.measured import measured
    from skin_lesion.evaluation.report import sample_of_test
    from skin_lesion.evaluation.resampling import Resamples

    sample = sample_of_test(predictions)
    drawn = Resamples.over_lesions(sample.groups, resamples, summary.seed)
    found = measured(sample, drawn, bins=summary.freezing.calibration.bins)
    known = [name for name in COMPARED if getattr(summary.test, name) is not None]
    return {name: float(np.nanstd(found.resampled[name], ddof=1)) for name in known}


def states(stated: Any, actual: Any) -> bool:
    """Whether everything that a configuration states holds for a run."""
    if isinstance(stated, Mapping):
        return all(key in actual and states(value, actual[key]) for key, value in stated.items())
    if isinstance(stated, list):
        return list(actual) == stated
    return bool(actual == stated)
