"""A training that is killed again and again ends as one that never was, bit for bit.

    python benchmarks/kills.py

A small training in a process of its own, on drawn pictures, with every part of the recipe, on
TensorFlow on the processor with deterministic operations. First it runs to its end. Then the same
command is started again and again, each time killed (`kill -9`) at a random moment of its life, until
ten were killed. A checkpoint is written in milliseconds, which random moments seldom hit: two more are
killed because they have begun to write one, and are recorded as aimed. The last one runs to its end.
Compared are the weights that were kept, every figure of every epoch, and what the MLflow run of the
last process holds.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from killed_training import draw
from killing import BETWEEN, CHECKPOINT, EPOCH, START, Bench, Kill, longest_life, moments
from root import ROOT

from skin_lesion.batch.files import write_text
from skin_lesion.checkout import code_state, processor

RESULT = ROOT / "benchmarks" / "results" / "kills.json"
KILLS = 10
# Aimed kills: at the moment that a checkpoint's folder is there, and that a third file is begun in it.
AIMED_AT_FILES = (0, 3)


def plan(kills: int) -> list[int | None]:
    """What each kill waits for: None is a random moment, a number so many files of a checkpoint.

    Args:
        kills: At random moments; the aimed ones are spread among them.
    """
    planned: list[int | None] = [None] * kills
    for number, files in enumerate(AIMED_AT_FILES):
        planned.insert((number + 1) * kills // (len(AIMED_AT_FILES) + 1) + number, files)
    return planned


def kill_all(bench: Bench, kills: int, seed: int, longest: float) -> list[Kill]:
    """Start the training and kill it, as often as planned.

    Args:
        bench: Starts and kills it.
        kills: At random moments.
        seed: Of those.
        longest: Seconds of the longest life.

    Raises:
        RuntimeError: The training came to its end before.
    """
    lives, found = moments(seed, longest), list[Kill]()
    planned = plan(kills)
    for files in planned:
        if files is None:
            life = next(lives)
            killed = bench.run("killed", life)
        else:
            killed = bench.run_into_a_checkpoint("killed", files)
            life = bench.lived
        if not killed:
            raise RuntimeError(
                f"the training ended after {len(found)} of {len(planned)} kills; have it train "
                "more epochs"
            )
        found.append(bench.killed("killed", life, aimed=files is not None))
        print(f"killed {len(found)}: {found[-1]}", flush=True)
    return found


def compare(bench: Bench) -> dict[str, Any]:
    """The training that was killed beside the one that was not."""
    (whole, theirs), (killed, mine) = bench.outcome("whole"), bench.outcome("killed")
    differing = sum(
        a.tobytes() != b.tobytes() or a.shape != b.shape for a, b in zip(mine, theirs, strict=True)
    )
    return {
        "arrays_of_weights": len(theirs),
        "arrays_that_differ": differing,
        "epochs": len(whole["history"]),
        "history_is_the_same": killed["history"] == whole["history"],
        "epoch_kept_is_the_same": killed["kept"] == whole["kept"],
        "epochs_in_the_last_mlflow_run": killed["logged"],
    }


def good(result: Mapping[str, Any]) -> bool:
    """Whether nothing differs, nothing is missing, and a checkpoint was cut off while it was written."""
    return bool(
        result["arrays_of_weights"]
        and not result["arrays_that_differ"]
        and result["history_is_the_same"]
        and result["epoch_kept_is_the_same"]
        and result["epochs_in_the_last_mlflow_run"] == result["epochs"]
        and any(kill["where"] == CHECKPOINT and kill["half_written"] for kill in result["kills"])
    )


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS, help="at random moments (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    state = code_state(ROOT)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-kills-") as name:
        bench = Bench(Path(name))
        draw(Path(name))
        bench.run("whole")
        longest = longest_life(bench.events("whole"), bench.began)
        kills = kill_all(bench, arguments.kills, arguments.seed, longest)
        bench.run("killed")
        compared = compare(bench)
    result = {
        "what": f"a training killed {arguments.kills} times at random moments and "
        f"{len(AIMED_AT_FILES)} times while it wrote a checkpoint / one that was not",
        "seed": arguments.seed,
        "longest_life_seconds": round(longest, 1),
        "kills": [asdict(kill) for kill in kills],
        "kills_within": {
            where: sum(kill.where == where for kill in kills)
            for where in (START, EPOCH, CHECKPOINT, BETWEEN)
        },
        **compared,
        "machine": processor(),
        "commit": state.commit[:7],
        "dirty": state.dirty,
    }
    write_text(arguments.result, json.dumps(result, indent=2) + "\n")
    told = "as one that was not" if good(result) else "NOT good"
    print(f"{result['what']}: {told}; {result['kills_within']}")
    return 0 if good(result) else 1


if __name__ == "__main__":
    raise SystemExit(main())
