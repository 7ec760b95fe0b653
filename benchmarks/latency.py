"""Time from an encoded picture to probabilities, against the bare network and against TensorFlow.

    python benchmarks/latency.py

All sides judge the same JPEG of the size of HAM10000, one at a time and in turn, in one process:

- `predictor`: `Predictor.predict`, with everything that a registered model does: checksum, quality,
  calibration, operating points, prediction sets, likeness to the training pictures (by the score
  that the recorded run on real images chose; `--ood knn` compares with 4,000 of them).
- `heat_map`: the same with the heat-map of the predicted class.
- `bare`: Pillow decodes and resizes, the same network runs on the same runtime, and nothing else.
- `tf_function` and `eager`: Pillow decodes and resizes, the Keras model runs as a compiled
  `tf.function` and as `model(x)`.

The figure of a comparison is the median over rounds of the ratio of the medians of a round, for the
network where it is worse. Beside it stands the ratio of the processor time of both, which a busy
machine changes little. The weights are random numbers: what they are does not change how long a
forward pass takes.
"""

import argparse
import io
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from root import ROOT
from serving import jpeg, random_bundle

from skin_lesion.checkout import processor
from skin_lesion.decisions import (
    ConfidenceCutoffs,
    Decisions,
    Limits,
    OodGate,
    OodScore,
    OperatingPoint,
    PredictionSets,
)
from skin_lesion.inference import PREDICTED, Predictor
from skin_lesion.labels import NUM_CLASSES
from skin_lesion.modeling.bundle import OOD_FILE, ModelBundle
from skin_lesion.ood import SCORES, fit_reference
from skin_lesion.settings import EvaluateConfig

RESULT = ROOT / "benchmarks" / "results" / "latency.json"
NETWORKS = {"mobilenet": (160, 160), "efficientnet_b4": (380, 380)}
# Name -> (slower side, faster side, bound, whether it is the most or the least).
COMPARISONS = {
    "bare": ("predictor", "bare", 1.15, "most"),
    "heat_map": ("heat_map", "predictor", 1.05, "most"),
    "tf_function": ("tf_function", "predictor", 1.6, "least"),
    "eager": ("eager", "predictor", 5.0, "least"),
}

Side = Callable[[], object]


def decided(bundle: ModelBundle, folder: Path, score: OodScore, *, seed: int) -> ModelBundle:
    """The bundle with every kind of decision that a registered model has, refusing nothing."""
    with np.load(bundle.serving_path.with_name("head.npz")) as head:
        channels = len(head["kernel"])
    dice = np.random.default_rng(seed)
    features = dice.random((EvaluateConfig().reference_images, channels), dtype=np.float32)
    truth = dice.integers(0, NUM_CLASSES, len(features))
    decisions = Decisions(
        operating_points=tuple(
            OperatingPoint(
                name=f"{target}_{goal}", target=target, criterion="sensitivity", goal=goal,
                threshold=0.1,
            )
            for target in ("melanoma", "malignant")
            for goal in (0.9, 0.95)
        ),
        confidence=ConfidenceCutoffs(high=0.9, medium=0.6),
        prediction_sets=PredictionSets(
            error=0.1, thresholds=(0.9,) * NUM_CLASSES, supported=(True,) * NUM_CLASSES
        ),
        quality={"brightness": Limits(low=1.0), "sharpness": Limits(low=-3.0)},
        ood=OodGate(score=score, threshold=1e9),
    )  # fmt: skip
    reference = fit_reference(features, truth, bank_size=len(features), seed=seed).only(score)
    return bundle.with_decisions(decisions, {OOD_FILE: reference} if reference else {}, folder)


def sides(bundle: ModelBundle, picture: bytes) -> dict[str, Side]:
    """Every side, from the bytes of a picture to its probabilities."""
    import keras
    import openvino
    import tensorflow as tf

    contract = bundle.contract
    size = (contract.input_width, contract.input_height)
    predictor = Predictor(bundle)
    compiled = openvino.Core().compile_model(
        bundle.serving_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    request = compiled.create_infer_request()
    model = keras.saving.load_model(bundle.keras_path, compile=False)
    graph = tf.function(lambda pixels: tf.nn.softmax(model(pixels, training=False)))

    def pixels() -> np.ndarray:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR))[None]

    def predicted() -> object:
        return checked(predictor.predict([picture])[0].probabilities)

    def with_heat_map() -> object:
        return checked(predictor.predict([picture], heat_map_of=PREDICTED)[0].heat_map)

    return {
        "predictor": predicted,
        "heat_map": with_heat_map,
        "bare": lambda: softmax(request.infer([pixels()])["logits"]),
        "tf_function": lambda: graph(tf.constant(pixels())).numpy(),
        "eager": lambda: softmax(keras.ops.convert_to_numpy(model(pixels(), training=False))),
    }


