"""Where pictures come from, and which of them are taken."""

import zipfile
from pathlib import Path

import pandas as pd
import pytest

from skin_lesion.data.sources import (
    METADATA_COLUMNS,
    MissingImageError,
    SourceError,
    open_source,
    select_lesions,
    source_fingerprint,
)
from skin_lesion.settings import IngestConfig, SourceConfig, SyntheticConfig
from tests.unit.data.conftest import contents, local


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
