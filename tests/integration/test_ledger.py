"""What runs of the pipeline leave in the ledger of looks at the test split."""

from pathlib import Path
from typing import Any

import mlflow
import pytest

from skin_lesion import registry
from skin_lesion.ledger import URL_VARIABLE, LookLedger, LookRow
from skin_lesion.registry.looking import check_looks

OWN_SIZE = (32, 40)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LookLedger:
    """The environment's."""
    url = f"sqlite:///{tmp_path / 'looks.db'}"
    monkeypatch.setenv(URL_VARIABLE, url)
    return LookLedger.open(url)


def measured(ledger: LookLedger) -> list[LookRow]:
    return [row for row in ledger.rows() if row.tool == "evaluate"]


def test_a_step_that_runs_is_a_look_and_one_from_the_cache_is_none(
    workplace: Any, ledger: LookLedger
) -> None:
    first = workplace.run(OWN_SIZE, evaluate={"batch_size": 23})
    assert "evaluate" in first.executed
    (row,) = measured(ledger)
    report = first.outputs["evaluation"].load()
    version = first.outputs["registered_version"].load()
    assert (row.run, row.kind, row.images) == (first.name, "pictures", report.summary.test.n_images)
    assert row.bundle_hash == version.bundle_hash  # named before there was a figure of it
    assert row.trained_hash == first.outputs["bundle"].load().bundle_hash
    assert row.split_hash == first.outputs["split"].load().split_hash
    assert report.summary.looks.head == f"{row.row_hash}:{row.id}"
    assert version.tags["test_look"] == report.summary.looks.head
    card = mlflow.artifacts.load_text(f"runs:/{version.run_id}/documents/model_card.md")
    assert "had not been looked at before" in card

    again = workplace.run(OWN_SIZE, evaluate={"batch_size": 23})
    assert again.executed == {"register"}
    assert measured(ledger) == [row]

    other = workplace.run(OWN_SIZE, evaluate={"batch_size": 24})
    assert "evaluate" in other.executed
    second = measured(ledger)[-1]
    looks = other.outputs["evaluation"].load().summary.looks
    assert (second.run, looks.before, looks.same_model_before) == (other.name, 1, 1)
    assert ledger.verify().sound
    noted = {look.version: look for look in check_looks(ledger)}
    number = other.outputs["registered_version"].load().version
    assert noted[number].fault is None
    assert noted[number].row == second.id
    assert registry.find_version(number).tags["test_looks_before"] == "1"
