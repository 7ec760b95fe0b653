"""Under which terms pictures stand: drawn ones never pass for real ones."""

import zipfile
from pathlib import Path

import pytest

from skin_lesion.data.sources import SourceError, open_source
from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
from skin_lesion.data.terms import Terms
from skin_lesion.settings import IngestConfig, SourceConfig
from tests.unit.data.conftest import SYNTHETIC, contents, local


def contents_terms(config: SourceConfig) -> Terms:
    with open_source(config, IngestConfig(), 0) as source:
        return source.terms


def test_terms_say_where_the_pictures_come_from(data_set, tmp_path: Path) -> None:
    source, _ = contents(local(data_set.write_folder(tmp_path)))
    assert source.kind == "local"
    assert source.terms.licence == "CC-BY-NC-4.0"
    assert not source.terms.synthetic


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
