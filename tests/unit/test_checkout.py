"""The commit that runs, and that not knowing it stops nothing."""

import subprocess
from pathlib import Path

import pytest

from skin_lesion.checkout import CodeState, code_state


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "tester@example.org")
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "file.py").write_text("1\n")
    for command in (["init", "-q"], ["add", "file.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(folder), *command], check=True)
    return folder


def test_a_clean_checkout_names_its_commit(checkout: Path) -> None:
    head = (checkout / ".git" / "HEAD").read_text().removeprefix("ref: ").strip()
    commit = (checkout / ".git" / head).read_text().strip()
    assert code_state(checkout) == CodeState(commit, dirty=False)


def test_a_changed_file_makes_it_dirty_and_a_new_one_does_not(checkout: Path) -> None:
    (checkout / "config.yaml").write_text("seed: 1\n")
    assert code_state(checkout).dirty is False
    (checkout / "file.py").write_text("2\n")
    assert code_state(checkout).dirty is True


def test_outside_a_checkout_the_commit_is_unknown(tmp_path: Path) -> None:
    assert code_state(tmp_path) == CodeState("unknown", None)


def test_a_copy_inside_another_checkout_does_not_borrow_its_commit(checkout: Path) -> None:
    (checkout / "copy").mkdir()
    assert code_state(checkout / "copy") == CodeState()


def test_without_git_the_commit_is_unknown(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert code_state(checkout).tags() == {"git_commit": "unknown", "git_dirty": "unknown"}
