"""Time of an answer through HTTP, against the same model asked through a pipe.

    python benchmarks/serving.py

Both sides judge the same JPEG with the same network, one at a time and in turn, each in a fresh
process of its own: one gets it by HTTP and is the service, the other gets it through a pipe and calls
`Predictor.predict`. They take turns at every answer, and at going first. Beside the time that passes
stands the processor time that each of the two processes used, which a busy machine changes little.
The weights are random numbers: what they are does not change how long a forward pass takes.
"""

import argparse
import io
import json
import multiprocessing
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import psutil
from PIL import Image

import skin_lesion
from skin_lesion.data.synthetic import draw_lesion
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import Contract, ModelBundle
from skin_lesion.settings import BackboneConfig, SyntheticConfig

BOUND = 1.5
ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "serving.json"
PICTURE = (450, 600)
WAIT_SECONDS = 180


def random_bundle(folder: Path, backbone: str, size: tuple[int, int]) -> ModelBundle:
    """A bundle with an untrained network."""
    from skin_lesion.modeling.classifier import build_classifier
    from skin_lesion.modeling.export import export_serving

    folder.mkdir(parents=True)
    build_classifier(BackboneConfig(name=backbone, weights="none"), size).save(
        folder / "model.keras"
    )
    export_serving(folder / "model.keras", folder / "serving")
    contract = Contract(
        input_height=size[0],
        input_width=size[1],
        resize_mode="stretch",
        source_height=PICTURE[0],
        source_width=PICTURE[1],
        backbone=backbone,
        feature_layer=None,
        pretrained_on="nothing",
        data_fingerprint="0" * 64,
        split_hash="0" * 64,
        code_version="benchmark",
        training_run_id=None,
        synthetic_only=True,
        licence="CC0-1.0",
        parity_max_abs_difference=0.0,
    )
    (folder / "contract.json").write_text(contract.model_dump_json())
    return ModelBundle.open(folder)


def register(bundle: ModelBundle, folder: Path) -> str:
    """Put a bundle into production in a registry of its own; returns its URI."""
    import mlflow

    from skin_lesion.registry import MODEL_NAME, PRODUCTION_ALIAS

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.create_experiment("benchmark", (folder / "files").as_uri())
    mlflow.set_experiment("benchmark")
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(skin_lesion.__file__).with_name("pyfunc.py")),
            artifacts={"bundle": str(bundle.path)},
            pip_requirements=["mlflow"],
        )
        version = mlflow.register_model(
            f"models:/{logged.model_id}", MODEL_NAME, tags={"bundle_hash": bundle.bundle_hash}
        )
    mlflow.MlflowClient().set_registered_model_alias(MODEL_NAME, PRODUCTION_ALIAS, version.version)
    return uri


@contextmanager
def service(registry: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A service that is ready; yields its address and its process."""
    log = folder / "log.txt"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env={
                **os.environ,
                "MLFLOW_TRACKING_URI": registry,
                "SKIN_LESION_SERVE": json.dumps({"port": 0}),
            },
            stdout=subprocess.DEVNULL,
            stderr=written,
        )
    try:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end and process.poll() is None:
            found = re.search(r"running on (http://\S+)", log.read_text())
            if found and httpx.get(f"{found[1]}/ready").status_code == 200:
                yield found[1], psutil.Process(process.pid)
                return
            time.sleep(0.2)
        raise RuntimeError(f"the service did not get ready:\n{log.read_text()}")
    finally:
        process.terminate()
        process.wait()


def answer(pipe: Connection, bundle: Path) -> None:
    """What the other side does: a picture in, probabilities out, until nothing comes."""
    predictor = Predictor(ModelBundle.open(bundle), version="1")
    while picture := pipe.recv_bytes():
        [prediction] = predictor.predict([picture])
        pipe.send(prediction.probabilities)


@contextmanager
def predictor_process(bundle: ModelBundle) -> Iterator[tuple[Connection, psutil.Process]]:
    """A process that has loaded the model; yields this end of its pipe, and the process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=answer, args=(there, bundle.path))
    process.start()
    try:
        yield here, psutil.Process(process.pid)
    finally:
        here.send_bytes(b"")
        process.join()


