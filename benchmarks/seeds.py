"""One configuration trained with several seeds on one split: how much of a figure is luck.

    HAM10000_PATH=... BACKBONE_WEIGHTS=... python benchmarks/seeds.py configs/ham10000_cpu.yaml
    HAM10000_PATH=... BACKBONE_WEIGHTS=... python benchmarks/seeds.py CONFIG --seeds 0 1 2

Wants the environment of `activate.sh`. Every seed is a run of the whole pipeline, of a single training
or of an ensemble, so that it is evaluated and registered as any other. Weights, dropout, the order of
the pictures, their augmentation and the folds of an ensemble go by the seed; the split keeps the
configuration's own, since what was chosen by validation was chosen by that one. Each finished seed is
in `results/seeds_<config>.json` at once, and a run that was killed goes on from its last epoch when the
same command is given again.
"""

import argparse
import copy
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from finished_run import (
    ENSEMBLE,
    TRAINING,
    bundle_step,
    commit_of,
    find_run,
    histories_of,
    minutes_of_work,
    output,
    pipeline_of,
    refuse_other_code,
    states,
)
from pydantic import BaseModel, ConfigDict
from recording import evidence_of
from root import ROOT

from skin_lesion.batch.files import write_text
from skin_lesion.checkout import processor
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.settings import SourceConfig

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse

    from skin_lesion.evaluation.report import EvaluationReport

RESULTS = ROOT / "benchmarks" / "results"
WORK = ROOT / ".work" / "seeds"
PIPELINES = {
    TRAINING: "pipelines.training.training_pipeline",
    ENSEMBLE: "pipelines.ensemble.ensemble_pipeline",
}
FIGURES = (
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "melanoma_auc",
    "malignant_auc", "ece",
)  # fmt: skip


class Seed(BaseModel):
    """One finished run.

    Attributes:
        seed: Of the training.
        run: Its name in ZenML.
        commit: Commit of the project that ran.
        dirty: Whether files differed from that commit; None where the run did not note it.
        code_version: What its model's contract says of the code that trained it, the same for all seeds.
        machine: Processor and number of cores.
        minutes: Time that its steps took where each did its work, all epochs of training included.
        training_minutes: Those of the epochs alone.
        split_hash: Of the split, the same for all seeds.
        n_images: Pictures of the test split.
        n_lesions: Lesions of the test split.
        val: Figures of the validation split by name, with calibrated probabilities.
        test: The same of the test split.
        evidence: Figures of the test split with their intervals over lesions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    run: str
    commit: str
    dirty: bool | None
    code_version: str
    machine: str
    minutes: float
    training_minutes: float
    split_hash: str
    n_images: int
    n_lesions: int
    val: dict[str, float | None]
    test: dict[str, float | None]
    evidence: dict[str, Estimate]


class Seeds(BaseModel):
    """What `results/seeds_<config>.json` holds.

    Attributes:
        config: Configuration, relative to the root.
        stated: What it stated when its seeds ran; where it states other things, they run anew.
        split_seed: Of the split.
        seeds: The runs, by seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str
    stated: dict[str, Any]
    split_seed: int
    seeds: tuple[Seed, ...] = ()

    def spread(self, figure: str, split: str = "test") -> tuple[float, float] | None:
        """Mean and standard deviation (n - 1) of a figure; None with fewer than two seeds."""
        found = [getattr(one, split)[figure] for one in self.seeds]
        known = [value for value in found if value is not None]
        if len(known) < 2 or len(known) < len(found):
            return None
        return statistics.mean(known), statistics.stdev(known)


