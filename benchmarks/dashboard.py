"""What the clinicians' dashboard takes, as shares of a bare forward pass of the same network.

    python benchmarks/dashboard.py

The real server answers clients that speak its protocol as a browser does (`streamlit_client.py`); a
process beside it does nothing but forward passes with the features that a heat-map needs. The two take
turns, so that a busy machine slows both. Five things are measured:

- the first page after the start, and the first reading, from the moment the command is given;
- later readings: from the drop of a picture until the answer with its heat-map and every picture of it
  has arrived;
- twenty clients with a reading every five seconds each, against one client alone in the same run;
- the server's memory over a thousand readings.

The weights are random numbers: what they are does not change how long anything takes.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from dashboard_clients import (
    EVERY_SECONDS,
    ROOT,
    Server,
    dashboard,
    from_the_start,
    in_turn,
    memory,
    regularly,
)
from serving import jpeg, processor_time, random_bundle, register

from skin_lesion.checkout import processor
from skin_lesion.decisions import Calibrator, ConfidenceCutoffs, Decisions, OperatingPoint
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.serving_model import ServingModel

RESULT = ROOT / "benchmarks" / "results" / "dashboard.json"
# Network and side of its input: what a later reading may take, in seconds on two idle cores.
NETWORKS = {("mobilenet", 160): 0.5, ("efficientnet_b4", 380): 1.5}
# What a bare forward pass with features takes on two idle cores (AMD EPYC): with it seconds become shares.
IDLE_BARE_SECONDS = {("mobilenet", 160): 0.0015, ("efficientnet_b4", 380): 0.033}
FIRST_PAGE_SECONDS, FIRST_READING_SECONDS = 3.0, 5.0
CLIENTS, CLIENTS_BOUND = 20, 3.0
# Of the memory after the first readings, when every cache is full.
MEMORY_BOUND = 1.05
READINGS, SETTLED = 1000, 200
POINTS = (
    OperatingPoint(
        name="melanoma_sensitivity_95",
        target="melanoma",
        criterion="sensitivity",
        goal=0.95,
        threshold=0.1,
    ),
    OperatingPoint(
        name="malignant_sensitivity_95",
        target="malignant",
        criterion="sensitivity",
        goal=0.95,
        threshold=0.2,
    ),
)


def decided_bundle(folder: Path, backbone: str, side: int) -> ModelBundle:
    """An untrained network with thresholds, so that every part of the answer is drawn."""
    bundle = random_bundle(folder / "random", backbone, (side, side))
    decisions = Decisions(
        calibrator=Calibrator(temperature=1.0),
        operating_points=POINTS,
        confidence=ConfidenceCutoffs(high=0.8, medium=0.5),
    )
    return bundle.with_contract(bundle.contract.deciding(decisions), folder / "bundle")


def _forward(pipe: Connection, path: Path) -> None:
    bundle = ModelBundle.open(path)
    model, contract = ServingModel.load(bundle), bundle.contract
    pixels = np.zeros((1, contract.input_height, contract.input_width, 3), np.uint8)
    while pipe.recv():
        start = time.perf_counter()
        model.run(pixels, with_features=True)
        pipe.send(time.perf_counter() - start)


@contextmanager
def forward_passes(bundle: ModelBundle) -> Iterator[Callable[[], float]]:
    """Seconds of one forward pass, in a process of its own, each time it is called."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_forward, args=(there, bundle.path))
    process.start()

    def once() -> float:
        here.send(True)
        return float(here.recv())

    try:
        for _ in range(5):
            once()  # warms it
        yield once
    finally:
        here.send(False)
        process.join()


def share(seconds: list[float], bare: float, limit: float, idle_bare: float) -> dict[str, Any]:
    """A time as a multiple of the bare forward pass, beside what it may be.

    Args:
        seconds: What was measured.
        bare: Median seconds of the forward pass, measured between them.
        limit: What it may take on two idle cores, in seconds.
        idle_bare: What the forward pass takes there.
    """
    ratios = [one / bare for one in seconds]
    return {
        "seconds": [round(one, 3) for one in seconds[:20]],
        "median_seconds": round(statistics.median(seconds), 4),
        "limit_seconds": limit,
        "bare_milliseconds": round(1000 * bare, 2),
        "median_ratio": round(statistics.median(ratios), 2),
        "bound": round(limit / idle_bare, 2),
    }


