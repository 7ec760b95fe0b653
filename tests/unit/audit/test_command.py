"""`skin-lesion audit`."""

import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from pipelines.cli import main
from skin_lesion.audit import URL_VARIABLE, AuditLog


@pytest.fixture
def log(sqlite_url: str, entry, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    """Three readings at noon of three days, and feedback on the first; the command finds it."""
    days = iter([29, 30, 31, 31])
    log = AuditLog.open(sqlite_url, clock=lambda: datetime(2026, 1, next(days), 12, tzinfo=UTC))
    log.record_all([entry(user="ada"), entry(label="mel", user="grace"), entry(label=None)])
    log.feedback(1, "grace", "pathologist", "mel", "=histology\nsecond line")
    monkeypatch.setenv(URL_VARIABLE, sqlite_url)
    return log


def tamper(url: str) -> None:
    with create_engine(url).begin() as connection:
        connection.execute(text("DROP TRIGGER audit_log_no_update"))
        connection.execute(text("UPDATE audit_log SET prediction = 'nv' WHERE id = 2"))


def test_a_sound_log_is_told_to_be_sound(log: AuditLog, capsys) -> None:
    assert main(["audit", "verify"]) == 0
    told = capsys.readouterr().out
    assert str(log.head()) in told
    assert "only a head noted elsewhere" in told


def test_tampering_ends_with_status_1_and_the_row(log: AuditLog, sqlite_url: str, capsys) -> None:
    tamper(sqlite_url)
    assert main(["audit", "verify"]) == 1
    assert "row 2: its values do not give its row_hash" in capsys.readouterr().out


def test_the_head_that_is_shown_is_the_head_that_is_taken(log: AuditLog, capsys) -> None:
    assert main(["audit", "head"]) == 0
    head = capsys.readouterr().out.strip()
    assert head == f"{log.head().hash}:4"
    assert main(["audit", "verify", "--head", head]) == 0
    assert "noted elsewhere" not in capsys.readouterr().out
    assert main(["audit", "verify", "--head", f"{'0' * 63}1:4"]) == 1
    assert "row 4: not the row that the noted head names" in capsys.readouterr().out
    assert main(["audit", "verify", "--head", "latest"]) == 1
    assert "expected HASH or HASH:COUNT" in capsys.readouterr().err


def test_readings_are_listed_with_what_was_said_of_them(log: AuditLog, capsys) -> None:
    assert main(["audit", "list"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["id", "time", "(UTC)", "user", "role", "model", "answer", "feedback"]
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    assert "cannot_assess (blurred)" in lines[0]
    # A line break in a note must not look like another reading.
    assert lines[2].endswith(r"mel by grace: =histology\nsecond line")
    assert main(["audit", "list", "--user", "grace", "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ([], ["1", "2", "3", "4"]),
        (["--user", "grace"], ["2", "4"]),
        (["--since", "2026-01-30"], ["2", "3", "4"]),
        (["--until", "2026-01-30"], ["1", "2"]),
        (["--until", "2026-01-30T12:00"], ["1"]),
        (["--since", "2026-01-30T12:00:00.000001Z"], ["3", "4"]),
        (["--since", "2026-01-30T07:00-05:00", "--until", "9999-12-31"], ["2", "3", "4"]),
        (["--since", "2027-01-01"], []),
    ],
)  # fmt: skip
def test_an_export_holds_what_was_asked_for(
    log: AuditLog, tmp_path: Path, capsys, arguments: list[str], ids: list[str]
) -> None:
    path = tmp_path / "log.csv"
    assert main(["audit", "export", "--csv", str(path), *arguments]) == 0
    assert f"{len(ids)} rows" in capsys.readouterr().out
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ids
    assert main(["audit", "export", *arguments]) == 0
    assert capsys.readouterr().out == path.read_text()


def test_an_export_that_fails_leaves_what_was_there(
    log: AuditLog, sqlite_url: str, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("of yesterday")
    with create_engine(sqlite_url).begin() as connection:
        connection.execute(text("DROP TRIGGER audit_log_no_update"))
        connection.execute(text("UPDATE audit_log SET verdicts = '{' WHERE id = 2"))
    assert main(["audit", "export", "--csv", str(path)]) == 1
    assert "row 2 is damaged" in capsys.readouterr().err
    assert path.read_text() == "of yesterday"
    assert {each.name for each in tmp_path.iterdir() if each.suffix == ".partial"} == set()
    assert main(["audit", "export", "--csv", str(tmp_path / "nowhere" / "log.csv")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_reader_who_has_enough_is_no_error(log: AuditLog, root: Path, entry) -> None:
    log = AuditLog.open(log.name)
    log.record_all([entry() for _ in range(500)])
    finished = subprocess.run(
        ["bash", "-c", '"$1" -m pipelines.cli audit export | head -1; echo "${PIPESTATUS[0]}"',
         "bash", sys.executable],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    header, status = finished.stdout.splitlines()
    assert header.startswith('"id","at","user"')
    assert (status, finished.stderr) == ("0", "")


@pytest.mark.parametrize("action", ["list", "verify", "head", "export"])
def test_a_log_that_is_not_there_is_not_told_to_be_sound(
    tmp_path: Path, capsys, action: str
) -> None:
    assert main(["audit", action, "--url", f"sqlite:///{tmp_path / 'none.db'}"]) == 1
    assert "there is no audit log at" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_what_is_no_time_is_refused(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["audit", "export", "--since", "yesterday"])
    assert "'yesterday' is no time; expected one such as 2026-01-31" in capsys.readouterr().err


def test_the_help_says_what_a_chain_cannot_find(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["audit", "verify", "--help"])
    assert "only a head that was noted elsewhere finds that" in capsys.readouterr().out
