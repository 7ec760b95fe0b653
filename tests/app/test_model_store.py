"""The store follows the alias, and nothing that goes wrong with a new version reaches who asks."""

import gc
import json
import shutil
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.model_store import ModelStore, NotReadyError
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import RegisteredVersion
from skin_lesion.registry.answers import known_answer
from skin_lesion.settings import ModelStoreConfig
from tests.app.conftest import Alias, Registry, wait_for


@pytest.fixture
def store(registry: Registry, tmp_path: Path) -> Iterator[ModelStore]:
    """On the registry, with version 1 in production."""
    registry.promote(1)
    yield ModelStore(ModelStoreConfig(cache=str(tmp_path / "cache"), retry_seconds=0.0))
    registry.promote(1)


@pytest.fixture
def own_store(alias: Alias, tmp_path: Path) -> ModelStore:
    config = ModelStoreConfig(cache=str(tmp_path / "cache"), retry_seconds=3600.0)
    return ModelStore(config, look=alias.look, fetch=alias.fetch)


def test_nothing_is_served_before_the_first_look(store: ModelStore) -> None:
    with pytest.raises(NotReadyError, match="has not answered yet"):
        store.current()


def test_what_the_alias_points_to_is_served(store: ModelStore, registry: Registry) -> None:
    assert store.refresh().problem is None
    served = store.current()
    assert served.version.version == 1
    assert served.predictor.versions.bundle == registry.bundles[1].bundle_hash
    assert served.predictor.versions.model == "1"
    assert served.contract == registry.bundles[1].contract


def test_a_promotion_takes_over_and_who_began_before_ends_with_the_old_model(
    store: ModelStore, registry: Registry, pictures: list[bytes]
) -> None:
    store.refresh()
    began_with = store.current()
    before = began_with.predictor.predict(pictures)
    registry.promote(2)
    store.refresh()
    assert store.current().version.version == 2
    assert store.current().predictor.predict(pictures) != before
    assert began_with.predictor.predict(pictures) == before


def test_the_old_model_is_freed_once_nobody_uses_it(store: ModelStore, registry: Registry) -> None:
    store.refresh()
    old = weakref.ref(store.current().predictor)
    registry.promote(2)
    store.refresh()
    gc.collect()
    assert old() is None


def test_a_model_that_was_withdrawn_answers_no_more(store: ModelStore, registry: Registry) -> None:
    store.refresh()
    registry.promote(None)
    assert "skin-lesion promote" in str(store.refresh().problem)
    with pytest.raises(NotReadyError, match="no version is in production"):
        store.current()


def test_without_any_registered_model_the_problem_says_what_to_run(own_store, alias) -> None:
    alias.version = None
    assert "skin-lesion promote VERSION" in own_store.refresh().problem


def test_an_unchanged_alias_fetches_and_loads_nothing_anew(own_store, alias) -> None:
    own_store.refresh()
    first = own_store.current()
    own_store.refresh()
    assert own_store.current() is first
    assert alias.fetched == [1]


def test_a_registry_that_is_down_leaves_the_old_model_serving_and_is_told(own_store, alias) -> None:
    own_store.refresh()
    looked_at = own_store.state().looked_at
    alias.look_fails = ConnectionError("host db.hospital.example has gone")
    state = own_store.refresh()
    assert own_store.current().version.version == 1
    assert "registry cannot be reached; version 1 goes on serving" in state.problem
    assert "hospital" not in state.problem
    assert state.looked_at == looked_at
    alias.look_fails = None
    assert own_store.refresh().problem is None


def test_a_registry_that_keeps_silent_counts_as_out_of_reach(alias, tmp_path: Path) -> None:
    config = ModelStoreConfig(cache=str(tmp_path), poll_seconds=0.01, silent_seconds=0.1)
    answers = threading.Event()
    silent = threading.Event()

    def look() -> RegisteredVersion | None:
        if silent.is_set():
            answers.wait(60)
        return alias.look()

    store = ModelStore(config, look=look, fetch=alias.fetch).start()
    try:
        wait_for(lambda: store.state().served is not None)
        silent.set()
        wait_for(lambda: "cannot be reached" in str(store.state().problem))
        assert store.current().version.version == 1
        answers.set()
        wait_for(lambda: store.state().problem is None)
    finally:
        answers.set()
        store.stop()


def test_a_registry_that_was_never_there_is_told_and_asked_again(own_store, alias) -> None:
    alias.look_fails = ConnectionError("nobody there")
    own_store.refresh()
    with pytest.raises(NotReadyError, match="registry cannot be reached"):
        own_store.current()
    alias.look_fails = None
    own_store.refresh()
    assert own_store.current().version.version == 1