def checked(answer: object) -> object:
    """The answer; a refused picture would be fast and prove nothing.

    Raises:
        RuntimeError: There is none.
    """
    if answer is None:
        raise RuntimeError("the predictor refused the picture that it should judge")
    return answer


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of one picture."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def in_turn(
    taken_by: Mapping[str, Side], rounds: int, repetitions: int
) -> dict[str, dict[str, list[float]]]:
    """Median milliseconds of each side in each round, on the clock and of the processor.

    The sides take turns in an order that is drawn anew each time, so that none always follows one
    that leaves the machine busy.
    """
    dice = random.Random(0)
    medians = {name: {"clock": [], "processor": []} for name in taken_by}
    for _ in range(rounds):
        taken = {name: {"clock": [], "processor": []} for name in taken_by}
        for _ in range(repetitions):
            for name in dice.sample(list(taken_by), len(taken_by)):
                start, used = time.perf_counter(), time.process_time()
                taken_by[name]()
                taken[name]["clock"].append(1000 * (time.perf_counter() - start))
                taken[name]["processor"].append(1000 * (time.process_time() - used))
        for name, of_side in taken.items():
            for kind, milliseconds in of_side.items():
                medians[name][kind].append(statistics.median(milliseconds))
    return medians


def compared(medians: Mapping[str, Mapping[str, list[float]]], slow: str, fast: str) -> dict:
    """Ratios of two sides."""
    ratios = {
        kind: [a / b for a, b in zip(medians[slow][kind], medians[fast][kind], strict=True)]
        for kind in ("clock", "processor")
    }
    return {
        "ratios": [round(ratio, 4) for ratio in ratios["clock"]],
        "median_ratio": round(statistics.median(ratios["clock"]), 4),
        "processor_ratio": round(statistics.median(ratios["processor"]), 4),
    }


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repetitions", type=int, default=15, help="answers a side and round")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--ood", choices=SCORES, default="mahalanobis")
    arguments = parser.parse_args()

    picture, by_network = jpeg(), {}
    with tempfile.TemporaryDirectory(prefix="skin-lesion-bench-") as name:
        for network in arguments.networks:
            plain = random_bundle(Path(name) / network, network, NETWORKS[network])
            bundle = decided(plain, Path(name) / f"{network}-decided", arguments.ood, seed=0)
            start = time.perf_counter()
            Predictor(bundle).predict([picture])
            warm = time.perf_counter() - start
            taken_by = sides(bundle, picture)
            in_turn(taken_by, 1, 3)  # warms them all
            medians = in_turn(taken_by, arguments.rounds, arguments.repetitions)
            by_network[network] = {
                "seconds_to_first_answer": round(warm, 2),
                "milliseconds": {
                    side: {kind: round(statistics.median(of), 2) for kind, of in kinds.items()}
                    for side, kinds in medians.items()
                },
                "comparisons": {
                    what: compared(medians, slow, fast)
                    for what, (slow, fast, *_) in COMPARISONS.items()
                },
            }
    comparisons = {}
    for what, (slow, fast, bound, kind) in COMPARISONS.items():
        found = [of["comparisons"][what]["median_ratio"] for of in by_network.values()]
        worst = max(found) if kind == "most" else min(found)
        comparisons[what] = {
            "what": f"median time of {slow} / of {fast}",
            "median_ratio": worst,
            "bound": bound,
            "kept": worst <= bound if kind == "most" else worst >= bound,
        }
    result = {
        "what": "time from an encoded picture to probabilities",
        "picture_bytes": len(picture),
        "ood_score": arguments.ood,
        "machine": processor(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "comparisons": comparisons,
        "networks": by_network,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result)
    return 0 if all(each["kept"] for each in comparisons.values()) else 1


def show(result: dict) -> None:
    """Print the figures."""
    for network, of in result["networks"].items():
        print(f"{network}, {of['seconds_to_first_answer']} s to the first answer")
        for side, taken in of["milliseconds"].items():
            print(
                f"  {side:<12}{taken['clock']:>9.2f} ms {taken['processor']:>9.2f} ms of processor"
            )
        for what, found in of["comparisons"].items():
            print(
                f"  {what:<12}{found['median_ratio']:>9.3f} by the clock, "
                f"{found['processor_ratio']:.3f} by the processor"
            )
    for what, each in result["comparisons"].items():
        print(
            f"{what:<12}{each['median_ratio']:>7.3f}, bound {each['bound']}: "
            f"{'kept' if each['kept'] else 'MISSED'}"
        )
    print(f"load average {result['load_average']}")


if __name__ == "__main__":
    sys.exit(main())