def of_seed(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """The configuration with another seed for everything but the split."""
    changed = copy.deepcopy(config)
    parameters = changed["parameters"]
    place = changed
    for key in ("steps", "split", "parameters", "config"):
        place = place.setdefault(key, {})
    place.setdefault("seed", parameters["seed"])
    parameters["seed"] = seed
    return changed


def refuse_drawn_pictures(name: str, config: dict[str, Any]) -> None:
    """Refuse a source whose pictures go by the seed: each seed would have a split of its own.

    Raises:
        ValueError: Its pictures are drawn, or a part of them is.
    """
    source = SourceConfig.model_validate(config["parameters"]["source"])
    if source.kind == "synthetic" or source.max_images is not None:
        raise ValueError(
            f"{name}: the pictures of this source ({source.kind}, max_images {source.max_images}) go by "
            "the seed; name a configuration with all pictures of a real data set"
        )


def run_seed(config: dict[str, Any], seed: int, name: str) -> "PipelineRunResponse":
    """Run the pipeline, and give the run that it made.

    Raises:
        RuntimeError: It failed, or the last finished run is another one.
    """
    wanted = of_seed(config, seed)
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{name}_seed{seed}.yaml"
    path.write_text(yaml.safe_dump(wanted, sort_keys=False), encoding="utf-8")
    pipeline = pipeline_of(wanted)
    command = ["zenml", "pipeline", "run", PIPELINES[pipeline], "-c", str(path)]
    if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
        raise RuntimeError(f"seed {seed}: {' '.join(command)} ended with status {status}")
    run = find_run(None, pipeline)
    if not states(wanted["parameters"], run.config.parameters):
        raise RuntimeError(f"the last finished run, {run.name}, is not the one of seed {seed}")
    return run


def seed_of(run: "PipelineRunResponse", seed: int) -> Seed:
    """What is kept of a run."""
    step = bundle_step(run.pipeline.name)
    trained_with: str = output(run, step, "bundle").contract.code_version
    refuse_other_code(run.name, trained_with)
    report: EvaluationReport = output(run, "evaluate", "evaluation")
    summary = report.summary
    commit, dirty = commit_of(run)
    seconds = sum(
        record.seconds for history in histories_of(run).values() for record in history.records
    )
    val, test = (part.model_dump() for part in (summary.val, summary.test))
    return Seed(
        seed=seed,
        run=run.name,
        commit=commit,
        dirty=dirty,
        code_version=trained_with,
        machine=processor(),
        minutes=round(minutes_of_work(run), 2),
        training_minutes=round(seconds / 60, 2),
        split_hash=summary.split_hash,
        n_images=test["n_images"],
        n_lesions=test["n_lesions"],
        val={name: val[name] for name in FIGURES},
        test={name: test[name] for name in FIGURES},
        evidence=evidence_of(summary),
    )


def refuse_a_mixture(found: Seeds, seeds: Sequence[int], code_version: str) -> None:
    """Refuse to train further seeds by other code than that of those recorded.

    Args:
        found: What is recorded.
        seeds: Those that are asked for.
        code_version: Of this checkout.

    Raises:
        ValueError: A mean over them would be of two programs.
    """
    others = {one.seed: one.code_version for one in found.seeds if one.code_version != code_version}
    if others and set(seeds) - {one.seed for one in found.seeds}:
        raise ValueError(
            f"seeds {', '.join(map(str, others))} of {found.config} were trained by code "
            f"{', '.join(dict.fromkeys(others.values()))}, and this checkout has {code_version}; go on "
            f"from the commit that they ran ({found.seeds[0].commit}), or remove the result to train "
            "all of them anew"
        )


def add(found: Seeds, one: Seed) -> Seeds:
    """Put a run among the others.

    Raises:
        ValueError: It was measured on another split, or trained by other code.
    """
    others = [other for other in found.seeds if other.seed != one.seed]
    if any(other.code_version != one.code_version for other in others):
        raise ValueError(f"seed {one.seed} was trained by other code than the seeds before it")
    if any(other.split_hash != one.split_hash for other in others):
        raise ValueError(f"seed {one.seed} was measured on another split than the seeds before it")
    ordered = sorted((*others, one), key=lambda kept: kept.seed)
    return found.model_copy(update={"seeds": tuple(ordered)})


def read(path: Path, config: str, stated: dict[str, Any]) -> Seeds:
    """What was recorded of a configuration as it is now."""
    fresh = Seeds(config=config, stated=stated, split_seed=split_seed(stated))
    if not path.exists():
        return fresh
    found = Seeds.model_validate_json(path.read_text(encoding="utf-8"))
    return found if found.stated == stated else fresh


def split_seed(config: dict[str, Any]) -> int:
    """Seed of a configuration's split."""
    wanted = of_seed(config, config["parameters"]["seed"])
    return int(wanted["steps"]["split"]["parameters"]["config"]["seed"])


def write(found: Seeds, path: Path) -> None:
    """Keep what was found; nothing half-written is ever there."""
    write_text(path, json.dumps(found.model_dump(mode="json"), indent=1) + "\n")


def told(found: Seeds) -> Sequence[str]:
    """Means and standard deviations for a person."""
    lines = [f"{found.config}, seeds {', '.join(str(one.seed) for one in found.seeds)}, test split"]
    for figure in FIGURES:
        spread = found.spread(figure)
        values = [one.test[figure] for one in found.seeds]
        shown = " ".join("–" if value is None else f"{value:.4f}" for value in values)
        lines.append(
            f"  {figure:<18} {shown}"
            + (f"  mean {spread[0]:.4f} ± {spread[1]:.4f}" if spread else "")
        )
    return lines


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", help="such as configs/ham10000_cpu.yaml")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    config = yaml.safe_load((ROOT / arguments.config).read_text(encoding="utf-8"))
    refuse_drawn_pictures(arguments.config, config)
    name = Path(arguments.config).stem
    path = RESULTS / f"seeds_{name}.json"
    found = read(path, arguments.config, config)

    from steps._caching import code_version

    refuse_a_mixture(found, arguments.seeds, code_version())
    for seed in arguments.seeds:
        if seed not in {one.seed for one in found.seeds}:
            found = add(found, seed_of(run_seed(config, seed, name), seed))
            write(found, path)
    print("\n".join(told(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
