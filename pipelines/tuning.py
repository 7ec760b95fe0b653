"""Searches for hyper-parameters with the data of the training pipeline.

The first steps run through the pipeline below, so that ZenML's cache serves pictures and split where a
training run has made them, and the other way round; trials are no pipeline runs.
"""

import logging
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenml import pipeline
from zenml.client import Client

from pipelines.overrides import unknown
from pipelines.progress import stages_on_stderr
from pipelines.recorded_run import parameter_kinds
from skin_lesion import tracking, tracking_trials
from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.ingest import check_image_size
from skin_lesion.data.sources import source_fingerprint
from skin_lesion.data.split_table import SplitTable
from skin_lesion.mistakes import mistakes
from skin_lesion.modeling.weights import (
    former_fingerprint,
    locate_weights,
    weights_fingerprint,
)
from skin_lesion.settings import SourceConfig, check_seed
from skin_lesion.tuning.data import LearningData, learning_data
from skin_lesion.tuning.objective import CHECKPOINTS, TrainingObjective
from skin_lesion.tuning.recipe import read_recipe
from skin_lesion.tuning.search import Search, read_search, read_yaml
from skin_lesion.tuning.storage import check_name
from skin_lesion.tuning.study import Study
from skin_lesion.tuning.summary import BEST, StudySummary, summarise
from steps._caching import training_code
from steps._run import use_registry
from steps.ingest import ingest
from steps.split import split
from steps.validate import validate

logger = logging.getLogger(__name__)

EXPERIMENT = "tuning"
RESULTS, _DATA = "results", "data"
_STUDY_ID, _CODES, _DATA_RUN = "study_id", "training_code", "data_run"
# Steps that make what trials learn from, and keys of a run that hold for them too.
_STEPS = ("ingest", "validate", "split")
_OF_RUNS = ("settings",)


@pipeline
def tuning_data(
    source: SourceConfig, image_size: tuple[int, int], seed: int, source_fingerprint: str
) -> None:
    """The first steps of the training pipeline.

    Args:
        source: Where the pictures come from.
        image_size: Height and width that the network sees, in pixels.
        seed: Base of every random choice.
        source_fingerprint: Of the pictures.
    """
    manifest, images = ingest(
        source=source, image_size=image_size, seed=seed, source_fingerprint=source_fingerprint
    )
    validation = validate(manifest, images)
    split(manifest, images, seed, after=validation)


@dataclass(frozen=True)
class TuneRequest:
    """What is asked for.

    Attributes:
        config: Configuration of the training pipeline.
        space: File that says what is searched.
        trials: That the study shall have in the end, those of earlier sessions included.
        study: Its name; None names it after both files.
        minutes: After which the trial at work is laid aside; None for no end.
    """

    config: Path
    space: Path
    trials: int
    study: str | None = None
    minutes: float | None = None

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.study or f"{self.config.stem}-{self.space.stem}"


@dataclass(frozen=True)
class _Prepared:
    """A request that was checked.

    Attributes:
        config: As its file reads.
        search: What is searched, and how.
        parameters: Of the pipeline, as the settings understand them.
    """

    config: Mapping[str, Any]
    search: Search
    parameters: Mapping[str, Any]


def run_tuning(request: TuneRequest, shelf: Path) -> str:
    """Search, or go on searching, and write what came of it.

    Args:
        request: What is asked for.
        shelf: Folder of all studies.

    Returns:
        The outcome in words.

    Raises:
        LookupError: The configuration names a parameter that the pipeline does not have.
        ValueError: A value or the search space is not allowed, or a study of this name is about
            something else.
        OSError: A file cannot be read or written.
        RuntimeError: Another process works on the study, or training cannot go on.
        SourceError: The pictures are not there.
    """
    deadline = None if request.minutes is None else time.monotonic() + 60 * request.minutes
    prepared = _prepare(request)
    folder = shelf / request.name
    with stages_on_stderr():
        images, table, run = _data_of(prepared)
        backbone = prepared.search.space.base.backbone
        identity = {
            "data": [images.sha256, table.split_hash],
            "weights": weights_fingerprint(backbone),
            "seed": prepared.parameters["seed"],
        }
        formerly = {"weights": known} if (known := former_fingerprint(backbone)) else {}
        with Study.open(folder, identity, prepared.search, formerly) as study:
            _note_code(study)
            data = learning_data(images, table, folder / _DATA)
            with tracking_trials.study_run(
                EXPERIMENT, request.name, _study_id(study), _artifacts(), {_DATA_RUN: run}
            ):
                tracking.log_configuration(
                    {
                        **prepared.search.space.base.model_dump(mode="json"),
                        **{name: prepared.parameters[name] for name in ("seed", "image_size")},
                        "space": prepared.search.space.described(),
                        "study": prepared.search.config.model_dump(mode="json"),
                    }
                )
                _search(study, data, prepared, request.trials, deadline)
                summary = summarise(study)
                results = folder / RESULTS
                summary.write(results, prepared.config)
                tracking_trials.log_study(results, _figures(summary))
            if summary.counted >= request.trials:  # what is asked for more makes it anew
                for spent in (_DATA, CHECKPOINTS):
                    shutil.rmtree(folder / spent, ignore_errors=True)
            return _words(summary, results, request, study)


