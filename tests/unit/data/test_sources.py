"""Where pictures come from."""

import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skin_lesion.data.sources import (
    METADATA_COLUMNS,
    MissingImageError,
    Source,
    SourceError,
    open_source,
    select_lesions,
    source_fingerprint,
)
from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.data.terms import Terms
from skin_lesion.settings import MAX_SEED, IngestConfig, SourceConfig, SyntheticConfig

SYNTHETIC = SyntheticConfig(lesions_per_class=3, height=32, width=40)


@pytest.fixture(autouse=True)
def no_path_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HAM10000_PATH", raising=False)


def local(path: Path) -> SourceConfig:
    return SourceConfig(kind="local", path=str(path))


def contents(config: SourceConfig, seed: int = 0) -> tuple[Source, dict[str, bytes]]:
    with open_source(config, IngestConfig(), seed) as source:
        return source, {name: source.read(name) for name in source.metadata["image_id"]}


def contents_terms(config: SourceConfig) -> Terms:
    with open_source(config, IngestConfig(), 0) as source:
        return source.terms


def test_a_folder_and_a_zip_hold_the_same(data_set, tmp_path: Path) -> None:
    folder, from_folder = contents(local(data_set.write_folder(tmp_path / "folder")))
    archive, from_zip = contents(local(data_set.write_zip(tmp_path / "data.zip")))
    packed, from_packed = contents(
        local(data_set.write_zip(tmp_path / "packed.zip", zipfile.ZIP_DEFLATED))
    )
    pd.testing.assert_frame_equal(folder.metadata, archive.metadata)
    pd.testing.assert_frame_equal(folder.metadata, packed.metadata)
    assert from_folder == from_zip == from_packed
    assert len(from_zip) == 28
    assert list(folder.metadata.columns) == list(METADATA_COLUMNS)


def test_terms_say_where_the_pictures_come_from(data_set, tmp_path: Path) -> None:
    source, _ = contents(local(data_set.write_folder(tmp_path)))
    assert source.kind == "local"
    assert source.terms.licence == "CC-BY-NC-4.0"
    assert not source.terms.synthetic


def test_nesting_and_case_do_not_matter(data_set, tmp_path: Path) -> None:
    _, expected = contents(local(data_set.write_folder(tmp_path / "plain")))
    renamed = {}
    for name, data in data_set.everything().items():
        renamed[f"archive/Deep/{name.lower().replace('.jpg', '.JPG')}"] = data
    for name, data in renamed.items():
        path = tmp_path / "odd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert contents(local(tmp_path / "odd"))[1] == expected


@pytest.mark.parametrize(
    ("name", "delimiter", "prefix"),
    [
        ("HAM10000_metadata.tab", "\t", b""),
        ("HAM10000_metadata", ",", b""),
        ("ham10000_metadata.tsv", "\t", b""),
        ("HAM10000_metadata.csv", ";", b""),
        ("HAM10000_metadata.csv", ",", b"\xef\xbb\xbf"),
    ],
)
def test_variants_of_the_table_read_the_same(
    data_set, tmp_path: Path, name: str, delimiter: str, prefix: bytes
) -> None:
    expected, _ = contents(local(data_set.write_folder(tmp_path / "plain")))
    folder = data_set.write_folder(tmp_path / "variant")
    (folder / "HAM10000_metadata.csv").unlink()
    (folder / name).write_bytes(prefix + data_set.table(delimiter))
    found, _ = contents(local(folder))
    pd.testing.assert_frame_equal(found.metadata, expected.metadata)


def test_quoted_cells_and_windows_line_ends_read_the_same(data_set, tmp_path: Path) -> None:
    expected, _ = contents(local(data_set.write_folder(tmp_path / "plain")))
    folder = data_set.write_folder(tmp_path / "quoted")
    quoted = data_set.table().decode().replace("back", '"back"').replace("\n", "\r\n")
    (folder / "HAM10000_metadata.csv").write_bytes(quoted.encode())
    pd.testing.assert_frame_equal(contents(local(folder))[0].metadata, expected.metadata)


def test_zips_of_pictures_inside_a_folder_are_read_in_place(data_set, tmp_path: Path) -> None:
    """The layout of the Dataverse download: a table beside two zips."""
    _, expected = contents(local(data_set.write_folder(tmp_path / "plain")))
    folder = tmp_path / "dataverse"
    folder.mkdir()
    (folder / "HAM10000_metadata.tab").write_bytes(data_set.table("\t"))
    for part in (1, 2):
        with zipfile.ZipFile(folder / f"HAM10000_images_part_{part}.zip", "w") as archive:
            for name, data in data_set.files.items():
                if f"part_{part}" in name:
                    archive.writestr(Path(name).name, data)
    assert contents(local(folder))[1] == expected
    assert not list(folder.rglob("*.jpg"))


def test_segmentations_and_notes_are_no_pictures(data_set, tmp_path: Path) -> None:
    """A mask has the name of its picture with an addition, or another suffix."""
    image_id = "ISIC_0000000"
    data_set.files[f"masks/{image_id}_segmentation.png"] = b"mask"
    data_set.files[f"aaa/{image_id}.png"] = b"mask"
    data_set.files[f"aaa/{image_id}.txt"] = b"note"
    _, found = contents(local(data_set.write_folder(tmp_path)))
    assert found[image_id].startswith(b"\xff\xd8")


