"""Batch scoring on two Ray workers, against one.

    python benchmarks/batch_ray.py

A cluster of two nodes with one CPU each runs on this machine. Both sides score the same shards on
it, in turn and taking turns at going first: one lets a single task run at a time, the other uses
what there is. Loading the model is not timed. The processor time of a picture is recorded beside
it, for the reason that `batch.py` gives; Ray's own processes, which keep the two cores busy too,
are not counted in it.
"""

import argparse
import json
import os
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from batch import SHARD, draw_pictures, measure, rounded, tasks_of
from recording import ROOT
from serving import random_bundle

from skin_lesion.batch.ray_engine import RayEngine
from skin_lesion.batch.shard import LocalModel, cores
from skin_lesion.checkout import processor
from skin_lesion.settings import BatchConfig

BOUND = 1.6
RESULT = ROOT / "benchmarks" / "results" / "batch_ray.json"
MEMORY = 100 * 2**20


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--size", type=int, nargs=2, default=(150, 200), metavar=("H", "W"))
    parser.add_argument("--shards", type=int, default=24, help="shards a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if cores() < 2:
        print("skipped: this machine has a single core")
        return 0
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        folder = Path(name)
        bundle = random_bundle(folder / "bundle", options.backbone, tuple(options.size))
        model = LocalModel(bundle.path, bundle.bundle_hash, None)
        tasks = tasks_of(draw_pictures(folder, options.shards * SHARD))
        cluster = Cluster(initialize_head=True, head_node_args=node)
        running.callback(cluster.shutdown)
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        # The second shares the connection of the first.
        two, one = (
            RayEngine(
                model, BatchConfig(engine="ray", workers=n, threads=1, address=cluster.address)
            )
            for n in (0, 1)
        )
        sides = {
            "two_workers": (running.enter_context(two), tasks),
            "one_worker": (running.enter_context(one), tasks),
        }
        rates, costs = measure(sides, options.rounds)
        load = os.getloadavg()[0]
    ratios = [t / o for t, o in zip(rates["two_workers"], rates["one_worker"], strict=True)]
    result = {
        "what": "pictures a second of two Ray workers / of one",
        "backbone": options.backbone,
        "image_size": list(options.size),
        "shard_size": SHARD,
        "machine": processor(),
        "load_average": round(load, 1),
        "pictures_per_second": rounded(rates),
        "processor_ms_per_picture": rounded(costs),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bound": BOUND,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"median ratio {result['median_ratio']:.3f}, at least {BOUND} wanted")
    return 0 if result["median_ratio"] >= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
