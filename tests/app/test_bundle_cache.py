"""Bundles on this machine: whole, the right ones, and no more of them than needed."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from app.bundle_cache import BundleCache, DamagedBundleError
from skin_lesion.modeling.bundle import ModelBundle


class Shop:
    """Hands out copies of a bundle and counts them."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.bundle = bundle
        self.sold = 0

    def __call__(self, folder: Path) -> ModelBundle:
        self.sold += 1
        return ModelBundle(shutil.copytree(self.bundle.path, folder / "b"), self.bundle.contract)


@pytest.fixture
def shops(bundles: dict[int, ModelBundle]) -> dict[str, Shop]:
    return {bundle.bundle_hash: Shop(bundle) for bundle in bundles.values()}


@pytest.fixture
def wanted(bundles: dict[int, ModelBundle]) -> str:
    return bundles[1].bundle_hash


@pytest.fixture
def cache(tmp_path: Path) -> BundleCache:
    return BundleCache(tmp_path / "cache", keep=1)


def folders(cache: BundleCache) -> set[str]:
    return {path.name for path in cache.folder.iterdir() if path.is_dir()}


def test_a_bundle_is_fetched_once(cache, shops, wanted: str) -> None:
    for _ in range(2):
        with cache.bundle(wanted, shops[wanted]) as bundle:
            assert bundle.bundle_hash == wanted
            assert bundle.path == cache.folder / wanted
    assert shops[wanted].sold == 1


def test_a_bundle_that_was_damaged_here_is_fetched_anew(cache, shops, wanted: str) -> None:
    for spoil in (
        lambda place: (place / "serving" / "model.bin").write_bytes(b"x"),
        lambda place: (place / "contract.json").unlink(),
        lambda place: (place / "contract.json").write_text("{"),
    ):
        with cache.bundle(wanted, shops[wanted]) as bundle:
            spoil(bundle.path)
        with cache.bundle(wanted, shops[wanted]) as bundle:
            assert bundle.bundle_hash == wanted


def test_another_bundle_than_the_registered_one_is_refused_and_not_kept(
    cache, bundles, wanted
) -> None:
    wrong = Shop(bundles[2])
    with pytest.raises(DamagedBundleError, match=wanted), cache.bundle(wanted, wrong):
        pytest.fail("it was handed out")
    assert folders(cache) == set()


@pytest.mark.parametrize("name", ["", "..", "../" * 3, "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_hash_that_is_none_never_becomes_a_path(cache, name: str) -> None:
    def never(_: Path) -> ModelBundle:
        pytest.fail("it was fetched")

    with pytest.raises(DamagedBundleError, match="64 hexadecimal"), cache.bundle(name, never):
        pass


def test_what_a_failed_or_killed_fetch_left_is_never_used(cache, shops, wanted: str) -> None:
    def fails_half_way(folder: Path) -> ModelBundle:
        (folder / "half").write_text("half")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError), cache.bundle(wanted, fails_half_way):
        pass
    assert folders(cache) == set()
    left = cache.folder / f"{wanted}.partial"  # as a killed process leaves it
    left.mkdir()
    (left / "half").write_text("half")
    with cache.bundle(wanted, shops[wanted]) as bundle:
        assert bundle.bundle_hash == wanted
    assert folders(cache) == {wanted}


def test_only_the_bundles_used_last_are_kept_and_always_the_one_that_serves(
    cache, shops, bundles
) -> None:
    first, second = (bundles[version].bundle_hash for version in (1, 2))
    for wanted in (first, second):
        with cache.bundle(wanted, shops[wanted]):
            pass
    os.utime(cache.folder / first, (1, 1))
    cache.sweep(first)
    assert folders(cache) == {first}


def test_what_a_killed_fetch_of_another_bundle_left_is_removed_but_no_fetch_under_way(
    cache, shops, bundles
) -> None:
    first, second = (bundles[version].bundle_hash for version in (1, 2))
    with cache.bundle(first, shops[first]):
        pass
    (cache.folder / f"{'0' * 64}.partial").mkdir()

    def fetch(folder: Path) -> ModelBundle:
        cache.sweep(first)  # by another process
        assert folder.is_dir()
        return shops[second](folder)

    with BundleCache(cache.folder, keep=1).bundle(second, fetch):
        pass
    assert folders(cache) == {first, second}


def test_a_bundle_that_is_being_loaded_elsewhere_is_not_removed(cache, shops, bundles) -> None:
    first, second = (bundles[version].bundle_hash for version in (1, 2))
    with cache.bundle(second, shops[second]):
        pass
    with BundleCache(cache.folder, keep=1).bundle(first, shops[first]):
        cache.sweep(second)
        assert folders(cache) == {first, second}
    cache.sweep(second)
    assert folders(cache) == {second}


def test_many_who_want_the_same_bundle_at_once_fetch_it_once(cache, shops, wanted: str) -> None:
    found: list[str] = []

    def want() -> None:
        with BundleCache(cache.folder, keep=1).bundle(wanted, shops[wanted]) as bundle:
            found.append(bundle.bundle_hash)

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 6
    assert shops[wanted].sold == 1


def test_a_folder_that_was_named_outlives_the_cache(cache, shops, wanted: str) -> None:
    with cache.bundle(wanted, shops[wanted]):
        pass
    cache.close()
    assert folders(cache) == {wanted}
