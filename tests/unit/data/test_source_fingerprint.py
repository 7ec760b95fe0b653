"""What tells a data set from another without reading it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from skin_lesion.data.sources import open_source, source_fingerprint
from skin_lesion.settings import MAX_SEED, IngestConfig, SourceConfig
from tests.unit.data.conftest import SYNTHETIC, local


def test_fingerprint_changes_with_any_picture(data_set, tmp_path: Path) -> None:
    folder = data_set.write_folder(tmp_path / "folder")
    before = source_fingerprint(local(folder), 0)
    assert source_fingerprint(local(folder), 0) == before
    picture = folder / data_set.name_of("ISIC_0000005")
    data = bytearray(picture.read_bytes())
    data[-10] ^= 1
    picture.write_bytes(data)
    os.utime(picture, ns=(time.time_ns() + 10**9,) * 2)
    changed = source_fingerprint(local(folder), 0)
    picture.unlink()
    assert len({before, changed, source_fingerprint(local(folder), 0)}) == 3


def test_fingerprint_changes_with_any_member_of_a_zip(data_set, tmp_path: Path) -> None:
    before = source_fingerprint(local(data_set.write_zip(tmp_path / "a.zip")), 0)
    assert source_fingerprint(local(data_set.write_zip(tmp_path / "b.zip")), 0) == before
    name = data_set.name_of("ISIC_0000005")
    data_set.files[name] = data_set.files[name][:-1] + b"?"
    assert source_fingerprint(local(data_set.write_zip(tmp_path / "c.zip")), 0) != before


def test_fingerprint_changes_with_the_metadata(data_set, tmp_path: Path) -> None:
    before = source_fingerprint(local(data_set.write_zip(tmp_path / "a.zip")), 0)
    data_set.rows[0]["dx"] = "mel"
    assert source_fingerprint(local(data_set.write_zip(tmp_path / "b.zip")), 0) != before


def test_fingerprint_covers_the_zips_inside_a_folder(data_set, tmp_path: Path) -> None:
    (tmp_path / "HAM10000_metadata.csv").write_bytes(data_set.table())
    archive = tmp_path / "HAM10000_images_part_1.zip"
    data_set.write_zip(archive)
    before = source_fingerprint(local(tmp_path), 0)
    data_set.files[data_set.name_of("ISIC_0000005")] = b"other"
    data_set.write_zip(archive)
    assert source_fingerprint(local(tmp_path), 0) != before


def test_fingerprint_of_synthetic_data_follows_seed_and_settings() -> None:
    base = SourceConfig(synthetic=SYNTHETIC)
    fingerprints = {
        source_fingerprint(base, 0),
        source_fingerprint(base, 1),
        source_fingerprint(base.model_copy(update={"max_images": 50}), 0),
        source_fingerprint(SourceConfig(), 0),
    }
    assert len(fingerprints) == 4
    assert source_fingerprint(base, 0) in fingerprints


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 2**32])
def test_a_seed_that_training_cannot_use_is_refused_at_once(seed: int) -> None:
    message = f"seed is {seed}; expected a whole number from 0 to {MAX_SEED}"
    with pytest.raises(ValueError, match=message):
        source_fingerprint(SourceConfig(), seed)
    with (
        pytest.raises(ValueError, match=message),
        open_source(SourceConfig(), IngestConfig(), seed),
    ):
        pass


def test_the_largest_seed_is_one_that_training_can_use() -> None:
    """Fine-tuning seeds with one more."""
    assert source_fingerprint(SourceConfig(), MAX_SEED)
    np.random.RandomState(MAX_SEED + 1)


def test_fingerprint_of_a_download_needs_no_network() -> None:
    a = source_fingerprint(SourceConfig(kind="dataverse"), 0)
    b = source_fingerprint(SourceConfig(kind="dataverse", dataverse_doi="doi:10.1/x"), 0)
    assert len({a, b, source_fingerprint(SourceConfig(kind="kaggle"), 0)}) == 3


def test_fingerprint_imports_nothing_heavy(root: Path) -> None:
    code = (
        "import sys\n"
        "from skin_lesion.data.sources import source_fingerprint\n"
        "from skin_lesion.settings import SourceConfig\n"
        "source_fingerprint(SourceConfig(), 0)\n"
        "print(sorted({'pandas', 'scipy', 'requests', 'tensorflow'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == "[]"


@pytest.mark.real_data
def test_fingerprint_of_the_real_images_takes_a_moment(ham10000_path: Path) -> None:
    start = time.process_time()
    source_fingerprint(local(ham10000_path), 0)
    assert time.process_time() - start < 0.2