def test_linked_folders_are_entered_once(data_set, tmp_path: Path) -> None:
    folder = data_set.write_folder(tmp_path / "data")
    (folder / "HAM10000_images_part_1").rename(tmp_path / "elsewhere")
    (folder / "HAM10000_images_part_1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(folder)
    assert len(contents(local(folder))[1]) == 28


def test_the_path_may_come_from_the_environment(
    data_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAM10000_PATH", str(data_set.write_zip(tmp_path / "data.zip")))
    assert len(contents(SourceConfig(kind="local"))[1]) == 28


def test_a_path_in_the_config_wins_over_the_environment(
    data_set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HAM10000_PATH", "/nowhere")
    assert len(contents(local(data_set.write_folder(tmp_path)))[1]) == 28


@pytest.mark.parametrize("use", [contents, lambda config: source_fingerprint(config, 0)])
def test_a_missing_path_is_an_error_that_names_the_fix(
    use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match=r"neither source\.path nor HAM10000_PATH is set"):
        use(SourceConfig(kind="local"))
    with pytest.raises(SourceError, match=r"source\.path is .*nowhere.* does not exist"):
        use(local(tmp_path / "nowhere"))
    monkeypatch.setenv("HAM10000_PATH", "/nowhere")
    with pytest.raises(SourceError, match="HAM10000_PATH is '/nowhere'"):
        use(SourceConfig(kind="local"))


def test_a_folder_without_metadata_is_an_error_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"1")
    with pytest.raises(SourceError, match=r"holds no HAM10000_metadata\.csv"):
        contents(local(tmp_path))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "is empty"),
        (b"lesion_id,image_id,dx\n", "is empty"),
        (b"image_id,dx\nISIC_1,nv\n", r"lacks the columns \['lesion_id'\]"),
        (b"lesion_id,image_id,dx\na,b,c,d,e\nf,g\nh,i,j,k,l,m\n", "is not a table"),
        (b"\xff\xfe\x00lesion_id", "cannot be read"),
    ],
)
def test_metadata_that_are_no_table_are_an_error(
    tmp_path: Path, table: bytes, message: str
) -> None:
    (tmp_path / "HAM10000_metadata.csv").write_bytes(table)
    with pytest.raises(SourceError, match=message):
        contents(local(tmp_path))


def test_a_missing_picture_is_a_typed_error(data_set, tmp_path: Path) -> None:
    gone = data_set.name_of("ISIC_0000003")
    folder = data_set.write_folder(tmp_path)
    (folder / gone).unlink()
    with open_source(local(folder), IngestConfig(), 0) as source:
        with pytest.raises(MissingImageError, match="ISIC_0000003"):
            source.read("ISIC_0000003")
        (folder / data_set.name_of("ISIC_0000004")).unlink()
        with pytest.raises(MissingImageError, match="is gone"):
            source.read("ISIC_0000004")


def test_a_hostile_zip_is_refused(data_set, tmp_path: Path) -> None:
    data_set.files["../../ISIC_9999999.jpg"] = b"1"
    with pytest.raises(SourceError, match="leads outside"):
        contents(local(data_set.write_zip(tmp_path / "slip.zip")))


# Synthetic


def test_synthetic_pictures_say_that_they_are(tmp_path: Path) -> None:
    source, pictures = contents(SourceConfig(synthetic=SYNTHETIC))
    assert source.terms.synthetic
    assert source.terms.licence == "Apache-2.0"
    assert all(data.startswith(b"\xff\xd8") for data in pictures.values())


def test_a_copy_of_the_synthetic_data_still_says_so(tmp_path: Path) -> None:
    """Drawn pictures never pass for real ones, however they are handed over."""
    path = tmp_path / "copy.zip"
    write_synthetic(path, synthetic_metadata(SYNTHETIC, 0), SYNTHETIC, 0, workers=1)
    assert contents(local(path))[0].terms.synthetic


def draw_to(path: Path) -> Path:
    write_synthetic(path, synthetic_metadata(SYNTHETIC, 0), SYNTHETIC, 0, workers=1)
    return path


def test_an_unpacked_copy_of_the_synthetic_data_still_says_so(tmp_path: Path) -> None:
    zipfile.ZipFile(draw_to(tmp_path / "copy.zip")).extractall(tmp_path / "data" / "nested")
    assert contents(local(tmp_path / "data"))[0].terms.synthetic


@pytest.mark.parametrize(
    ("marker", "found"),
    [
        ("SYNTHETIC.txt", "0 of the 28 .*beside them"),
        ("demo/SYNTHETIC.txt", r"0 of the 28 .*elsewhere \(demo/SYNTHETIC.txt\)"),
    ],
)
@pytest.mark.parametrize("as_zip", [False, True])
def test_a_marker_never_makes_real_pictures_synthetic(
    data_set, tmp_path: Path, marker: str, found: str, as_zip: bool
) -> None:
    data_set.files[marker] = b"drawn"
    target = tmp_path / "data"
    path = data_set.write_zip(target) if as_zip else data_set.write_folder(target)
    with pytest.raises(SourceError, match=f"{found}.*separate folders"):
        contents(local(path))