def _search(
    study: Study, data: LearningData, prepared: _Prepared, trials: int, deadline: float | None
) -> None:
    objective = TrainingObjective(
        data, study.space, prepared.parameters["seed"], study.folder, training_code()
    )
    study.run(objective, trials, deadline)


def _prepare(request: TuneRequest) -> _Prepared:
    """Check everything that can be checked before anything starts."""
    if request.trials < 1:
        raise ValueError(f"--trials is {request.trials}; expected at least 1")
    if request.minutes is not None and not request.minutes > 0:
        raise ValueError(f"--timeout is {request.minutes:g} minutes; expected more than 0")
    check_name(request.name)
    config = read_yaml(request.config)
    search = read_search(request.space, read_recipe(config))
    if (backbone := search.space.base.backbone).weights == "path":
        locate_weights(backbone)  # a study begun without them would be one with other weights
    parameters = _parameters(config.get("parameters") or {}, request.config)
    check_seed(parameters["seed"])
    check_image_size(parameters["image_size"])
    return _Prepared(config, search, parameters)


def _parameters(written: Mapping[str, Any], path: Path) -> dict[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    kinds = parameter_kinds()
    for name in written:
        if name not in kinds:
            raise unknown("parameter of the training pipeline", str(name), kinds)
    if missing := [name for name in kinds if name not in written]:
        raise ValueError(f"{path} has no {', '.join(missing)} below `parameters`; add them")
    found = {}
    for name, kind in kinds.items():
        try:
            found[name] = TypeAdapter(kind).validate_python(written[name])
        except ValidationError as error:
            raise ValueError(f"{path}: parameters.{name}: {mistakes(error)}") from error
    return found


def _data_of(prepared: _Prepared) -> tuple[ImageArray, SplitTable, str]:
    """Pictures and split, from the cache where they were made before, and the run that has them."""
    source, seed = prepared.parameters["source"], prepared.parameters["seed"]
    written = prepared.config.get("steps") or {}
    options = {key: prepared.config[key] for key in _OF_RUNS if prepared.config.get(key)}
    configured = tuning_data.with_options(
        steps={name: written[name] for name in _STEPS if written.get(name)}, **options
    )
    logger.info("preparing the data, or taking them from the cache")
    started = configured(
        source=source,
        image_size=prepared.parameters["image_size"],
        seed=seed,
        source_fingerprint=source_fingerprint(source, seed),
    )
    run = Client().get_pipeline_run(started.id)
    outputs = {
        name: found[0] for step in run.steps.values() for name, found in step.outputs.items()
    }
    return outputs["images"].load(), outputs["split"].load(), run.name


def _artifacts() -> Path | None:
    """Where the stack's tracker keeps files; MLflow speaks to it from now on."""
    use_registry()
    tracker: Any = Client().active_stack.experiment_tracker
    return Path(tracker.local_path) if tracker.local_path else None


def _study_id(study: Study) -> str:
    """Distinguishes the study from another one that had its name."""
    attributes = study.study.user_attrs
    if _STUDY_ID not in attributes:
        study.study.set_user_attr(_STUDY_ID, uuid.uuid4().hex)
    return str(study.study.user_attrs[_STUDY_ID])


def _note_code(study: Study) -> None:
    """Keep every version of the training code that trials were trained by."""
    known = list(study.study.user_attrs.get(_CODES, []))
    if training_code() not in known:
        if known:
            logger.warning(
                "the training code is another one than when this study began: compare its trials with "
                "care, or begin a new one with --study NAME"
            )
        study.study.set_user_attr(_CODES, [*known, training_code()])


def _figures(summary: StudySummary) -> dict[str, float]:
    best = summary.best
    score = {} if best is None or best.score is None else {tracking_trials.SCORE: best.score}
    return {
        **score,
        "trials": summary.counted,
        **{f"importance.{name}": share for name, share in summary.importances.items()},
    }


def _words(summary: StudySummary, results: Path, request: TuneRequest, study: Study) -> str:
    lines = [summary.text()]
    if summary.counted < request.trials:
        lines.append(
            f"{request.trials - summary.counted} of {request.trials} trials are left; the same command "
            "goes on with them"
        )
    codes = len(study.study.user_attrs[_CODES])
    if codes > 1:
        lines.append(f"Its trials were trained by {codes} versions of the training code")
    if summary.best is not None:
        lines += [
            f"Train, measure and register that model:\n"
            f"  zenml pipeline run pipelines.training.training_pipeline -c {_shown(results / BEST)}",
        ]
    return "\n".join([*lines, f"Trials: {_shown(results / 'trials.csv')}"])


def _shown(path: Path) -> str:
    """As it would be typed here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
