"""Runs one step of an earlier training run again, with the inputs that it had there.

ZenML's `replay` with everything skipped that does not follow from the step: skipped steps hand on
the very artifacts of that run, whatever has become of code, cache or source since. Running the
pipeline anew and leaving the rest to the cache would not do: it executes a step above again where
its code has changed.

The whole request is checked before anything starts, so that a mistake leaves no broken run behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zenml import link_artifact_to_model
from zenml.enums import ExecutionStatus

from pipelines.overrides import Override, differences, override, parse_overrides, unknown
from pipelines.recorded_run import (
    FINGERPRINTS,
    OF_MEMBERS,
    RecordedRun,
    Values,
    config_kinds,
    find_run,
)
from pipelines.rerun_plan import (
    Action,
    PlannedStep,
    Wish,
    plan_steps,
    running_steps,
    table,
)
from skin_lesion.data.ingest import check_image_size
from skin_lesion.data.sources import source_fingerprint
from skin_lesion.locking import only_process
from skin_lesion.modeling.backbones import spec_of
from skin_lesion.modeling.weights import former_fingerprint, locate_weights, weights_fingerprint
from steps._run import base_name, checkpoint_root

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse
    from zenml.pipelines.pipeline_definition import Pipeline


@dataclass(frozen=True)
class RerunRequest:
    """What is asked for.

    Attributes:
        step: To be executed again.
        run: Name, id, or a prefix of either that no other run shares; None takes the last one.
        settings: `step.key=value` each.
        without_cache: Whether the steps that follow run too where their input comes out equal.
        interrupted: The run counts as ended although ZenML has it as running: its process died.
    """

    step: str
    run: str | None = None
    settings: Sequence[str] = ()
    without_cache: bool = False
    interrupted: bool = False


@dataclass(frozen=True)
class Rerun:
    """A checked request, ready to start.

    Attributes:
        run: The earlier run.
        pipeline: That it is a run of.
        rows: What becomes of every step.
        parameters: Of the pipeline.
        options: Of the run: `steps` and what else ZenML's `with_options` takes.
    """

    run: "PipelineRunResponse"
    pipeline: "Pipeline"
    rows: tuple[PlannedStep, ...]
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]

    def describe(self) -> str:
        """What will happen, as text."""
        return f"From run {self.run.name} ({self.run.status.value}):\n\n{table(self.rows)}"

    def steps(self, action: Action) -> tuple[str, ...]:
        """Steps that this becomes of."""
        return tuple(row.step for row in self.rows if row.action == action)


def prepare_rerun(request: RerunRequest) -> Rerun:
    """Check a request and plan it; starts nothing.

    Raises:
        LookupError: No such run, step or key.
        ValueError: A value is not allowed, or the recorded ones do not fit the code any more.
        RuntimeError: The run is not over, or what it left behind cannot be read here.
        SourceError: Pictures that would be read again are not there.
        WeightsError: Weights that training would start from again are not there.
    """
    recorded = RecordedRun(find_run(request.run))
    run = recorded.run
    if not (run.status.is_finished or request.interrupted):
        raise RuntimeError(
            f"run {run.name} is {run.status.value}; wait for its end, or add --interrupted if its "
            "process is dead"
        )
    wiring = recorded.wiring
    if request.step not in wiring.upstream:
        raise unknown("step", request.step, wiring.upstream)
    overrides = parse_overrides(request.settings, wiring.upstream, recorded.parameter_kinds)
    running = running_steps(request.step, wiring)
    for change in overrides:
        _refuse_if_reused(change, running, recorded, request.step)
    recorded.check_artifacts(running)
    values = _overridden(recorded, overrides)
    known = _fingerprints(recorded, values, running)
    notes = _notes(recorded, values, known)
    rows = plan_steps(Wish(request.step, request.without_cache, notes), wiring)
    steps = {
        row.step: {
            **recorded.circumstances(row.step),
            # The training steps learn from this that they shall work, and not find their results.
            **({"enable_cache": False} if row.action == Action.RUNS else {}),
            **_stated(values.configs.get(row.step)),
        }
        for row in rows
    }
    parameters = {**values.parameters, **known}
    return Rerun(
        run, recorded.definition, rows, parameters, {**recorded.circumstances(), "steps": steps}
    )


def start_rerun(rerun: Rerun) -> str:
    """Execute a plan, and say what came of it.

    Raises:
        RuntimeError: Another re-run is at work on this machine.
    """
    with _alone():
        pipeline = rerun.pipeline.with_options(**rerun.options)
        started = pipeline.replay(
            pipeline_run=rerun.run.id,
            skip=list(rerun.steps(Action.REUSED)),
            input_overrides=rerun.parameters,
        )
    _link_reused(started)
    steps = started.steps
    lines = [f"Run {started.name} {started.status.value}"]
    for status, word in (
        (ExecutionStatus.COMPLETED, "executed"),
        (ExecutionStatus.CACHED, "from the cache"),
        (ExecutionStatus.SKIPPED, "reused"),
    ):
        names = [row.step for row in rerun.rows if row.step in steps]
        if found := [name for name in names if steps[name].status == status]:
            lines.append(f"  {word}: {', '.join(found)}")
    return "\n".join(lines)


def _link_reused(run: "PipelineRunResponse") -> None:
    """Show what was reused at ZenML's model version too, which it does for cached steps alone."""
    if run.model_version is None:
        return
    model = run.model_version.to_model_class()
    for step in run.steps.values():
        if step.status == ExecutionStatus.SKIPPED:
            for versions in step.outputs.values():
                for artifact in versions:
                    link_artifact_to_model(artifact, model)