def test_the_demo_unpacked_over_the_real_data_is_refused(data_set, tmp_path: Path) -> None:
    """Its metadata replace the real ones; a line of these makes it a mixture."""
    folder = data_set.write_folder(tmp_path / "data")
    zipfile.ZipFile(draw_to(tmp_path / "demo.zip")).extractall(folder)
    with (folder / "HAM10000_metadata.csv").open("ab") as table:
        table.write(b"HAM_0000000,nv,histo,45.0,male,back,ISIC_0000000\n")
    with pytest.raises(SourceError, match=r"(\d+) of the (?!\1 )\d+ pictures.*beside them"):
        contents(local(folder))


def test_synthetic_data_without_their_marker_are_refused(tmp_path: Path) -> None:
    zipfile.ZipFile(draw_to(tmp_path / "demo.zip")).extractall(tmp_path / "data")
    (tmp_path / "data" / "SYNTHETIC.txt").unlink()
    with pytest.raises(SourceError, match=r"SYNTHETIC\.txt lies nowhere"):
        contents(local(tmp_path / "data"))


@pytest.mark.parametrize("column", ["image_id", "lesion_id"])
def test_pictures_that_are_not_of_ham10000_are_of_unknown_terms(
    data_set, tmp_path: Path, column: str
) -> None:
    """One foreign id is enough: nobody's pictures are put under a licence not theirs."""
    data_set.rows[5][column] = "clinic-17"
    terms = contents_terms(local(data_set.write_folder(tmp_path)))
    assert (terms.name, terms.licence, terms.synthetic) == ("Unknown data set", "unknown", False)
    assert "ask whoever provided" in terms.citation


def test_a_row_without_ids_says_nothing_about_the_terms(data_set, tmp_path: Path) -> None:
    data_set.rows[5] |= {"image_id": "", "lesion_id": ""}
    assert contents_terms(local(data_set.write_folder(tmp_path))).name == "HAM10000"


def test_nothing_of_the_synthetic_data_stays_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    contents(SourceConfig(synthetic=SYNTHETIC))
    assert list(tmp_path.iterdir()) == []


# A part of the data


def many_lesions() -> pd.DataFrame:
    rows = []
    for lesion in range(400):
        dx = "nv" if lesion % 10 < 7 else "mel" if lesion % 10 < 9 else "df"
        rows += [
            {"lesion_id": f"L{lesion}", "image_id": f"I{lesion}_{view}", "dx": dx}
            for view in range(1 + lesion % 3)
        ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("max_images", [50, 100, 333, 700])
def test_a_part_holds_about_as_many_images_in_proportion(max_images: int) -> None:
    table = many_lesions()
    part = select_lesions(table, max_images, seed=0)
    assert abs(len(part) - max_images) <= 5
    shares = part["dx"].value_counts(normalize=True)
    assert (shares - table["dx"].value_counts(normalize=True)).abs().max() < 0.03


def test_a_part_takes_whole_lesions() -> None:
    table = many_lesions()
    part = select_lesions(table, 100, seed=0)
    sizes = table.groupby("lesion_id").size()
    taken = part.groupby("lesion_id").size()
    assert taken.equals(sizes[taken.index])


def test_a_part_depends_on_the_seed_and_not_on_the_order() -> None:
    table = many_lesions()
    chosen = set(select_lesions(table, 100, seed=0)["image_id"])
    shuffled = table.sample(frac=1, random_state=1)
    assert set(select_lesions(shuffled, 100, seed=0)["image_id"]) == chosen
    assert set(select_lesions(table, 100, seed=1)["image_id"]) != chosen


def test_the_same_part_is_chosen_on_every_machine() -> None:
    chosen = select_lesions(many_lesions(), 50, seed=42)
    fibromas = sorted(chosen.loc[chosen["dx"] == "df", "lesion_id"].unique())
    assert fibromas == ["L219", "L249", "L39", "L69", "L9"]


def test_a_small_part_keeps_every_class() -> None:
    table = pd.DataFrame(
        [{"lesion_id": f"L{i}", "image_id": f"I{i}", "dx": "nv"} for i in range(5000)]
        + [{"lesion_id": "rare", "image_id": f"R{i}", "dx": "df"} for i in range(4)]
    )
    assert set(select_lesions(table, 50, seed=0)["dx"]) == {"nv", "df"}


def test_a_part_of_all_is_all() -> None:
    table = many_lesions()
    assert select_lesions(table, None, 0) is table
    assert select_lesions(table, len(table), 0) is table


def test_parts_of_synthetic_data_are_pictures_of_the_whole() -> None:
    config = SyntheticConfig(lesions_per_class=12, height=32, width=40)
    _, whole = contents(SourceConfig(synthetic=config))
    _, part = contents(SourceConfig(synthetic=config, max_images=50))
    assert 40 <= len(part) <= 60
    assert part.items() <= whole.items()


# Fingerprint


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