def flip_a_weight(bundle: Path) -> None:
    weights = bundle / "serving" / "model.bin"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0xFF
    weights.write_bytes(data)


def newer_contract(bundle: Path) -> None:
    contract = bundle / "contract.json"
    contract.write_text(
        contract.read_text().replace('"contract_version": 1', '"contract_version": 9')
    )


def no_network(_: Path) -> None:
    raise ConnectionResetError("s3.hospital.example hung up")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (flip_a_weight, "not those that were registered"),
        (newer_contract, "needs a newer version of this software"),
        (no_network, "could not be fetched"),
    ],
)
def test_a_new_version_that_is_broken_is_refused_and_the_old_one_goes_on(
    own_store, alias, bundles, tmp_path: Path, spoil, reason: str
) -> None:
    own_store.refresh()
    first = own_store.current()
    alias.spoil = spoil
    alias.point_to(2, bundles[2])
    state = own_store.refresh()
    assert own_store.current() is first
    assert state.refusal.version == 2
    assert reason in state.problem
    assert "version 1 goes on serving" in state.problem
    assert str(tmp_path) not in state.problem
    assert "hospital" not in state.problem
    kept = [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert kept == [bundles[1].bundle_hash]


def test_a_version_without_a_recorded_checksum_is_refused(own_store, alias, bundles) -> None:
    alias.point_to(2, bundles[2], bundle_hash="../../etc")
    assert "not those that were registered" in own_store.refresh().problem
    assert alias.fetched == []


def test_a_model_whose_files_are_right_but_whose_network_is_not_is_refused(
    own_store, alias, bundles, tmp_path: Path
) -> None:
    own_store.refresh()
    broken = tmp_path / "broken"
    shutil.copytree(bundles[2].path, broken)
    (broken / "serving" / "model.xml").write_text("<net/>")
    alias.point_to(2, ModelBundle.open(broken))
    assert "it could not be loaded" in own_store.refresh().problem
    assert own_store.current().version.version == 1


def test_a_model_that_answers_otherwise_than_on_the_day_it_was_registered_is_refused(
    own_store, alias, bundles
) -> None:
    own_store.refresh()
    alias.point_to(2, bundles[2])
    recorded = {**known_answer(bundles[2]), "mel": 123.0}
    tags = {"known_answer": json.dumps(recorded)}
    alias.version = alias.version.model_copy(update={"tags": tags})
    assert "it failed its first trial" in own_store.refresh().problem
    assert own_store.current().version.version == 1


def test_a_refused_version_is_not_tried_at_every_look_but_after_a_while(
    alias, bundles, tmp_path: Path
) -> None:
    config = ModelStoreConfig(cache=str(tmp_path / "cache"), retry_seconds=0.2)
    store = ModelStore(config, look=alias.look, fetch=alias.fetch)
    alias.spoil = no_network
    store.refresh()
    store.refresh()
    assert alias.fetched == [1]
    alias.spoil = lambda _: None
    time.sleep(0.25)
    assert store.refresh().problem is None
    assert alias.fetched == [1, 1]


def test_an_alias_that_moves_back_clears_the_refusal(own_store, alias, bundles) -> None:
    own_store.refresh()
    alias.spoil = no_network
    alias.point_to(2, bundles[2])
    own_store.refresh()
    alias.point_to(1, bundles[1])
    assert own_store.refresh().problem is None


def test_the_thread_follows_the_alias_until_it_is_stopped(
    registry: Registry, tmp_path: Path
) -> None:
    registry.promote(1)
    store = ModelStore(ModelStoreConfig(cache=str(tmp_path), poll_seconds=0.05)).start()
    try:
        wait_for(lambda: store.state().served is not None)
        registry.promote(2)
        wait_for(lambda: store.current().version.version == 2)
    finally:
        store.stop()
        registry.promote(1)
    assert not [thread for thread in threading.enumerate() if thread.name == "model-store"]


def test_readers_never_see_a_half_loaded_model(own_store, alias, bundles, pictures) -> None:
    own_store.refresh()
    answers = {1: own_store.current().predictor.predict(pictures[:1])}
    wrong: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            served = own_store.current()
            answer = served.predictor.predict(pictures[:1])
            expected = answers.get(served.version.version)
            if expected is not None and answer != expected:
                wrong.append(answer)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(6):
        version = 2 - turn % 2
        alias.point_to(version, bundles[version])
        own_store.refresh()
        answers.setdefault(version, own_store.current().predictor.predict(pictures[:1]))
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert answers[1] != answers[2]


def test_a_folder_of_its_own_is_removed_in_the_end(alias) -> None:
    store = ModelStore(look=alias.look, fetch=alias.fetch)
    store.refresh()
    folder = store._cache.folder
    assert folder.is_dir()
    store.stop()
    assert not folder.exists()