def _refuse_if_reused(
    change: Override, running: Sequence[str], recorded: RecordedRun, named: str
) -> None:
    """A value that a reused step has read already cannot be another one."""
    readers = recorded.readers(change.owner) or (change.owner,)
    reused = [step for step in readers if step not in running]
    if reused and change.owner in OF_MEMBERS:
        raise ValueError(
            f"--set {change.text}: all members of an ensemble share it, and re-running {named} does "
            f"not execute {', '.join(reused)} again; start a new run with `zenml pipeline run`, in "
            "which whatever does not depend on it comes from the cache"
        )
    if reused:
        read_by = f"{', '.join(reused)} of that run ha{'s' if len(reused) == 1 else 've'} used it"
        raise ValueError(
            f"--set {change.text}: {read_by}, and re-running {named} does not execute "
            f"{'it' if len(reused) == 1 else 'them'} again; re-run {reused[0]} instead"
        )


def _overridden(recorded: RecordedRun, overrides: Sequence[Override]) -> Values:
    def changed(owner: str, kind: Any, value: Any) -> Any:
        return override(kind, value, [change for change in overrides if change.owner == owner])

    kinds, parameters = config_kinds(recorded.pipeline), recorded.parameter_kinds
    shared = {step: parameter for parameter, step in OF_MEMBERS.items() if parameter in parameters}
    for change in overrides:
        if change.owner != base_name(change.owner) and base_name(change.owner) in shared:
            raise LookupError(
                f"--set {change.text}: members of an ensemble are trained with one configuration; "
                f"name it by {shared[base_name(change.owner)]!r} instead of {change.owner!r}"
            )
        if change.owner not in {*kinds, *parameters}:
            raise LookupError(f"--set {change.text}: {change.owner} has nothing to be set")
    before = recorded.values
    values = Values(
        {name: changed(name, kind, before.parameters[name]) for name, kind in parameters.items()},
        {name: changed(name, kind, before.configs[name]) for name, kind in kinds.items()},
    )
    folds = [found.parameters.get("ensemble") for found in (before, values)]
    if folds[0] != folds[1]:
        raise ValueError(
            f"ensemble is {folds[1]} and was {folds[0]} in run {recorded.run.name}: with another "
            "number of members the steps are others; start a new run with `zenml pipeline run`"
        )
    return values


def _fingerprints(
    recorded: RecordedRun, values: Values, running: Sequence[str]
) -> dict[str, str | None]:
    """Those of the run for what is not read again; of what is, as it is now.

    With the old one, the cache would hold the outcome of changed files under the name of the old.
    """
    known = dict(recorded.fingerprints)
    if "ingest" in running:
        check_image_size(values.parameters["image_size"])
        known["known_source"] = source_fingerprint(
            values.parameters["source"], values.parameters["seed"]
        )
    starting = recorded.readers(FINGERPRINTS["known_weights"])
    if not set(starting).isdisjoint(running):
        backbone = values.parameters["backbone"]
        spec_of(backbone.name)
        if backbone.weights == "path":
            locate_weights(backbone)
        # Of a run of an earlier version the cache knows the same file by its size and time.
        before = recorded.fingerprints["known_weights"]
        as_before = before is not None and before == former_fingerprint(backbone)
        known["known_weights"] = before if as_before else weights_fingerprint(backbone)
        kept = [step for step in starting if step not in running]
        if kept and known["known_weights"] != before:
            raise ValueError(
                f"the weights that training starts from changed since run {recorded.run.name}, and "
                f"{', '.join(kept)} would be reused: members of an ensemble start from the same "
                "weights. Put the file back, or start a new run with `zenml pipeline run`"
            )
    return known


def _notes(
    recorded: RecordedRun, values: Values, known: Mapping[str, str | None]
) -> dict[str, list[str]]:
    """What each step finds otherwise than in that run."""
    notes: dict[str, list[str]] = {name: [] for name in recorded.pipeline.invocations}
    for name, config in values.configs.items():
        notes[name] += differences(recorded.values.configs[name], config)
    for name, value in values.parameters.items():
        changes = differences(recorded.values.parameters[name], value, name)
        for step in recorded.readers(name) if changes else ():
            notes[step] += changes
    for name, parameter in FINGERPRINTS.items():
        for step in recorded.readers(parameter):
            # Where a value was changed, that is why.
            if known[name] != recorded.fingerprints[name] and not notes[step]:
                notes[step].append(f"its {parameter.removesuffix('_fingerprint')} changed since")
    return notes


def _stated(config: Any) -> dict[str, Any]:
    return {} if config is None else {"parameters": {"config": config.model_dump(mode="json")}}


@contextmanager
def _alone() -> Iterator[None]:
    """Two re-runs of one training would clear each other's checkpoints."""
    folder = checkpoint_root()
    folder.mkdir(parents=True, exist_ok=True)
    with only_process(folder / "rerun.lock", "another re-run"):
        yield
