"""What `results_table.py` keeps of a finished pipeline run, and the checks that it is true."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict

from skin_lesion.checkout import processor

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
        minutes: Wall time of the whole pipeline run, nothing from the cache.
        report: Its `evaluation/report.json`.
        dirty: Whether files differed from that commit; None where the run did not note it.
        comparison: The run beside a baseline; None where it was not compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str
    commit: str
    machine: str
    minutes: float
    report: dict[str, Any]
    dirty: bool | None = None
    comparison: Comparison | None = None

    @property
    def command(self) -> str:
        """What repeats the run."""
        return f"make train HAM10000_PATH=... CONFIG={self.config}"


def record(config: str, run_name: str | None, baseline: Path | None = None) -> Recorded:
    """Read a finished pipeline run from ZenML.

    Args:
        config: The configuration that it ran.
        run_name: Name or id of the run; None takes the last one that finished.
        baseline: File of figures to compare it with.

    Raises:
        ValueError: What would be recorded is not true of the run: it is not one of this
            configuration on real images, other code trained it, or a part of it was done before.
    """
    run = find_run(run_name)
    asked = yaml.safe_load((ROOT / config).read_text(encoding="utf-8"))
    used = {name: step.config.parameters for name, step in run.steps.items()}
    if not states(asked.get("parameters", {}), run.config.parameters) or not all(
        states(step.get("parameters", {}), used[name])
        for name, step in asked.get("steps", {}).items()
    ):
        raise ValueError(f"Run {run.name} did not run {config}: its parameters are others")
    minutes = minutes_of_whole_run(run)
    refuse_other_code(run.name, output(run, "finetune_train", "bundle").contract.code_version)
    report: EvaluationReport = output(run, "evaluate", "evaluation")
    if report.summary.synthetic_only:
        raise ValueError(f"Run {run.name} saw synthetic images only; record one on real images")
    commit, dirty = commit_of(run)
    comparison = None
    if baseline is not None:
        given = Baselines.model_validate_json(baseline.read_text(encoding="utf-8"))
        comparison = compare(report.predictions, report.summary, given)
    return Recorded(
        config=config,
        commit=commit,
        dirty=dirty,
        machine=processor(),
        minutes=round(minutes, 1),
        report=report.summary.model_dump(mode="json", exclude={"evidence"}),
        comparison=comparison,
    )


def find_run(name: str | None) -> "PipelineRunResponse":
    """The run of this name or id; the last training run that finished where it is None."""
    from zenml.client import Client
    from zenml.enums import ExecutionStatus

    if name is not None:
        return Client().get_pipeline_run(name)
    last = Client().list_pipeline_runs(
        pipeline="training_pipeline",
        status=ExecutionStatus.COMPLETED,
        sort_by="desc:created",
        size=1,
    )
    return Client().get_pipeline_run(last.items[0].id)


def output(run: "PipelineRunResponse", step: str, name: str) -> Any:
    """What a step of a run came to."""
    return run.steps[step].outputs[name][0].load()


def minutes_of_whole_run(run: "PipelineRunResponse") -> float:
    """Wall time of a run that did all of its work itself.

    Raises:
        ValueError: It has not finished, took a step from the cache, or resumed training.
    """
    from zenml.enums import ExecutionStatus

    cached = sorted(n for n, step in run.steps.items() if step.status == ExecutionStatus.CACHED)
    if cached:
        raise ValueError(
            f"Run {run.name} took {', '.join(cached)} from the cache; record the run that did the work"
        )
    if run.start_time is None or run.end_time is None:
        raise ValueError(f"Run {run.name} has not finished")
    seconds = (run.end_time - run.start_time).total_seconds()
    phases = (("warmup_train", "warmup_history"), ("finetune_train", "finetune_history"))
    refuse_resumed(run.name, seconds, [output(run, step, name) for step, name in phases])
    return seconds / 60


def refuse_resumed(name: str, seconds: float, histories: Sequence["History"]) -> None:
    """Raise where a run was shorter than its epochs: some came from a checkpoint."""
    trained = sum(record.seconds for history in histories for record in history.records)
    if seconds < trained:
        raise ValueError(
            f"Run {name} took {seconds:.0f} s, but its epochs took {trained:.0f} s: it resumed from "
            "checkpoints, and its time says nothing; record a run that trained from the start"
        )


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
