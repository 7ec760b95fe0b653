"""`skin-lesion ledger`."""

import csv
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import create_engine, text

from pipelines.cli import main
from skin_lesion.data.looking import Purpose
from skin_lesion.ledger import URL_VARIABLE, LookLedger
from tests.unit.ledger.conftest import make_look


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'looks.db'}"


@pytest.fixture
def written(address: str, monkeypatch: pytest.MonkeyPatch) -> LookLedger:
    """Three looks at one test split and one at another; the command finds them."""
    noon = datetime(2026, 1, 30, 12, tzinfo=UTC)
    ledger = LookLedger.open(address, clock=lambda: noon)
    ledger.record(make_look())
    ledger.record(make_look("b", test="8"))
    ledger.record(make_look("b", kind="answers", against="c" * 64))
    ledger.record(make_look("a", purpose=Purpose("verify", "=sum(\u202e", user="Ünal")))
    monkeypatch.setenv(URL_VARIABLE, address)
    return ledger


def test_looks_are_shown_by_the_test_split_that_they_were_at(written, capsys) -> None:
    assert main(["ledger"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("holds 4 looks at the test split.")
    heads = [line for line in lines if line.startswith("Test pictures")]
    assert heads == [
        "Test pictures 777777777777 (210 images; split 555555555555): 3 looks at 2 trained models, 2 "
        "of them with pictures shown",
        "Test pictures 888888888888 (210 images; split 555555555555): 1 look at 1 trained model, 1 of "
        "them with pictures shown",
    ]
    (compared,) = [line for line in lines if "against" in line]
    assert "version 98 against cccccccccccc" in compared
    assert "2026-01-30 12:00:00  ada" in compared
    (odd,) = [line for line in lines if "=sum" in line]
    assert odd.endswith(r"=sum(\u202e")


def test_a_ledger_without_a_look_says_so(address: str, capsys) -> None:
    LookLedger.open(address)
    assert main(["ledger", "--url", address]) == 0
    assert "holds 0 looks" in capsys.readouterr().out


def test_no_ledger_is_made_by_looking_for_it(tmp_path: Path, capsys) -> None:
    assert main(["ledger", "--url", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "there is no ledger of test looks at" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_table_goes_to_a_file_or_to_standard_output(written, tmp_path: Path, capsys) -> None:
    assert main(["ledger", "show", "--csv"]) == 0
    printed = capsys.readouterr().out
    file = tmp_path / "looks.csv"
    assert main(["ledger", "--csv", str(file)]) == 0
    assert capsys.readouterr().out == f"4 rows in {file}\n"
    assert file.read_text(encoding="utf-8") == printed
    rows = list(csv.DictReader(printed.splitlines()))
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert rows[2]["against_hash"] == "c" * 64
    assert rows[3]["reason"] == "'=sum(\u202e"  # no formula


def test_a_sound_ledger_is_told_to_be_sound(written, capsys) -> None:
    assert main(["ledger", "head"]) == 0
    head = capsys.readouterr().out.strip()
    assert main(["ledger", "verify", "--no-registry", "--head", head]) == 0
    assert f"Its head is {head}" in capsys.readouterr().out


def test_tampering_ends_with_status_1_and_the_row(written, address: str, capsys) -> None:
    with create_engine(address).begin() as connection:
        connection.execute(text("DROP TRIGGER test_looks_no_update"))
        connection.execute(text("UPDATE test_looks SET images = 1 WHERE id = 3"))
    assert main(["ledger", "verify", "--no-registry"]) == 1
    assert "row 3: its values do not give its row_hash" in capsys.readouterr().out


def test_a_registry_without_versions_has_nothing_to_hold_against_it(
    written, tmp_path: Path, capsys
) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert main(["ledger", "verify"]) == 0
    assert "The registry holds no version" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify", "--csv"], "--csv was given to 'verify'"),
        (["show", "--head", "a"], "--head was given to 'show'"),
        (["head", "--no-registry"], "--no-registry was given to 'head'"),
    ],
)  # fmt: skip
def test_an_argument_of_another_action_is_refused(written, arguments, message, capsys) -> None:
    assert main(["ledger", *arguments]) == 1
    assert message in capsys.readouterr().err
