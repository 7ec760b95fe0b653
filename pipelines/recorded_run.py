"""An earlier training run, read back: its values, its wiring, and what it left behind."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, get_type_hints

from zenml.client import Client
from zenml.io import fileio

from pipelines.ensemble import ensemble_pipeline
from pipelines.overrides import checked
from pipelines.rerun_plan import Wiring
from pipelines.results import ENSEMBLES, PIPELINE
from pipelines.training import training_pipeline
from steps._run import base_name, of_fold

if TYPE_CHECKING:
    from zenml.models import ArtifactVersionResponse, PipelineRunResponse
    from zenml.pipelines.pipeline_definition import Pipeline

# Pipelines whose steps can be run again, by name.
PIPELINES = {PIPELINE: training_pipeline, ENSEMBLES: ensemble_pipeline}
# Parameter of a pipeline -> what it is called in the steps whose files it vouches for.
FINGERPRINTS = {"known_source": "source_fingerprint", "known_weights": "weights_fingerprint"}
# Parameter of the ensemble's pipeline -> the step of every fold that it is the `config` of.
OF_MEMBERS = {"ensemble": "ensemble", "warmup": "warmup_train", "finetune": "finetune_train"}
# Where and how a run or a step executes. Values are read apart, and the cache is the plan's affair.
_OF_RUNS = ("settings", "environment", "secrets", "retry")
_OF_STEPS = (*_OF_RUNS, "step_operator")
_NAMED = 4  # runs in a message


def find_run(name: str | None) -> "PipelineRunResponse":
    """A run of the training pipeline, or of that of an ensemble.

    Args:
        name: Name, id, or a prefix of either that no other run shares; None takes the last one.

    Raises:
        LookupError: There is none, or several.
    """
    client = Client()
    if name is None:
        last = [
            run
            for pipeline in PIPELINES
            for run in client.list_pipeline_runs(
                pipeline=pipeline, sort_by="desc:created", size=1
            ).items
        ]
        if not last:
            raise LookupError(
                "there is no training run yet; start one with "
                "`zenml pipeline run pipelines.training.training_pipeline -c configs/demo.yaml`"
            )
        return client.get_pipeline_run(max(last, key=lambda run: run.created).id)
    filters: tuple[dict[str, Any], ...] = (
        {"name": f"equals:{name}"},
        {"name": f"startswith:{name}"},
        {"id": f"startswith:{name}"},
    )
    found = {
        run.id: run
        for pipeline in PIPELINES
        for asked in filters
        for run in client.list_pipeline_runs(pipeline=pipeline, sort_by="desc:created", **asked)
        # The database takes `_` and `%` for any character.
        if run.name.startswith(name) or str(run.id).startswith(name)
    }
    exact = [run for run in found.values() if run.name == name]
    candidates = exact or list(found.values())
    if not name or not candidates:
        raise LookupError(
            f"no training run has a name or id that begins with {name!r}; "
            "`zenml pipeline runs list` shows them all"
        )
    if len(candidates) > 1:
        names = ", ".join(f"{run.name} ({run.id})" for run in candidates[:_NAMED])
        more = ", ..." if len(candidates) > _NAMED else ""
        raise LookupError(f"{name!r} may be any of {names}{more}; give more of it")
    return client.get_pipeline_run(candidates[0].id)


@dataclass(frozen=True)
class Values:
    """Everything about a run that can be set.

    Attributes:
        parameters: Of the pipeline.
        configs: The `config` of every step.
    """

    parameters: Mapping[str, Any]
    configs: Mapping[str, Any]


@dataclass(frozen=True)
class RecordedRun:
    """A run, held against the pipeline of today.

    Attributes:
        run: As ZenML keeps it.
    """

    run: "PipelineRunResponse"

    @property
    def definition(self) -> "Pipeline":
        """The pipeline that it is a run of, as the code of today has it."""
        return PIPELINES[self.run.pipeline.name]

    @property
    def parameter_kinds(self) -> dict[str, Any]:
        """Parameters of its pipeline that a person sets, with their types."""
        return parameter_kinds(self.definition)

    @cached_property
    def values(self) -> Values:
        """What the run was configured with, as the settings of today understand it.

        Raises:
            ValueError: They do not understand it any more.
        """
        parameters = {
            name: checked(name, kind, self._recorded_parameter(name))
            for name, kind in self.parameter_kinds.items()
        }
        configs = {
            name: checked(name, kind, self._recorded_values(name).get("config", {}))
            for name, kind in config_kinds(self._prepared(parameters)).items()
        }
        return Values(parameters, configs)

    @cached_property
    def pipeline(self) -> "Pipeline":
        """The pipeline of today with the parameters of the run; prepared, and never to be run."""
        return self._prepared(self.values.parameters)

    @cached_property
    def fingerprints(self) -> Mapping[str, str | None]:
        """What the run knew its source and its first weights by."""
        return {
            name: next(
                (
                    values[parameter]
                    for step in self._snapshot_steps
                    if parameter in (values := self._recorded_values(step))
                ),
                None,
            )
            for name, parameter in FINGERPRINTS.items()
        }

    @property
    def wiring(self) -> Wiring:
        """What waits for what, and how far the run came."""
        invocations = self.pipeline.invocations
        steps = self.run.steps
        return Wiring(
            upstream={name: sorted(found.upstream_steps) for name, found in invocations.items()},
            finished={name for name, step in steps.items() if step.status.is_successful},
            started=set(steps),
            uncached={
                name
                for name, found in invocations.items()
                if found.step.configuration.enable_cache is False
            },
        )

    def readers(self, parameter: str) -> tuple[str, ...]:
        """Steps that a parameter of the pipeline is handed to, under its own name or as `config`."""
        of_members = OF_MEMBERS.get(parameter)
        return tuple(
            name
            for name, invocation in self.pipeline.invocations.items()
            if parameter in invocation.parameters
            or ("config" in invocation.parameters and base_name(name) == of_members)
        )

    def check_artifacts(self, running: Collection[str]) -> None:
        """Make sure that whatever the running steps take from reused ones can be read here.

        Raises:
            RuntimeError: It lies in the store of another stack, or is gone.
        """
        store = Client().active_stack.artifact_store
        for step, output in self._needed(running):
            artifact = self._output(step, output)
            if artifact is not None and artifact.artifact_store_id != store.id:
                raise RuntimeError(
                    f"{output} of {step} lies in another artifact store than that of the active "
                    f"stack; run `zenml stack set` with the stack of {self.run.name} first"
                )
            if artifact is None or not fileio.exists(artifact.uri):
                raise RuntimeError(
                    f"{output} of {step} in {self.run.name} is gone"
                    f"{f' from {artifact.uri}' if artifact else ''}; re-run {step} instead"
                )

    def circumstances(self, step: str | None = None) -> dict[str, Any]:
        """Where and how the run, or one of its steps, was told to execute."""
        if step is None:
            return {k: v for k in _OF_RUNS if (v := getattr(self.run.config, k))}
        recorded = self._snapshot_steps.get(step)
        if recorded is None:
            return {}
        told = recorded.step_config_overrides
        return {k: v for k in _OF_STEPS if (v := getattr(told, k))}

    @cached_property
    def _snapshot_steps(self) -> Mapping[str, Any]:
        if self.run.snapshot is None:
            raise LookupError(f"the configuration of run {self.run.name} was deleted from ZenML")
        return self.run.snapshot.step_configurations

    def _recorded_values(self, step: str) -> Mapping[str, Any]:
        recorded = self._snapshot_steps.get(step)
        return recorded.config.parameters if recorded else {}

    def _recorded_parameter(self, name: str) -> Any:
        """From a step that got it, since there it stands with every default of that day."""
        if name in OF_MEMBERS:
            return self._recorded_values(of_fold(OF_MEMBERS[name], 1)).get("config", {})
        for step in self._snapshot_steps:
            if name in (values := self._recorded_values(step)):
                return values[name]
        return (self.run.config.parameters or {}).get(name)

    def _prepared(self, parameters: Mapping[str, Any]) -> "Pipeline":
        pipeline = self.definition.copy()
        # Any text will do for a fingerprint: without one the source would be looked at.
        known = {name: value or "unknown" for name, value in self.fingerprints.items()}
        pipeline.prepare(**parameters, **known)
        return pipeline

    def _needed(self, running: Collection[str]) -> Iterator[tuple[str, str]]:
        for name in running:
            for inputs in self.pipeline.invocations[name].input_artifacts.values():
                for artifact in inputs if isinstance(inputs, list) else [inputs]:
                    if artifact.invocation_id not in running:
                        yield artifact.invocation_id, artifact.output_name

    def _output(self, step: str, output: str) -> "ArtifactVersionResponse | None":
        return self.run.steps[step].regular_outputs.get(output)


def parameter_kinds(pipeline: "Pipeline" = training_pipeline) -> dict[str, Any]:
    """Parameters of a pipeline that a person sets, with their types."""
    hints = get_type_hints(pipeline.entrypoint)
    names = signature(pipeline.entrypoint).parameters
    return {name: hints[name] for name in names if name not in FINGERPRINTS}


def config_kinds(pipeline: "Pipeline") -> dict[str, Any]:
    """Steps that have a `config` of their own, with its type: none that the pipeline hands to them."""
    hints = {
        name: get_type_hints(invocation.step.entrypoint)
        for name, invocation in pipeline.invocations.items()
        if "config" not in invocation.parameters
    }
    return {name: found["config"] for name, found in hints.items() if "config" in found}
