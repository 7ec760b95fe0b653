"""Batch scoring on every core, against one process that computes on one thread.

    python benchmarks/batch.py

Both sides score the same JPEGs from disk to rows with the same network. One process works alone; a
pool has one process a core, each with one thread. They take turns, and at going first. The ratio is
the pool's pictures a second over cores times those of the one process; loading the model is not
timed, since it is done once however many pictures there are. The weights are random numbers: what
they are does not change how long a forward pass takes.

The processor time of a picture is recorded beside it: on a machine that does other things too, the
pool gets fewer cores than there are, and its ratio falls although no picture costs more.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
from root import ROOT
from serving import PICTURE, random_bundle

from skin_lesion.batch.engines import Engine, ProcessEngine, Scored
from skin_lesion.batch.inputs import list_inputs
from skin_lesion.batch.shard import LocalModel, Task, cores
from skin_lesion.checkout import processor
from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.settings import BatchConfig, SyntheticConfig

BOUND = 0.9
RESULT = ROOT / "benchmarks" / "results" / "batch.json"
SHARD = 32


def draw_pictures(folder: Path, count: int) -> list[str]:
    """Draw lesions at the size of HAM10000, as inputs of a batch, `count` of them in a cycle."""
    drawn = SyntheticConfig(
        lesions_per_class=6, max_images_per_lesion=1, height=PICTURE[0], width=PICTURE[1]
    )
    archive = folder / "drawn.zip"
    write_synthetic(archive, synthetic_metadata(drawn, 0), drawn, 0, workers=0)
    inputs = [each.to_json() for each in list_inputs(str(archive), BatchConfig()).inputs]
    return [inputs[i % len(inputs)] for i in range(count)]


def tasks_of(inputs: list[str]) -> list[Task]:
    """The inputs in shards."""
    starts = range(0, len(inputs), SHARD)
    return [Task(i, start, tuple(inputs[start : start + SHARD])) for i, start in enumerate(starts)]


def rate(engine: Engine, tasks: list[Task]) -> float:
    """Pictures a second; every one of them has to be read."""
    start = time.perf_counter()
    done = 0
    for outcome in engine.run(tasks):
        if not isinstance(outcome, Scored):
            raise RuntimeError(f"a worker died: {outcome.why}")
        if any(row["status"] != "ok" for row in outcome.rows):
            raise RuntimeError("a picture got no answer")
        done += len(outcome.rows)
    return done / (time.perf_counter() - start)


def processor_seconds() -> float:
    """Processor time of all processes that this one started."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        used = process.cpu_times()
        total += used.user + used.system
    return total


def measure(
    sides: Mapping[str, tuple[Engine, list[Task]]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Pictures a second, and processor milliseconds a picture, of each side and round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for engine, tasks in sides.values():
        rate(engine, tasks)  # every worker loads its model
    for turn in range(rounds):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            engine, tasks = sides[name]
            before = processor_seconds()
            rates[name].append(rate(engine, tasks))
            pictures = sum(len(task.inputs) for task in tasks)
            costs[name].append(1000 * (processor_seconds() - before) / pictures)
        shown = ", ".join(f"{name} {values[-1]:.1f}/s" for name, values in rates.items())
        print(f"round {turn + 1}: {shown}; load {os.getloadavg()[0]:.1f}", flush=True)
    return rates, costs


def options_of(about: str, shards: int, what: str) -> argparse.Namespace:
    """The command line: which network, and how much it is given.

    Args:
        about: Of the benchmark.
        shards: Where nobody says how many.
        what: They are counted by.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--size", type=int, nargs=2, default=(150, 200), metavar=("H", "W"))
    parser.add_argument("--shards", type=int, default=shards, help=f"shards a {what}")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def random_model(folder: Path, options: argparse.Namespace) -> LocalModel:
    """A model with the network that was asked for, untrained."""
    bundle = random_bundle(folder / "bundle", options.backbone, tuple(options.size))
    return LocalModel(bundle.path, bundle.bundle_hash, None)


def record(
    path: Path,
    what: str,
    options: argparse.Namespace,
    measured: tuple[Mapping[str, list[float]], Mapping[str, list[float]]],
    ratios: list[float],
    bound: float,
) -> int:
    """Write a result and say what came out; returns the exit status.

    Args:
        path: Of the result.
        what: The ratio is.
        options: What was asked for.
        measured: Rates and costs, as `measure` gives them.
        ratios: One for each round.
        bound: The least that the median of them should be.
    """
    rates, costs = (
        {name: [round(value, 2) for value in each] for name, each in values.items()}
        for values in measured
    )
    result = {
        "what": what,
        "backbone": options.backbone,
        "image_size": list(options.size),
        "shard_size": SHARD,
        "machine": processor(),
        "cores": cores(),
        "load_average": round(os.getloadavg()[0], 1),
        "pictures_per_second": rates,
        "processor_ms_per_picture": costs,
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bound": bound,
    }
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"median ratio {result['median_ratio']:.3f}, at least {bound} wanted")
    return 0 if result["median_ratio"] >= bound else 1


def main() -> int:
    """Run the command line; returns its exit status."""
    options = options_of(__doc__.splitlines()[0], 12, "worker and round")
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        model = random_model(Path(name), options)
        inputs = draw_pictures(Path(name), options.shards * SHARD * cores())
        one, pool = (
            running.enter_context(closing(ProcessEngine(model, BatchConfig(workers=n, threads=1))))
            for n in (1, cores())
        )
        sides = {
            "one_process": (one, tasks_of(inputs[:: cores()])),
            "pool": (pool, tasks_of(inputs)),
        }
        rates, costs = measure(sides, options.rounds)
        ratios = [
            p / (cores() * o) for p, o in zip(rates["pool"], rates["one_process"], strict=True)
        ]
        what = "pictures a second of a pool with a process a core / cores x those of one process"
        return record(RESULT, what, options, (rates, costs), ratios, BOUND)


if __name__ == "__main__":
    raise SystemExit(main())