def measure(backbone: str, side: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """All that is measured on one network."""
    picture, limit = jpeg(), NETWORKS[backbone, side]
    parts: dict[str, Any] = {}
    idle = IDLE_BARE_SECONDS[backbone, side]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = decided_bundle(folder, backbone, side)
        registry = register(bundle, folder)
        with forward_passes(bundle) as forward:
            bare: list[float] = []
            starts = []
            for i in range(arguments.starts):
                bare += [forward() for _ in range(10)]
                place = folder / f"start {i}"
                place.mkdir()
                with dashboard(registry, place) as server:
                    starts.append(asyncio.run(from_the_start(server, picture)))
            pages, firsts = (list(column) for column in zip(*starts, strict=True))
            median = statistics.median(bare)
            parts["first_page"] = share(pages, median, FIRST_PAGE_SECONDS, idle)
            parts["first_reading"] = share(firsts, median, FIRST_READING_SECONDS, idle)
            with dashboard(registry, folder) as server:
                used = processor_time(server.process)
                took, bare = asyncio.run(in_turn(server, picture, forward, arguments.readings))
                parts["later_reading"] = share(took, statistics.median(bare), limit, idle) | {
                    "processor_milliseconds": round(
                        1000 * (processor_time(server.process) - used) / (len(took) + 5), 1
                    )
                }
                if backbone == "mobilenet":
                    parts |= many(server, picture, arguments)
    return parts


def many(server: Server, picture: bytes, arguments: argparse.Namespace) -> dict[str, Any]:
    """Many clients at once, and many readings one after the other."""
    alone, failed_alone = asyncio.run(regularly(server, picture, 1, arguments.seconds))
    took, failed = asyncio.run(regularly(server, picture, CLIENTS, arguments.seconds))
    late = float(np.percentile(took, 95))
    single = statistics.median(alone)
    megabytes = asyncio.run(memory(server, picture, arguments.memory))
    settled = megabytes[len(megabytes) * SETTLED // READINGS :]
    slope = float(np.polyfit(50 * np.arange(len(settled)), settled, 1)[0])
    return {
        "clients": {
            "clients": CLIENTS,
            "every_seconds": EVERY_SECONDS,
            "readings": len(took),
            "failures": len(failed + failed_alone),
            "what_failed": sorted(set(failed + failed_alone)),
            "alone_median_seconds": round(single, 4),
            "median_seconds": round(statistics.median(took), 4),
            "p95_seconds": round(late, 4),
            "median_ratio": round(late / single, 3),
            "bound": CLIENTS_BOUND,
        },
        "memory": {
            "readings": arguments.memory,
            "megabytes": [round(one, 1) for one in megabytes],
            "kilobytes_a_reading": round(1024 * slope, 2),
            "median_ratio": round(settled[-1] / settled[0], 4),
            "bound": MEMORY_BOUND,
        },
    }


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5, help="servers that are started")
    parser.add_argument("--readings", type=int, default=60, help="later readings")
    parser.add_argument("--seconds", type=float, default=60.0, help="of one and of many clients")
    parser.add_argument("--memory", type=int, default=READINGS, help="readings for the memory")
    parser.add_argument("--no-record", action="store_true", help="write no result file")
    arguments = parser.parse_args()
    load = os.getloadavg()
    flat: dict[str, Any] = {}
    for backbone, side in NETWORKS:
        found = measure(backbone, side, arguments)
        flat |= {f"{backbone}_{side}_{name}": part for name, part in found.items()}
        for name, part in found.items():
            seconds = part.get("p95_seconds", part.get("median_seconds", ""))
            print(
                f"{backbone} {side} {name:<14} {seconds!s:>8} s   "
                f"ratio {part['median_ratio']:>8} ≤ {part['bound']}",
                flush=True,
            )
    result = {
        "what": "time of the dashboard / bare forward pass; p95 of twenty clients / one; memory",
        "machine": processor(),
        "cores": os.cpu_count(),
        "load_average": [round(one, 1) for one in load],
        "comparisons": flat,
    }
    if not arguments.no_record:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    bad = [name for name, part in flat.items() if part["median_ratio"] > part["bound"]]
    bad += [name for name, part in flat.items() if part.get("failures")]
    if bad:
        print(f"beyond the bound: {', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
