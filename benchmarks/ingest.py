"""How much longer `ingest` takes than a bare loop that does the same to each image.

    HAM10000_PATH=/data/ham10000.zip python benchmarks/ingest.py

Both sides read the zip, decode, resize, write the pixels into one array, and compute sha256 and
perceptual hash, with one process a core. `ingest` does more: it checks, quarantines, orients,
measures brightness and fingerprints. The two run in turn, on the same files, several times.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import platform
import statistics
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from skin_lesion.data.images import perceptual_hash
from skin_lesion.data.ingest import ingest
from skin_lesion.settings import IngestConfig, SourceConfig

BOUND = 1.3
RESULT = Path(__file__).parent / "results" / "ingest.json"
CHUNK = 64

_archive: zipfile.ZipFile
_rows: np.memmap


def start_worker(archive: Path, array: Path, shape: tuple[int, ...]) -> None:
    """Open the zip and the array once a process."""
    global _archive, _rows
    _archive = zipfile.ZipFile(archive)
    _rows = np.lib.format.open_memmap(array, "r+", np.uint8, shape)


def read_one(task: tuple[int, str]) -> tuple[str, str]:
    """Bring one image into its row; returns its sha256 and its perceptual hash."""
    row, name = task
    data = _archive.read(name)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    height, width = _rows.shape[1:3]
    _rows[row] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return hashlib.sha256(data).hexdigest(), perceptual_hash(image.convert("L"))


def bare_seconds(archive: Path, side: int, work_dir: Path) -> float:
    """Wall time of the bare loop."""
    start = time.perf_counter()
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
    array = work_dir / "bare.npy"
    shape = (len(names), side, side, 3)
    np.lib.format.open_memmap(array, "w+", np.uint8, shape)
    with multiprocessing.get_context("fork").Pool(
        os.cpu_count(), start_worker, (archive, array, shape)
    ) as pool:
        pool.map(read_one, list(enumerate(names)), CHUNK)
    return time.perf_counter() - start


def ingest_seconds(archive: Path, side: int, work_dir: Path) -> tuple[float, int]:
    """Wall time of `ingest`, and the number of images it kept."""
    source = SourceConfig(kind="local", path=str(archive))
    start = time.perf_counter()
    result = ingest(source, (side, side), IngestConfig(), seed=0, work_dir=work_dir)
    return time.perf_counter() - start, len(result.images)


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=160, help="height and width of the array")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    archive = Path(os.environ.get("HAM10000_PATH", ""))
    if not zipfile.is_zipfile(archive):
        print(f"skipped: HAM10000_PATH is '{archive}', which is no zip of HAM10000")
        return 0
    bare, full = [], []
    with tempfile.TemporaryDirectory() as folder:
        work_dir = Path(folder)
        for _ in range(arguments.repeats):
            bare.append(bare_seconds(archive, arguments.side, work_dir))
            seconds, images = ingest_seconds(archive, arguments.side, work_dir)
            full.append(seconds)
            print(f"bare loop {bare[-1]:.1f} s   ingest {full[-1]:.1f} s")
    ratios = [seconds / reference for seconds, reference in zip(full, bare, strict=True)]
    ratio = statistics.median(ratios)
    print(f"ingest of {images} images takes {ratio:.2f} times the bare loop (bound {BOUND})")
    figures = {
        "what": "ingestion / a bare loop that does the same to each image, in seconds",
        "images": images,
        "side": arguments.side,
        "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
        "seconds": {
            "ingest": [round(seconds, 2) for seconds in full],
            "bare": [round(seconds, 2) for seconds in bare],
        },
        "ratios": [round(value, 4) for value in ratios],
        "median_ratio": round(ratio, 4),
        "bound": BOUND,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