def times_in_turn(
    sides: Mapping[str, Callable[[], object]], rounds: int, repetitions: int
) -> dict[str, list[float]]:
    """Median milliseconds of each side in each round; the sides take turns at every answer."""
    medians: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(repetitions):
            for name in list(sides)[:: 1 if turn % 2 else -1]:
                start = time.perf_counter()
                sides[name]()
                taken[name].append(1000 * (time.perf_counter() - start))
        for name, milliseconds in taken.items():
            medians[name].append(statistics.median(milliseconds))
    return medians


def processor_time(process: psutil.Process) -> float:
    """Seconds of processor time that a process has used, all of its threads together."""
    times = process.cpu_times()
    return float(times.user + times.system)


def jpeg() -> bytes:
    """A drawn lesion, as large as the pictures of HAM10000."""
    [pixels] = draw_lesion("nv", 0, [0], SyntheticConfig(height=PICTURE[0], width=PICTURE[1]), 0)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=95)
    return buffer.getvalue()


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--size", type=int, nargs=2, default=(150, 200), metavar=("H", "W"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repetitions", type=int, default=60, help="answers a side and round")
    arguments = parser.parse_args()

    size, picture = tuple(arguments.size), jpeg()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = random_bundle(folder / "bundle", arguments.backbone, size)
        registry = register(bundle, folder)
        with (
            service(registry, folder) as (address, server),
            httpx.Client(base_url=address) as client,
            predictor_process(bundle) as (pipe, predictor),
        ):

            def by_http() -> object:
                files = [("pictures", ("lesion.jpg", picture, "image/jpeg"))]
                response = client.post("/v1/predict", files=files).raise_for_status()
                return response.json()["predictions"][0]["probabilities"]

            def by_pipe() -> object:
                pipe.send_bytes(picture)
                return pipe.recv()

            # Both sides do the same work, or the comparison says nothing.
            if by_http() != by_pipe():
                raise RuntimeError("the service and the predictor gave different answers")
            sides = {"http": by_http, "predictor": by_pipe}
            times_in_turn(sides, 1, 10)  # warms both
            used = {"http": processor_time(server), "predictor": processor_time(predictor)}
            medians = times_in_turn(sides, arguments.rounds, arguments.repetitions)
            answers = arguments.rounds * arguments.repetitions
            processor = {
                "http": 1000 * (processor_time(server) - used["http"]) / answers,
                "predictor": 1000 * (processor_time(predictor) - used["predictor"]) / answers,
            }
    ratios = [a / b for a, b in zip(medians["http"], medians["predictor"], strict=True)]
    result = {
        "what": "median time of an answer through HTTP / of the same model asked through a pipe",
        "backbone": arguments.backbone,
        "image_size": list(size),
        "picture_bytes": len(picture),
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "milliseconds": {side: [round(t, 2) for t in v] for side, v in medians.items()},
        "processor_milliseconds": {side: round(t, 2) for side, t in processor.items()},
        "processor_ratio": round(processor["http"] / processor["predictor"], 4),
        "ratios": [round(ratio, 4) for ratio in ratios],
        "median_ratio": round(statistics.median(ratios), 4),
        "bound": BOUND,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(f"{'round':>5} {'http':>10} {'predictor':>10} {'ratio':>7}   milliseconds")
    for i, ratio in enumerate(ratios):
        print(f"{i:>5} {medians['http'][i]:>10.1f} {medians['predictor'][i]:>10.1f} {ratio:>7.3f}")
    print(
        f"processor time of an answer: {processor['http']:.1f} and {processor['predictor']:.1f} ms, "
        f"ratio {result['processor_ratio']:.3f}"
    )
    print(f"median ratio {result['median_ratio']:.3f}, at most {BOUND} wanted")
    return 0 if result["median_ratio"] <= BOUND else 1


if __name__ == "__main__":
    raise SystemExit(main())
