"""Where the benchmarks lie: the checkout that they measure and record."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
