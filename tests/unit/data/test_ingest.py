"""From a data set to one array and one table."""

import hashlib
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.data import ingest as ingest_module
from skin_lesion.data.archives import SourceError
from skin_lesion.data.images import PixelSpec, read_pixels
from skin_lesion.data.ingest import IngestError, IngestResult, ingest
from skin_lesion.data.manifest import IMAGE_COLUMNS, QUARANTINE_COLUMNS
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig, SourceConfig, SyntheticConfig

SIZE = (36, 48)
LENIENT = IngestConfig(workers=1, max_quarantine_share=0.5)


def run(
    path: Path, work_dir: Path, config: IngestConfig = LENIENT, size: tuple[int, int] = SIZE
) -> IngestResult:
    return ingest(SourceConfig(kind="local", path=str(path)), size, config, 0, work_dir)


def reasons(result: IngestResult) -> dict[str, str]:
    table = result.manifest.quarantine
    return dict(zip(table["image_id"], table["reason"], strict=True))


def png_bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


def check_consistency(result: IngestResult) -> None:
    """What every result of ingestion fulfils."""
    manifest, images = result.manifest, result.images
    assert len(manifest) == len(images)
    assert images.open().shape == images.shape
    assert hashlib.sha256(images.path.read_bytes()).hexdigest() == images.sha256
    assert [path.name for path in images.path.parent.iterdir()] == ["images.npy"]
    table = manifest.images
    assert {name: str(table[name].dtype) for name in table} == IMAGE_COLUMNS
    assert list(table.index) == list(range(len(table)))
    assert table["image_id"].is_monotonic_increasing
    assert table["image_id"].is_unique
    assert table["phash"].str.fullmatch("[0-9a-f]{16}").all()
    assert tuple(manifest.quarantine.columns) == QUARANTINE_COLUMNS
    assert manifest.quarantine["detail"].str.len().gt(0).all()


def test_every_row_is_read_by_the_path_that_serves(data_set, tmp_path: Path) -> None:
    """Training sees the pixels that the app sees: same bytes, same pixels."""
    result = run(data_set.write_zip(tmp_path / "data.zip"), tmp_path / "work")
    check_consistency(result)
    provenance = result.manifest.provenance
    spec = PixelSpec(
        *SIZE, provenance.resize_mode, provenance.source_height, provenance.source_width
    )
    pixels = result.images.open()
    assert len(pixels) == 28
    for row, image_id in enumerate(result.manifest.images["image_id"]):
        data = data_set.files[data_set.name_of(image_id)]
        assert (pixels[row] == read_pixels(data, spec)).all()
        assert result.manifest.images["sha256"][row] == hashlib.sha256(data).hexdigest()


def test_mixed_sizes_are_read_at_their_median(data_set, tmp_path: Path) -> None:
    """Most pictures are large, which a look at the first few does not tell."""
    for number, name in enumerate(sorted(data_set.files)):
        if number >= 4:
            large = Image.open(io.BytesIO(data_set.files[name])).resize((160, 120))
            buffer = io.BytesIO()
            large.save(buffer, "JPEG", exif=b"Exif\0\0")
            data_set.files[name] = buffer.getvalue()
    monkey = pytest.MonkeyPatch()
    monkey.setattr(ingest_module, "_SAMPLED_HEADERS", 1)
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    monkey.undo()
    provenance = result.manifest.provenance
    assert (provenance.source_height, provenance.source_width) == (120, 160)
    spec = PixelSpec(*SIZE, "stretch", 120, 160)
    for row, image_id in enumerate(result.manifest.images["image_id"]):
        data = data_set.files[data_set.name_of(image_id)]
        assert (result.images.open()[row] == read_pixels(data, spec)).all()
    assert set(result.manifest.images["width"]) == {40, 160}


def test_the_table_has_the_facts_of_each_picture(data_set, tmp_path: Path) -> None:
    data_set.rows[0] |= {"age": "", "sex": "unknown", "localization": "", "dx": "AKIEC"}
    data_set.rows[1] |= {"age": "0.0", "sex": "FEMALE"}
    table = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work").manifest.images
    assert np.isnan(table["age"][0])
    assert table["age"][1] == 0.0
    assert list(table["sex"][:3]) == ["unknown", "female", "male"]
    assert list(table["localization"][:2]) == ["unknown", "back"]
    assert set(table["dx"]) == set(LABELS)
    assert set(table["width"]) == {40}
    assert set(table["height"]) == {30}
    assert table["brightness"].between(1, 254).all()
    assert table["contrast"].gt(1).all()


