"""How much longer `ingest` takes than a bare loop that does the same to each image.

    HAM10000_PATH=/data/ham10000.zip python benchmarks/ingest.py

The bare loop reads the zip, decodes, resizes, and computes sha256 and perceptual hash, with one
process a core, and keeps nothing. `ingest` does all of that and more: it checks and quarantines,
orients, measures brightness, and writes the array with its checksum. The two run in turn, on the
same files, each with fresh processes; who goes first changes from round to round.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import platform
import re
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from joblib.externals.loky import get_reusable_executor
from PIL import Image

from skin_lesion.data.images import perceptual_hash
from skin_lesion.data.ingest import ingest
from skin_lesion.settings import IngestConfig, SourceConfig

BOUND = 1.3
RESULT = Path(__file__).parent / "results" / "ingest.json"
CHUNK = 64

_archive: zipfile.ZipFile
_side: int


def start_worker(archive: Path, side: int) -> None:
    """Open the zip once a process."""
    global _archive, _side
    _archive, _side = zipfile.ZipFile(archive), side


def read_one(name: str) -> tuple[str, str, int]:
    """Decode, resize and hash one image; the length stands for its pixels."""
    data = _archive.read(name)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = image.resize((_side, _side), Image.Resampling.BILINEAR).tobytes()
    return hashlib.sha256(data).hexdigest(), perceptual_hash(image.convert("L")), len(pixels)


def bare_seconds(archive: Path, side: int, processes: int) -> tuple[float, int]:
    """Wall time of the bare loop, and the number of images it read."""
    start = time.perf_counter()
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, start_worker, (archive, side)) as pool:
        found = pool.map(read_one, names, CHUNK)
    return time.perf_counter() - start, len(found)


def ingest_seconds(archive: Path, side: int, processes: int) -> tuple[float, int]:
    """Wall time of `ingest`, and the number of images it kept."""
    get_reusable_executor().shutdown()
    config = IngestConfig(workers=processes)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        source = SourceConfig(kind="local", path=str(archive))
        result = ingest(source, (side, side), config, seed=0, work_dir=Path(folder))
        return time.perf_counter() - start, len(result.images)


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=160, help="height and width of the array")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    archive = Path(os.environ.get("HAM10000_PATH", ""))
    if not zipfile.is_zipfile(archive):
        print(f"skipped: HAM10000_PATH is '{archive}', which is no zip of HAM10000")
        return 0
    cores = os.cpu_count() or 1
    seconds: dict[str, list[float]] = {"bare": [], "ingest": []}
    measured = {"bare": bare_seconds, "ingest": ingest_seconds}
    print(f"{'round':>5} {'bare loop':>10} {'ingest':>10} {'ratio':>7}   seconds")
    for number in range(arguments.rounds):
        for name in sorted(measured, reverse=number % 2 == 1):
            taken, images = measured[name](archive, arguments.side, cores)
            seconds[name].append(taken)
        bare, full = seconds["bare"][-1], seconds["ingest"][-1]
        print(f"{number:>5} {bare:>10.2f} {full:>10.2f} {full / bare:>7.3f}")
    ratios = [full / bare for full, bare in zip(seconds["ingest"], seconds["bare"], strict=True)]
    ratio = statistics.median(ratios)
    print(f"median ratio {ratio:.3f} on {images} images, at most {BOUND} wanted")
    figures = {
        "what": "ingestion / a bare loop that does the same to each image, in seconds",
        "images": images,
        "side": arguments.side,
        "machine": {"cores": cores, "processor": processor()},
        "seconds": {name: [round(value, 2) for value in seconds[name]] for name in seconds},
        "ratios": [round(value, 4) for value in ratios],
        "median_ratio": round(ratio, 4),
        "bound": BOUND,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
