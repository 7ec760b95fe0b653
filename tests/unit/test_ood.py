import zipfile

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp
from scipy.special import softmax as reference_softmax
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from skin_lesion.ood import SCORES, OodReference, fit_reference, score

TRAIN, PICTURES, CHANNELS = 300, 40, 24


@pytest.fixture(scope="module")
def train() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 7, TRAIN)
    mixing = random.normal(0, 1, (CHANNELS, CHANNELS))
    centres = random.normal(0, 3, (7, CHANNELS))
    features = centres[truth] + random.normal(0, 1, (TRAIN, CHANNELS)) @ mixing
    return features.astype(np.float32), truth


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    logits = random.normal(0, 4, (PICTURES, 7)).astype(np.float32)
    return logits, random.normal(0, 3, (PICTURES, CHANNELS)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(train) -> OodReference:
    return fit_reference(*train, bank_size=10_000, seed=0)


def test_energy_is_minus_scipys_logsumexp(seen) -> None:
    expected = -logsumexp(seen[0].astype(np.float64), axis=1)
    assert score("energy", *seen, None, 1) == pytest.approx(expected, abs=1e-5)


def test_energy_of_huge_logits_stays_finite() -> None:
    logits = np.array([[1e4, 0, 0, 0, 0, 0, 0], [-1e4] * 7], np.float32)
    found = score("energy", logits, np.zeros((2, 1), np.float32), None, 1)
    assert found == pytest.approx([-1e4, 1e4 - np.log(7)])


def test_max_softmax_is_one_minus_scipys_top_softmax(seen) -> None:
    expected = 1 - reference_softmax(seen[0].astype(np.float64), axis=1).max(axis=1)
    assert score("max_softmax", *seen, None, 1) == pytest.approx(expected, abs=1e-9)


def test_mahalanobis_is_scipys_to_the_nearest_class_mean(train, seen, reference) -> None:
    features, truth = train
    means = np.stack([features[truth == k].mean(axis=0, dtype=np.float64) for k in range(7)])
    # Each class contributes alike to the covariance.
    weights = TRAIN / 7 / np.bincount(truth)[truth]
    centred = (features - means[truth]) * np.sqrt(weights)[:, None]
    precision = LedoitWolf(assume_centered=True).fit(centred).precision_
    expected = [min(mahalanobis(row, mean, precision) for mean in means) for row in seen[1]]
    assert score("mahalanobis", *seen, reference, 1) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("neighbours", [1, 10, TRAIN])
def test_knn_is_scikit_learns_distance_of_that_rank(train, seen, reference, neighbours) -> None:
    index = NearestNeighbors(n_neighbors=neighbours).fit(normalize(train[0]))
    expected = index.kneighbors(normalize(seen[1]))[0][:, -1]
    # The bank has the precision of float16.
    assert score("knn", *seen, reference, neighbours) == pytest.approx(expected, abs=1e-3)


def test_more_neighbours_than_pictures_means_the_furthest_one(seen, reference) -> None:
    all_of_them = score("knn", *seen, reference, TRAIN)
    assert np.array_equal(score("knn", *seen, reference, TRAIN + 50), all_of_them)


@pytest.mark.parametrize("kind", SCORES)
def test_a_picture_far_from_everything_scores_higher(train, reference, kind) -> None:
    features = np.stack([train[0][0], -40 * train[0].mean(axis=0)])
    logits = np.array([[9, 0, 0, 0, 0, 0, 0], [0.1] * 7], np.float32)
    near, far = score(kind, logits, features, reference, 5)
    assert far > near


@pytest.mark.parametrize("kind", SCORES)
def test_a_picture_scores_the_same_alone_and_among_others(seen, reference, kind) -> None:
    together = score(kind, *seen, reference, 5)
    alone = [score(kind, seen[0][[i]], seen[1][[i]], reference, 5)[0] for i in range(PICTURES)]
    assert together == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert score(kind, seen[0][:0], seen[1][:0], reference, 5).shape == (0,)


def test_blocks_change_nothing(train, reference) -> None:
    many = np.tile(train[0], (5, 1))
    logits = np.zeros((len(many), 7), np.float32)
    for kind in ("mahalanobis", "knn"):
        found = score(kind, logits, many, reference, 5).reshape(5, TRAIN)
        assert found == pytest.approx(np.tile(found[0], (5, 1)), rel=1e-3, abs=1e-3)


def test_a_saved_reference_gives_the_same_scores_and_the_same_bytes(
    tmp_path, seen, reference
) -> None:
    reference.save(tmp_path / "ood.npz")
    reference.save(tmp_path / "again.npz")
    assert (tmp_path / "ood.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "ood.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    loaded = OodReference.load(tmp_path / "ood.npz")
    for kind in SCORES:
        assert score(kind, *seen, loaded, 7) == pytest.approx(
            score(kind, *seen, reference, 7), abs=1e-3
        )


def test_a_loaded_reference_saves_to_the_same_bytes(tmp_path, reference) -> None:
    reference.save(tmp_path / "first.npz")
    OodReference.load(tmp_path / "first.npz").save(tmp_path / "second.npz")
    assert (tmp_path / "first.npz").read_bytes() == (tmp_path / "second.npz").read_bytes()


def test_only_what_a_score_needs_is_kept(tmp_path, seen, reference) -> None:
    for kind in ("energy", "max_softmax"):
        assert reference.only(kind) == OodReference(centroids=reference.centroids)
    for kind in ("mahalanobis", "knn"):
        kept = reference.only(kind)
        kept.save(tmp_path / kind)
        assert np.array_equal(OodReference.load(tmp_path / kind).centroids, reference.centroids)
        loaded = OodReference.load(tmp_path / kind)
        assert loaded.scores == ("energy", "max_softmax", kind)
        assert np.isfinite(score(kind, *seen, loaded, 3)).all()
    assert reference.scores == SCORES


def test_the_distance_in_the_features_is_scikit_learns_cosine_distance(train, seen, reference):
    from sklearn.metrics.pairwise import cosine_distances

    features, truth = train
    unit = normalize(features.astype(np.float64))
    means = np.stack([unit[truth == k].mean(axis=0) for k in range(7)])
    expected = cosine_distances(seen[1], means).min(axis=1)
    assert reference.embedding_distances(seen[1]) == pytest.approx(expected, abs=1e-5)
    # Training pictures lie nearer than random ones.
    assert reference.embedding_distances(features).mean() < expected.mean()
    assert OodReference(bank=reference.bank).embedding_distances(seen[1]) is None


@pytest.mark.parametrize("kind", ["mahalanobis", "knn"])
def test_a_score_without_its_reference_is_an_error(seen, reference, kind) -> None:
    other = "knn" if kind == "mahalanobis" else "mahalanobis"
    for lacking in (None, reference.only(other)):
        with pytest.raises(ValueError, match="needs the training pictures"):
            score(kind, *seen, lacking, 3)


def test_a_class_is_not_further_off_for_being_rare(seen) -> None:
    random = np.random.default_rng(5)
    truth = np.repeat([0, 1], 150)
    features = random.normal(0, 1, (300, CHANNELS)).astype(np.float32)
    features[truth == 1, :4] *= 6
    common = np.concatenate([np.repeat(np.arange(150), 6), np.arange(150, 300)])
    even, uneven = (
        score(
            "mahalanobis", *seen, fit_reference(features[rows], truth[rows], bank_size=9, seed=0), 1
        )
        for rows in (np.arange(300), common)
    )
    assert uneven == pytest.approx(even, rel=0.03)


def test_classes_without_training_pictures_have_no_mean(train) -> None:
    features, truth = train
    some = np.isin(truth, (1, 4))
    found = fit_reference(features[some], truth[some], bank_size=10, seed=0)
    assert found.means.shape == (2, CHANNELS)


def test_features_that_never_vary_do_no_harm(train, seen) -> None:
    features, pictures = train[0].copy(), seen[1].copy()
    features[:, :3] = pictures[:, :3] = 0
    found = fit_reference(features, train[1], bank_size=10_000, seed=0)
    assert np.isfinite(score("mahalanobis", seen[0], pictures, found, 3)).all()
    dead = score("knn", seen[0][:1], np.zeros((1, CHANNELS), np.float32), found, 3)
    assert dead == pytest.approx([np.sqrt(2)])


def test_a_large_bank_is_drawn_from_by_the_seed(train) -> None:
    whole = fit_reference(*train, bank_size=TRAIN, seed=0).bank
    drawn = fit_reference(*train, bank_size=50, seed=3).bank
    assert drawn.shape == (50, CHANNELS)
    assert {row.tobytes() for row in drawn} <= {row.tobytes() for row in whole}
    assert np.array_equal(drawn, fit_reference(*train, bank_size=50, seed=3).bank)
    assert not np.array_equal(drawn, fit_reference(*train, bank_size=50, seed=4).bank)


def test_what_cannot_be_fitted_or_read_is_named(tmp_path, train) -> None:
    with pytest.raises(ValueError, match="at least two training pictures"):
        fit_reference(train[0][:1], train[1][:1], bank_size=5, seed=0)
    with pytest.raises(ValueError, match="not finite"):
        fit_reference(np.full((5, 2), np.nan, np.float32), np.zeros(5, int), bank_size=5, seed=0)
    np.savez(tmp_path / "foreign.npz", precision=np.eye(2))
    with pytest.raises(ValueError, match="precision"):
        OodReference.load(tmp_path / "foreign.npz")
    np.savez(tmp_path / "half.npz", means=np.eye(2))
    with pytest.raises(ValueError, match="need each other"):
        OodReference.load(tmp_path / "half.npz")


@pytest.mark.parametrize("kind", ["mahalanobis", "knn"])
def test_a_few_pictures_score_as_many_do(kind):
    """The two are multiplied in different ways."""
    dice = np.random.default_rng(5)
    features = dice.random((300, 24), dtype=np.float32)
    reference = fit_reference(features, np.arange(300) % 7, bank_size=200, seed=1)
    logits = np.zeros((60, 7), np.float32)
    many = score(kind, logits, features[:60], reference, 10)
    few = [
        score(kind, logits[i : i + 3], features[i : i + 3], reference, 10) for i in range(0, 60, 3)
    ]
    np.testing.assert_allclose(np.concatenate(few), many, rtol=1e-4)
