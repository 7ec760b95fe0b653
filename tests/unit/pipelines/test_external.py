"""`skin-lesion evaluate`: from words on the command line to a report."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from pipelines.cli import main
from pipelines.external import read_mapping
from skin_lesion import tracking
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.registry import RegisteredVersion, register_bundle
from tests.mlflow_place import mlflow_at

# A whole evaluation stands behind each of them.
pytestmark = pytest.mark.slow


def test_the_command_measures_a_bundle(
    decided, external_folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    arguments = [
        "evaluate", "--model", str(decided.path), "--external", str(external_folder),
        "--labels", str(external_folder / "labels.csv"), "--map", "nevus=nv", "--map", "Melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert "36 pictures of 18 lesions, 1 put aside" in printed.out
    assert "None of them was recognised as one of" in printed.out
    assert "other photographs of the same lesion would not be recognised" in printed.out
    assert "Lesions not named" not in printed.out
    lines = printed.err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in lines)
    stages = [line[10:].split()[0] for line in lines]
    assert stages[:4] == ["fetching", "decoding", "looking", "running"]
    assert stages[-1] == "writing"
    assert not logging.getLogger("skin_lesion").handlers  # as it was before
    assert (tmp_path / "out" / "report.html").is_file()
    assert main(arguments) == 1
    assert "exists" in capsys.readouterr().err


def test_the_command_says_that_lesions_are_not_named(
    decided, external_folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    lines = (external_folder / "labels.csv").read_text().splitlines()
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    arguments = [
        "evaluate", "--model", str(decided.path), "--external", str(external_folder),
        "--labels", str(labels), "--map", "nevus=nv", "--map", "melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "36 pictures of an unknown number of lesions, " in printed
    assert "36 pictures have no lesion id, and each such picture counts as a lesion" in printed
    assert "intervals be too narrow" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--labels": "nowhere.csv"}, "cannot be read"),
        ({"--external": "nowhere"}, "does not exist"),
        ({"--map": "nevus"}, "expected NAME=CODE"),
        ({"--seed": "-1"}, "seed is -1"),
    ],
)
def test_the_command_says_what_is_wrong(
    decided, external_folder, tmp_path, capsys, change, message
):
    options = {
        "--model": str(decided.path), "--external": str(external_folder),
        "--labels": str(external_folder / "labels.csv"), "--output": str(tmp_path / "out"),
        "--map": "nevus=nv",
    } | change  # fmt: skip
    words = [word for pair in options.items() for word in pair]
    extra = [] if "--map" in change else ["--map", "melanoma=mel"]
    assert main(["evaluate", *words, *extra]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_names_are_mapped_in_lower_case():
    assert read_mapping(["Nevus = NV", "scc="]) == {"nevus": "nv", "scc": ""}


@pytest.fixture
def version(decided, small_report, tmp_path) -> Iterator[RegisteredVersion]:
    """A registered version in a registry of its own."""
    with mlflow_at(tmp_path):
        gate = GateReport(
            passed=True,
            checks=(GateCheck(name="macro_f1", value=0.9, minimum=0.6, passed=True, reason=""),),
            synthetic_only=True,
            split_hash=decided.contract.split_hash,
            bundle_hash=decided.bundle_hash,
        )
        with tracking.continued_run("tests", "external", {}, tmp_path / "files"):
            made = register_bundle(decided, small_report.summary, gate)
        mlflow.MlflowClient().set_registered_model_alias(made.name, "champion", str(made.version))
        yield made


def evaluate(model: str, folder: Path, output: Path, *further: str) -> int:
    return main(
        ["evaluate", "--model", model, "--external", str(folder), "--labels",
         str(folder / "labels.csv"), "--map", "nevus=nv", "--map", "melanoma=mel",
         "--output", str(output), *further]
    )  # fmt: skip


def logged(version: RegisteredVersion, path: str = "external") -> list[str]:
    client = mlflow.MlflowClient()
    return sorted(file.path for file in client.list_artifacts(version.run_id, path))


def test_the_run_of_a_registered_version_takes_the_report(
    version, external_folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    assert evaluate("champion", external_folder, tmp_path / "out") == 0
    path = f"external/{external_folder.name}"
    assert f"Logged as {path} of MLflow's run {version.run_id}" in capsys.readouterr().out
    here = sorted(f"{path}/{file.name}" for file in (tmp_path / "out").iterdir())
    assert logged(version, path) == here
    fetched = mlflow.artifacts.download_artifacts(
        run_id=version.run_id, artifact_path=f"{path}/report.json"
    )
    written = json.loads(Path(fetched).read_text())
    assert written["model"] == "champion (version 1)"
    assert written["bundle_hash"] == version.bundle_hash
    assert mlflow.MlflowClient().get_run(version.run_id).info.status == "FINISHED"

    assert evaluate("1", external_folder, tmp_path / "again", "--seed", "4") == 0
    assert f"Logged as {path}-2 of" in capsys.readouterr().out
    assert logged(version) == [path, f"{path}-2"]


def test_nothing_is_logged_where_that_is_not_wanted(
    version, external_folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    assert evaluate("1", external_folder, tmp_path / "out", "--no-log") == 0
    assert "Logged" not in capsys.readouterr().out
    assert (tmp_path / "out" / "report.html").is_file()
    assert logged(version) == []


def test_a_run_that_is_gone_is_found_out_before_anything_is_measured(
    version, external_folder, tmp_path, capsys
):
    mlflow.MlflowClient().delete_run(version.run_id)
    assert evaluate("1", external_folder, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "is deleted and cannot take the report; say --no-log" in said
    assert not (tmp_path / "out").exists()


def test_figures_are_told_where_mlflow_no_longer_takes_the_report(
    version, external_folder, tmp_path, capsys, monkeypatch, quick
):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    monkeypatch.setattr(mlflow.MlflowClient, "log_artifacts", full)
    assert evaluate("1", external_folder, tmp_path / "out") == 1
    said = capsys.readouterr()
    assert "Balanced accuracy" in said.out
    assert f"did not take the report, which lies in {tmp_path / 'out'}" in said.err
    assert "No space left" in said.err
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_version_that_is_not_there_is_named_beside_those_that_are(
    version, external_folder, tmp_path, capsys
):
    assert evaluate("7", external_folder, tmp_path / "out") == 1
    assert "its versions are 1" in capsys.readouterr().err


def test_a_bundle_on_disk_is_logged_nowhere(
    version, decided, external_folder, tmp_path, capsys, monkeypatch, quick
):
    monkeypatch.setattr("pipelines.external.EvaluateConfig", lambda: quick)
    assert evaluate(str(decided.path), external_folder, tmp_path / "out") == 0
    assert "Logged" not in capsys.readouterr().out
    assert logged(version) == []


def test_a_folder_called_champion_is_not_the_model_in_production(
    decided, external_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    shutil.copytree(decided.path, "champion")
    arguments = [
        "evaluate", "--model", "champion", "--external", str(external_folder),
        "--labels", str(external_folder / "labels.csv"), "--map", "nevus=nv", "--map", "melanoma=mel",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    with mlflow_at(tmp_path):
        assert main(arguments) == 1
    assert "has no version or alias 'champion'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
