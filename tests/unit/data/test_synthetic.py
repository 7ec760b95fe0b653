"""The embedded data set."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.data.duplicates import find_duplicates
from skin_lesion.data.ingest import IngestResult, ingest
from skin_lesion.data.synthetic import draw_lesion, synthetic_metadata, write_synthetic
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig, SourceConfig, SplitConfig, SyntheticConfig

SMALL = SyntheticConfig(lesions_per_class=4, height=48, width=64)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> IngestResult:
    config = SourceConfig(synthetic=SyntheticConfig(lesions_per_class=24, height=90, width=120))
    folder = tmp_path_factory.mktemp("drawn")
    return ingest(config, (60, 80), IngestConfig(), 7, folder)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    metadata = synthetic_metadata(SMALL, 1)
    for name, workers in (("a", 1), ("b", 2)):
        write_synthetic(tmp_path / name, metadata, SMALL, 1, workers)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_seed_gives_other_lesions_and_patients() -> None:
    assert not synthetic_metadata(SMALL, 1).equals(synthetic_metadata(SMALL, 2))
    (a,), (b,) = (draw_lesion("nv", 5, [0], SMALL, seed) for seed in (1, 2))
    assert np.abs(a.astype(int) - b).mean() > 3


# Mean of red, green and blue of lesions 0 to 6, seed 0. Rounding differences between processors
# are a millionth of this tolerance; another stream of random numbers is far beyond it.
GOLDEN = np.array(
    [
        [176.73, 142.07, 133.62],
        [188.55, 132.51, 125.31],
        [149.76, 109.24, 93.82],
        [195.16, 159.52, 140.88],
        [133.17, 108.42, 86.08],
        [163.74, 135.33, 128.03],
        [189.33, 151.02, 132.77],
    ]
)


def test_the_same_pictures_are_drawn_on_every_machine() -> None:
    means = [
        draw_lesion(label, lesion, [0], SMALL, 0)[0].mean(axis=(0, 1))
        for lesion, label in enumerate(LABELS)
    ]
    np.testing.assert_allclose(np.array(means), GOLDEN, atol=0.02)


def test_a_lesion_does_not_depend_on_how_many_are_drawn() -> None:
    few = synthetic_metadata(SMALL, 0)
    many = synthetic_metadata(SMALL.model_copy(update={"lesions_per_class": 9}), 0)
    pd.testing.assert_frame_equal(many.iloc[: len(few)], few)


def test_the_default_has_enough_lesions_and_some_with_several_pictures() -> None:
    metadata = synthetic_metadata(SyntheticConfig(), 0)
    lesions = metadata.groupby("dx")["lesion_id"].nunique()
    assert set(lesions.index) == set(LABELS)
    assert (lesions == 110).all()
    assert 1000 <= len(metadata) <= 1200
    assert metadata["image_id"].is_unique
    assert metadata.groupby("lesion_id")["dx"].nunique().eq(1).all()
    assert set(metadata.groupby("lesion_id").size()) == {1, 2}


def test_the_patients_are_those_of_ham10000() -> None:
    metadata = synthetic_metadata(SyntheticConfig(), 0)
    age = pd.to_numeric(metadata["age"])
    assert age.dropna().between(5, 85).all()
    assert (age.dropna() % 5 == 0).all()
    assert 0 < age.isna().mean() < 0.03
    assert set(metadata["sex"]) == {"male", "female", "unknown"}
    assert set(metadata["dx_type"]) == {"histo", "follow_up", "consensus", "confocal"}
    mean_age = age.groupby(metadata["dx"]).mean()
    assert mean_age["nv"] < mean_age["mel"] < mean_age["akiec"]


def test_the_zip_has_the_kaggle_layout_and_says_that_it_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    metadata = synthetic_metadata(SMALL, 0)
    write_synthetic(path, metadata, SMALL, 0, workers=1)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert {"HAM10000_metadata.csv", "SYNTHETIC.txt"} <= set(names)
        pictures = [name for name in names if name.endswith(".jpg")]
        assert len(pictures) == len(metadata)
        with Image.open(io.BytesIO(archive.read(pictures[0]))) as picture:
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (64, 48), "RGB")


def test_views_show_one_lesion_in_different_ways() -> None:
    a, b = draw_lesion("mel", 4, [0, 1], SyntheticConfig(), 0)
    assert a.shape == b.shape == (150, 200, 3)
    assert np.abs(a.astype(int) - b).mean() > 5


def test_nothing_drawn_is_put_aside_or_oddly_exposed(drawn: IngestResult) -> None:
    assert len(drawn.manifest.quarantine) == 0
    assert drawn.manifest.images["brightness"].between(30, 245).mean() > 0.99
    assert (drawn.manifest.images["contrast"] > 6).all()


def test_no_two_lesions_are_near_duplicates(drawn: IngestResult) -> None:
    duplicates = find_duplicates(drawn.manifest, drawn.images, SplitConfig())
    assert len(duplicates.pairs) == 0


def test_the_seven_kinds_can_be_told_apart(drawn: IngestResult) -> None:
    """Even by a linear classifier on coarse colours, far above one in seven."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels = drawn.images.open().astype(np.float64)
    middle = pixels[:, 12:48, 16:64].reshape(len(pixels), 6, 6, 6, 8, 3)
    features = np.concatenate(
        [
            np.sort(middle.mean(axis=(2, 4)).reshape(len(pixels), -1, 3), axis=1).reshape(
                len(pixels), -1
            ),
            np.sort(middle.std(axis=(2, 4)).reshape(len(pixels), -1, 3), axis=1).reshape(
                len(pixels), -1
            ),
        ],
        axis=1,
    )
    labels = drawn.manifest.images["dx"].to_numpy()
    lesion = drawn.manifest.images["lesion_id"].str.removeprefix("SYN_").astype(int) // 7
    test = (lesion % 3 == 0).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, C=0.05))
    accuracy = model.fit(features[~test], labels[~test]).score(features[test], labels[test])
    assert accuracy > 0.6


def test_lesions_of_one_kind_differ_from_each_other(drawn: IngestResult) -> None:
    """Not one stamp for each class: brightness and colour spread within it."""
    colours = drawn.images.open()[:, 20:40, 27:53].mean(axis=(1, 2))
    spread = pd.DataFrame(colours).groupby(drawn.manifest.images["dx"].to_numpy()).std()
    assert (spread > 8).all(axis=None)
