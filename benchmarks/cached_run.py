"""How long the training pipeline takes when nothing has changed.

Then every step but `register` comes from the cache. That is compared with the least that a run of
ZenML on the same stack can be: two steps, the first from the cache, the second trivial and tracked
in MLflow. Each run is a whole process started by the stock command, the two take turns, and the
figure is the median ratio of wall times.

    python benchmarks/cached_run.py [--config configs/demo.yaml] [--rounds 5]

Everything happens in a temporary stack; the first run, which trains, is not measured.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "cached_run.json"
BOUND = 1.3
CACHED_STEPS = 7
BASELINE = ["benchmarks.two_step_pipeline.two_step_pipeline"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "demo.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    training = ["pipelines.training.training_pipeline", "-c", str(options.config)]
    with tempfile.TemporaryDirectory(prefix="skin-lesion-bench-") as folder:
        environment = set_up(Path(folder))
        print("training once, so that there is something to come from the cache", flush=True)
        run(training, environment)
        run(BASELINE, environment)
        ours, theirs = [], []
        for turn in range(1, options.rounds + 1):
            theirs.append(run(BASELINE, environment))
            ours.append(run(training, environment, cached=CACHED_STEPS))
            print(
                f"round {turn}: pipeline {ours[-1]:.1f} s, two steps {theirs[-1]:.1f} s", flush=True
            )
    # Of neighbouring runs, so that a machine that is busy for a while slows both sides alike.
    ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    result = {
        "what": "seconds of a fully cached pipeline run / of a two-step ZenML pipeline",
        "config": options.config.name,
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
        "seconds": {
            "cached_pipeline": [round(seconds, 2) for seconds in ours],
            "two_steps": [round(seconds, 2) for seconds in theirs],
        },
        "ratios": [round(value, 4) for value in ratios],
        "median_ratio": round(ratio, 4),
        "bound": BOUND,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"cached run / two-step run = {ratio:.2f} (at most {BOUND})")
    return int(ratio > BOUND)


def set_up(folder: Path) -> dict[str, str]:
    """Make a stack of its own in a folder; return the environment that uses it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
        "ZENML_CONFIG_PATH": str(folder / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "AUTO_OPEN_DASHBOARD": "false",
        # Without colours, so that the log can be read below.
        "ZENML_LOGGING_COLORS_DISABLED": "true",
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "pipelines.cli", "setup", "--root", str(folder)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return environment


def run(arguments: list[str], environment: dict[str, str], cached: int | None = None) -> float:
    """Run a pipeline in a process of its own.

    Args:
        arguments: Words after `zenml pipeline run`.
        environment: Variables of the process.
        cached: How many steps have to come from the cache; None does not look.

    Returns:
        Wall time in seconds.
    """
    command = [str(Path(sys.executable).with_name("zenml")), "pipeline", "run", *arguments]
    started = time.monotonic()
    finished = subprocess.run(
        command, env=environment, cwd=ROOT, check=False, capture_output=True, text=True
    )
    seconds = time.monotonic() - started
    log = finished.stdout + finished.stderr
    if finished.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{log[-4000:]}")
    found = len(re.findall("Using cached version of step", log))
    if cached is not None and found != cached:
        raise RuntimeError(f"{found} steps came from the cache; expected {cached}:\n{log[-4000:]}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
