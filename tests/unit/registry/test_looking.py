"""What the registry does on test pictures is in the ledger, and the ledger is held against it."""

from pathlib import Path

import mlflow
import pytest

from pipelines.cli import main
from skin_lesion.data.looking import Look, Purpose
from skin_lesion.ledger import URL_VARIABLE, LedgerError, LookLedger
from skin_lesion.registry import MODEL_NAME, RefusedError, find_version, promote, verify
from skin_lesion.registry.comparing import compare_versions
from skin_lesion.registry.looking import check_looks
from skin_lesion.registry.measurements import looked_at
from skin_lesion.settings import RegistryConfig
from tests.unit.registry.conftest import ALSO_GOOD, GOOD, WORSE

QUICK = RegistryConfig(resamples=200)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LookLedger:
    """The environment's."""
    url = f"sqlite:///{tmp_path / 'looks.db'}"
    monkeypatch.setenv(URL_VARIABLE, url)
    return LookLedger.open(url)


@pytest.fixture
def noted(registry: mlflow.MlflowClient, ledger: LookLedger, small_world) -> None:
    """Two versions with the looks that they were measured by, and two from before."""
    for number in (GOOD, WORSE):
        note = ledger.record(look_of(number, small_world))
        registry.set_model_version_tag(MODEL_NAME, str(number), "test_look", note.head)
        registry.set_model_version_tag(
            MODEL_NAME, str(number), "test_looks_before", str(note.before)
        )
    for number in {1, 2, 3, 4} - {GOOD, WORSE}:
        for tag in ("test_look", "test_looks_before"):
            registry.delete_model_version_tag(MODEL_NAME, str(number), tag)


def look_of(number: int, small_world) -> Look:
    return Look(
        "pictures", Purpose("evaluate", "figures"), looked_at(find_version(number)), None,
        small_world.split.split_hash, "7" * 64, len(small_world.test_rows),
    )  # fmt: skip


def test_a_comparison_is_one_look_at_both(
    registry: mlflow.MlflowClient, ledger: LookLedger, small_world
) -> None:
    compare_versions(GOOD, WORSE, config=QUICK, user="ada")
    (row,) = ledger.rows()
    assert (row.tool, row.kind, row.user, row.model) == ("compare", "answers", "ada", "version 1")
    assert row.bundle_hash == find_version(GOOD).bundle_hash
    assert row.against_hash == find_version(WORSE).bundle_hash
    assert (row.split_hash, row.images) == (
        small_world.split.split_hash, len(small_world.test_rows),
    )  # fmt: skip


def test_without_a_ledger_nothing_is_compared(registry: mlflow.MlflowClient, monkeypatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "postgresql://ada:secret@127.0.0.1:1/skin")
    with pytest.raises(LedgerError, match="cannot be read"):
        compare_versions(GOOD, WORSE, config=QUICK)


def test_verifying_is_a_look_and_showing_the_pictures_again_another(
    registry: mlflow.MlflowClient, ledger: LookLedger, small_world
) -> None:
    verify(GOOD)
    assert [row.kind for row in ledger.rows()] == ["answers"]
    verify(GOOD, pictures=(small_world.images, small_world.split), user="ada")
    assert [row.kind for row in ledger.rows()] == ["answers", "answers", "pictures"]
    assert len({(row.test_hash, row.split_hash, row.images) for row in ledger.rows()}) == 1


def test_pictures_that_are_refused_are_no_look(
    registry: mlflow.MlflowClient, ledger: LookLedger, small_world
) -> None:
    registry.set_model_version_tag(MODEL_NAME, str(GOOD), "split_hash", "f" * 64)
    with pytest.raises(ValueError, match="was tested on split ffff"):
        verify(GOOD, pictures=(small_world.images, small_world.split))
    assert ledger.head().rows == 0


def test_a_promotion_looks_only_where_it_compares_anew(
    registry: mlflow.MlflowClient, ledger: LookLedger
) -> None:
    """Limits that were held against recorded figures show nothing new."""
    promote(GOOD, user="ada", reason="")
    assert ledger.head().rows == 0
    with pytest.raises(RefusedError):
        promote(WORSE, user="grace", reason="")
    (row,) = ledger.rows()
    assert (row.tool, row.user) == ("promote", "grace")
    assert row.bundle_hash == find_version(WORSE).bundle_hash
    assert row.against_hash == find_version(GOOD).bundle_hash


def test_versions_carry_the_head_of_the_ledger_and_the_count(
    registry: mlflow.MlflowClient, small_report
) -> None:
    tags = find_version(GOOD).tags
    assert tags["test_look"] == small_report.summary.looks.head
    assert tags["test_looks_before"] == "0"
    run = registry.get_run(find_version(GOOD).run_id)
    assert run.data.tags["test_look"] == small_report.summary.looks.head


def test_a_ledger_that_holds_what_the_registry_noted_is_confirmed(
    noted, ledger: LookLedger, capsys
) -> None:
    found = {look.version: look for look in check_looks(ledger)}
    assert not any(look.fault for look in found.values())
    assert (found[GOOD].row, found[GOOD].before) == (1, 0)
    assert (found[WORSE].row, found[WORSE].before) == (2, 1)
    assert found[ALSO_GOOD].row is None
    assert main(["ledger", "verify"]) == 0
    told = capsys.readouterr().out
    assert f"version {WORSE}: row 2 named this very bundle" in told
    assert "after 1 earlier look" in told
    assert f"version {ALSO_GOOD}: was measured before a ledger was kept" in told


def test_a_ledger_that_was_begun_anew_is_found_by_the_registry(
    noted, tmp_path: Path, monkeypatch, small_world, capsys
) -> None:
    """Its own chain is sound: only what was noted elsewhere tells."""
    url = f"sqlite:///{tmp_path / 'anew.db'}"
    monkeypatch.setenv(URL_VARIABLE, url)
    other = LookLedger.open(url)
    other.record(look_of(WORSE, small_world))
    assert other.verify().sound
    assert main(["ledger", "verify"]) == 1
    told = capsys.readouterr().out
    assert f"version {GOOD}: row 1 of the ledger is not the one that is noted with it" in told
    assert f"version {WORSE}: row 2 is noted with it, and the ledger has none" in told
    assert main(["ledger", "verify", "--no-registry"]) == 0


def test_the_look_of_another_model_is_no_evidence(
    noted, registry: mlflow.MlflowClient, ledger: LookLedger
) -> None:
    head = find_version(GOOD).tags["test_look"]
    registry.set_model_version_tag(MODEL_NAME, str(ALSO_GOOD), "test_look", head)
    registry.set_model_version_tag(MODEL_NAME, str(WORSE), "test_look", "nonsense")
    faults = {look.version: look.fault for look in check_looks(ledger)}
    assert faults[GOOD] is None
    assert "is a look at the bundle" in faults[ALSO_GOOD]
    assert "cannot be used: the head is 'nonsense'" in faults[WORSE]