def test_pictures_are_turned_upright_and_measured_upright(data_set, tmp_path: Path) -> None:
    name = data_set.name_of("ISIC_0000000")
    upright = Image.open(io.BytesIO(data_set.files[name]))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", exif=exif, quality=98)
    plain = run(data_set.write_folder(tmp_path / "plain"), tmp_path / "plain_work")
    data_set.files[name] = buffer.getvalue()
    turned = run(data_set.write_folder(tmp_path / "turned"), tmp_path / "turned_work")
    assert turned.manifest.images["width"][0] == 40
    difference = plain.images.open()[0].astype(int) - turned.images.open()[0]
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("mode", ["stretch", "pad", "crop"])
def test_resize_mode_is_used_and_recorded(data_set, tmp_path: Path, mode: str) -> None:
    config = IngestConfig(workers=1, resize_mode=mode)
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work", config, (40, 40))
    assert result.manifest.provenance.resize_mode == mode
    assert bool((result.images.open()[:, 0] == 0).all()) == (mode == "pad")


def test_the_number_of_workers_does_not_matter(tmp_path: Path) -> None:
    config = SourceConfig(synthetic=SyntheticConfig(lesions_per_class=16, height=32, width=40))
    results = [
        ingest(config, SIZE, IngestConfig(workers=workers), 3, tmp_path / str(workers))
        for workers in (1, 2)
    ]
    assert len(results[0].images) > 2 * 64  # several chunks
    assert len({result.images.sha256 for result in results}) == 1
    for other in results[1:]:
        pd.testing.assert_frame_equal(other.manifest.images, results[0].manifest.images)


def test_the_order_of_the_metadata_does_not_matter(data_set, tmp_path: Path) -> None:
    first = run(data_set.write_folder(tmp_path / "a"), tmp_path / "work_a")
    data_set.rows.reverse()
    second = run(data_set.write_folder(tmp_path / "b"), tmp_path / "work_b")
    assert first.images.sha256 == second.images.sha256
    assert first.manifest.fingerprint == second.manifest.fingerprint
    pd.testing.assert_frame_equal(first.manifest.images, second.manifest.images)


def test_folder_and_zips_give_the_same_array(data_set, tmp_path: Path) -> None:
    sources = [
        data_set.write_folder(tmp_path / "folder"),
        data_set.write_zip(tmp_path / "stored.zip"),
        data_set.write_zip(tmp_path / "packed.zip", zipfile.ZIP_DEFLATED),
    ]
    results = [run(path, tmp_path / f"work_{i}") for i, path in enumerate(sources)]
    assert len({result.images.sha256 for result in results}) == 1
    assert len({result.manifest.fingerprint for result in results}) == 1


# Quarantine


