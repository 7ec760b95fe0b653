"""Batch scoring on two Ray workers, against one.

    python benchmarks/batch_ray.py

A cluster of two nodes with one CPU each runs on this machine. Both sides score the same shards on
it, in turn and taking turns at going first: one lets a single task run at a time, the other uses
what there is. Loading the model is not timed. The processor time of a picture is recorded beside
it, for the reason that `batch.py` gives; Ray's own processes, which keep the two cores busy too,
are not counted in it.
"""

import os
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from batch import SHARD, draw_pictures, measure, options_of, random_model, record, tasks_of
from root import ROOT

from skin_lesion.batch.ray_engine import RayEngine
from skin_lesion.batch.shard import cores
from skin_lesion.settings import BatchConfig

BOUND = 1.6
RESULT = ROOT / "benchmarks" / "results" / "batch_ray.json"
MEMORY = 100 * 2**20


def main() -> int:
    """Run the command line; returns its exit status."""
    options = options_of(__doc__.splitlines()[0], 24, "round")
    if cores() < 2:
        print("skipped: this machine has a single core")
        return 0
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        model = random_model(Path(name), options)
        tasks = tasks_of(draw_pictures(Path(name), options.shards * SHARD))
        cluster = Cluster(initialize_head=True, head_node_args=node)
        running.callback(cluster.shutdown)
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        # Whichever runs second shares the connection of the first.
        two, one = (
            running.enter_context(
                closing(
                    RayEngine(
                        model,
                        BatchConfig(engine="ray", workers=n, threads=1, address=cluster.address),
                    )
                )
            )
            for n in (0, 1)
        )
        rates, costs = measure(
            {"two_workers": (two, tasks), "one_worker": (one, tasks)}, options.rounds
        )
        ratios = [t / o for t, o in zip(rates["two_workers"], rates["one_worker"], strict=True)]
        what = "pictures a second of two Ray workers / of one"
        return record(RESULT, what, options, (rates, costs), ratios, BOUND)


if __name__ == "__main__":
    raise SystemExit(main())