@pytest.mark.parametrize("as_zip", [False, True])
def test_each_kind_of_unusable_picture_is_put_aside_with_its_reason(
    data_set, tmp_path: Path, as_zip: bool
) -> None:
    def replace(number: int, data: bytes) -> None:
        data_set.files[data_set.name_of(f"ISIC_{number:07d}")] = data

    whole = data_set.files[data_set.name_of("ISIC_0000000")]
    replace(1, whole[:300] + b"\0" * 10)
    replace(3, whole[: len(whole) // 2])
    del data_set.files[data_set.name_of("ISIC_0000005")]
    replace(7, b"")
    replace(9, b"<html>not found</html>")
    replace(11, png_bomb())
    replace(13, b"x" * 300_000)
    replace(15, b"GIF89a" + bytes(50))
    data_set.rows[16]["dx"] = "wart"
    data_set.rows[18]["lesion_id"] = ""
    data_set.rows.append(dict(data_set.rows[20]))
    target = tmp_path / "data"
    path = data_set.write_zip(target) if as_zip else data_set.write_folder(target)
    config = LENIENT.model_copy(update={"max_file_bytes": 200_000})
    result = run(path, tmp_path / "work", config)
    check_consistency(result)
    assert reasons(result) == {
        "ISIC_0000001": "truncated",
        "ISIC_0000003": "truncated",
        "ISIC_0000005": "missing",
        "ISIC_0000007": "empty",
        "ISIC_0000009": "unsupported_format",
        "ISIC_0000011": "bomb",
        "ISIC_0000013": "too_large",
        "ISIC_0000015": "unsupported_format",
        "ISIC_0000016": "unknown_label",
        "ISIC_0000018": "invalid_metadata",
        "ISIC_0000020": "duplicate",
    }
    kept = set(result.manifest.images["image_id"])
    assert "ISIC_0000020" in kept  # once
    assert len(kept) == 28 - 10
    quarantine = result.manifest.quarantine
    assert list(quarantine["image_id"]) == sorted(quarantine["image_id"])
    assert quarantine.set_index("image_id")["file"]["ISIC_0000003"].endswith("ISIC_0000003.jpg")
    assert quarantine.set_index("image_id")["file"]["ISIC_0000005"] == ""


def test_rows_stay_with_their_pictures_when_others_are_dropped(data_set, tmp_path: Path) -> None:
    whole = run(data_set.write_folder(tmp_path / "whole"), tmp_path / "work_whole")
    for number in (0, 1, 10, 27):
        data_set.files[data_set.name_of(f"ISIC_{number:07d}")] = b"broken"
    part = run(data_set.write_folder(tmp_path / "part"), tmp_path / "work_part")
    check_consistency(part)
    row_of = {name: row for row, name in enumerate(whole.manifest.images["image_id"])}
    for row, name in enumerate(part.manifest.images["image_id"]):
        assert (part.images.open()[row] == whole.images.open()[row_of[name]]).all()
    assert part.images.sha256 == hashlib.sha256(part.images.path.read_bytes()).hexdigest()


def test_an_id_with_contradictory_diagnoses_is_not_used_at_all(data_set, tmp_path: Path) -> None:
    data_set.rows.append(data_set.rows[4] | {"dx": "mel"})
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    assert "ISIC_0000004" not in set(result.manifest.images["image_id"])
    assert list(result.manifest.quarantine["image_id"]) == ["ISIC_0000004"] * 2
    assert result.manifest.quarantine["detail"].str.contains("contradictory").all()


def test_one_file_under_two_lesions_is_a_duplicate(data_set, tmp_path: Path) -> None:
    """Lesions 2 and 9 have the same class; the later copy goes."""
    data_set.files[data_set.name_of("ISIC_0000018")] = data_set.files[
        data_set.name_of("ISIC_0000004")
    ]
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    check_consistency(result)
    assert reasons(result) == {"ISIC_0000018": "duplicate"}


def test_one_file_with_two_diagnoses_is_not_used_at_all(data_set, tmp_path: Path) -> None:
    data_set.files[data_set.name_of("ISIC_0000016")] = data_set.files[
        data_set.name_of("ISIC_0000004")
    ]
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    assert reasons(result) == {"ISIC_0000004": "duplicate", "ISIC_0000016": "duplicate"}


def test_one_file_twice_within_a_lesion_is_kept(data_set, tmp_path: Path) -> None:
    data_set.files[data_set.name_of("ISIC_0000005")] = data_set.files[
        data_set.name_of("ISIC_0000004")
    ]
    result = run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    assert len(result.manifest) == 28


def test_too_many_unusable_pictures_stop_it_with_counts_and_examples(
    data_set, tmp_path: Path
) -> None:
    for number in (2, 3, 4):
        data_set.files[data_set.name_of(f"ISIC_{number:07d}")] = b""
    data_set.rows[10]["dx"] = "wart"
    with pytest.raises(IngestError) as caught:
        run(data_set.write_folder(tmp_path / "data"), tmp_path / "work", IngestConfig(workers=1))
    message = str(caught.value)
    assert "4 of 28 pictures" in message
    assert "max_quarantine_share=0.01" in message
    assert "'empty': 3" in message
    assert "'unknown_label': 1" in message
    assert "ISIC_0000002" in message


def test_the_share_that_is_allowed_is_allowed(data_set, tmp_path: Path) -> None:
    data_set.files[data_set.name_of("ISIC_0000002")] = b""
    folder = data_set.write_folder(tmp_path / "data")
    allowed = IngestConfig(workers=1, max_quarantine_share=1 / 28)
    assert len(run(folder, tmp_path / "work", allowed).manifest) == 27
    with pytest.raises(IngestError):
        run(folder, tmp_path / "work", IngestConfig(workers=1, max_quarantine_share=1 / 29))


def test_a_data_set_without_any_usable_picture_is_an_error(data_set, tmp_path: Path) -> None:
    for name in data_set.files:
        data_set.files[name] = b"broken"
    everything = IngestConfig(workers=1, max_quarantine_share=1.0)
    with pytest.raises(IngestError, match="28 of 28"):
        run(data_set.write_folder(tmp_path / "data"), tmp_path / "work", everything)


# Atomicity


def test_a_failure_leaves_no_partial_file_and_the_old_array(data_set, tmp_path: Path) -> None:
    good = run(data_set.write_folder(tmp_path / "good"), tmp_path / "work")
    for name in list(data_set.files)[:9]:
        data_set.files[name] = b"broken"
    with pytest.raises(IngestError):
        run(data_set.write_folder(tmp_path / "bad"), tmp_path / "work", IngestConfig(workers=1))
    check_consistency(good)


def test_an_interruption_leaves_no_partial_file(
    data_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ingest_module, "decode_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_full_disk_is_an_error_and_leaves_no_partial_file(
    data_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ingest_module, "decode_rows", full)
    with pytest.raises(OSError, match="No space left"):
        run(data_set.write_folder(tmp_path / "data"), tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_a_hostile_zip_writes_nothing(data_set, tmp_path: Path) -> None:
    data_set.files["../../ISIC_9999999.jpg"] = b"1"
    path = data_set.write_zip(tmp_path / "slip.zip")
    with pytest.raises(SourceError, match="leads outside"):
        run(path, tmp_path / "work")
    assert not list((tmp_path / "work").rglob("*"))
    assert not list(tmp_path.rglob("ISIC_9999999.jpg"))


def test_a_second_run_replaces_the_array(data_set, tmp_path: Path) -> None:
    folder = data_set.write_folder(tmp_path / "data")
    first = run(folder, tmp_path / "work")
    second = run(folder, tmp_path / "work", size=(48, 64))
    assert first.images.path == second.images.path
    check_consistency(second)


# What was asked for


@pytest.mark.parametrize(
    ("size", "named"),
    [
        ((31, 40), r"image_size is \(31, 40\), of which the height is 31"),
        ((40, 4097), r"image_size is \(40, 4097\), of which the width is 4097"),
        ((0, 40), "the height is 0"),
        ((40, -40), "the width is -40"),
    ],
)
def test_an_image_size_out_of_range_is_named(
    tmp_path: Path, size: tuple[int, int], named: str
) -> None:
    with pytest.raises(ValueError, match=f"{named}; expected .* from 32 to 4096 pixels"):
        run(tmp_path, tmp_path / "work", size=size)
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("seed", [-1, 2**32 - 1])
def test_a_seed_that_training_cannot_use_is_refused(tmp_path: Path, seed: int) -> None:
    with pytest.raises(ValueError, match=f"seed is {seed}; expected a whole number from 0"):
        ingest(SourceConfig(), SIZE, IngestConfig(), seed, tmp_path / "work")
    assert not (tmp_path / "work").exists()


# Part of the data


def test_a_part_is_ingested_as_whole_lesions(tmp_path: Path) -> None:
    config = SourceConfig(
        synthetic=SyntheticConfig(lesions_per_class=30, height=32, width=40), max_images=70
    )
    result = ingest(config, SIZE, IngestConfig(workers=1), 0, tmp_path)
    assert 60 <= len(result.manifest) <= 80
    assert set(result.manifest.images["dx"]) == set(LABELS)
    assert result.manifest.provenance.synthetic
    check_consistency(result)


@pytest.mark.real_data
def test_real_images_are_read_without_loss(ham10000_path: Path, tmp_path: Path) -> None:
    config = SourceConfig(kind="local", path=str(ham10000_path), max_images=300)
    result = ingest(config, (75, 100), IngestConfig(), 0, tmp_path)
    check_consistency(result)
    assert len(result.manifest.quarantine) == 0
    provenance = result.manifest.provenance
    assert (provenance.source_height, provenance.source_width) == (150, 200)
    assert result.manifest.images["brightness"].between(40, 240).all()
    assert result.manifest.images["phash"].nunique() > 250
