"""Registered versions: one for each bundle, without a pickle, with tags that say what it is."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml

from skin_lesion import tracking, tracking_evaluation
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction_table import COLUMNS
from skin_lesion.registry import (
    RegisteredVersion,
    champion,
    find_bundle,
    input_example,
    production,
    register_bundle,
    serving_requirements,
)
from tests.mlflow_place import mlflow_at

NAME = "tested-classifier"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[mlflow.MlflowClient]:
    folder = tmp_path_factory.mktemp("mlflow")
    with (
        mlflow_at(folder),
        tracking.continued_run("tests", "registration", {}, folder / "files"),
    ):
        yield mlflow.MlflowClient()


@pytest.fixture
def report(small_report: EvaluationReport) -> EvaluationReport:
    return small_report


GATE = GateReport(
    passed=False,
    checks=(GateCheck(name="macro_f1", value=0.1, minimum=0.6, passed=False, reason="too low"),),
    synthetic_only=True,
    split_hash="s" * 64,
    bundle_hash="b" * 64,
)


@pytest.fixture(scope="module")
def registered(
    client: mlflow.MlflowClient, small_world, small_report: EvaluationReport
) -> RegisteredVersion:
    return register_bundle(small_world.bundle, small_report.summary, GATE, NAME)


@pytest.fixture(scope="module")
def folder(registered: RegisteredVersion) -> Path:
    return Path(mlflow.artifacts.download_artifacts(registered.uri))


def with_temperature(bundle: ModelBundle, temperature: float, target: Path) -> ModelBundle:
    contract = bundle.contract.model_copy(update={"temperature": temperature})
    return bundle.with_contract(contract, target)


def test_a_new_bundle_becomes_a_new_version(registered: RegisteredVersion) -> None:
    assert registered.created
    assert registered.version == 1
    assert registered.uri.startswith("models:/m-")
    assert registered.link() == {
        "mlflow_model": NAME,
        "mlflow_version": 1,
        "mlflow_uri": registered.uri,
    }


def test_the_same_bundle_gives_the_existing_version_back(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small_world.bundle.path, copy)
    again = register_bundle(ModelBundle.open(copy), report.summary, GATE, NAME)
    assert again == registered.model_copy(update={"created": False})
    assert "measured_run_id" not in again.tags


def test_figures_measured_anew_replace_those_of_the_version(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
) -> None:
    other = report.summary.test.model_copy(update={"ece": 0.4321, "melanoma_auc": None})
    summary = report.summary.model_copy(update={"test": other})
    again = register_bundle(small_world.bundle, summary, GATE, NAME)
    kept = client.get_model_version(NAME, str(registered.version)).tags
    assert not again.created
    assert again.tags == kept
    assert kept["test.ece"] == "0.4321"
    assert "test.melanoma_auc" not in kept
    assert kept["test.accuracy"] == registered.tags["test.accuracy"]
    assert kept["measured_run_id"] == registered.run_id
    register_bundle(small_world.bundle, report.summary, GATE, NAME)
    client.delete_model_version_tag(NAME, str(registered.version), "measured_run_id")
    assert client.get_model_version(NAME, str(registered.version)).tags == registered.tags


@pytest.mark.parametrize("writes", range(1, 5))
def test_a_measurement_that_is_cut_off_is_taken_over_by_the_next(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
    monkeypatch: pytest.MonkeyPatch,
    writes: int,
) -> None:
    """Figures and the run that they are of never part for good."""
    figures = {"ece": 0.4321, "accuracy": 0.1234, "macro_f1": 0.2345}
    test = report.summary.test.model_copy(update=figures)
    other = report.summary.model_copy(update={"test": test})
    real, left = mlflow.MlflowClient.set_model_version_tag, [writes]

    def write(self: mlflow.MlflowClient, *arguments: object) -> None:
        real(self, *arguments)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    def tags() -> dict[str, str]:
        return dict(client.get_model_version(NAME, str(registered.version)).tags)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_model_version_tag", write)
        with pytest.raises(KeyboardInterrupt):
            register_bundle(small_world.bundle, other, GATE, NAME)
    with mlflow.start_run(nested=True) as run:
        register_bundle(small_world.bundle, other, GATE, NAME)
    assert {name: tags()[f"test.{name}"] for name in figures} == {
        name: f"{value:.4f}" for name, value in figures.items()
    }
    assert tags()["measured_run_id"] in (run.info.run_id, mlflow.active_run().info.run_id)
    register_bundle(small_world.bundle, report.summary, GATE, NAME)
    client.delete_model_version_tag(NAME, str(registered.version), "measured_run_id")
    assert tags() == registered.tags


def test_the_run_names_the_version_whether_made_or_found(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
) -> None:
    expected = {"registered_version": str(registered.version), "model_uri": registered.uri}
    made = client.get_run(registered.run_id).data.tags
    assert made == {**made, **expected}
    with mlflow.start_run(nested=True) as run:
        register_bundle(small_world.bundle, report.summary, GATE, NAME)
    found = client.get_run(run.info.run_id).data.tags
    assert found == {**found, **expected}


def test_another_temperature_is_another_version(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
    tmp_path: Path,
) -> None:
    other = register_bundle(
        with_temperature(small_world.bundle, 1.234, tmp_path / "other"), report.summary, GATE, NAME
    )
    assert other.created
    assert other.version != registered.version


def test_a_bundle_of_another_model_is_not_found(
    client: mlflow.MlflowClient, registered: RegisteredVersion
) -> None:
    assert find_bundle(NAME, registered.bundle_hash) is not None
    assert find_bundle("another-model", registered.bundle_hash) is None
    assert find_bundle(NAME, "0" * 64) is None


def test_the_tags_say_what_the_model_is(
    registered: RegisteredVersion, small_world, report: EvaluationReport
) -> None:
    contract = small_world.bundle.contract
    assert registered.tags == {
        **registered.tags,
        "bundle_hash": small_world.bundle.bundle_hash,
        "data_fingerprint": contract.data_fingerprint,
        "split_hash": contract.split_hash,
        "code_version": contract.code_version,
        "training_run_id": "none",
        "synthetic_only": "true",
        "test.macro_f1": f"{report.summary.test.macro_f1:.4f}",
        "gate": "failed",
        "gate_failed": "macro_f1",
        "gate_basis": "synthetic",
        "gate_against": "none",
    }
    assert GateReport.model_validate_json(registered.tags["gate_report"]) == GATE


def test_every_file_and_a_known_answer_are_recorded(
    registered: RegisteredVersion, small_world
) -> None:
    files = json.loads(registered.tags["bundle_files"])
    bundle = small_world.bundle.path
    assert set(files) == {
        path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()
    }
    contract = (bundle / "contract.json").read_bytes()
    assert files["contract.json"] == hashlib.sha256(contract).hexdigest()
    answer = json.loads(registered.tags["known_answer"])
    assert tuple(answer) == LABELS
    assert len(set(answer.values())) > 1


def test_what_an_earlier_library_did_not_record_is_added(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
) -> None:
    number = str(registered.version)
    for tag in ("bundle_files", "known_answer", "gate_report", "gate_against"):
        client.delete_model_version_tag(NAME, number, tag)
    again = register_bundle(small_world.bundle, report.summary, GATE, NAME)
    kept = client.get_model_version(NAME, number).tags
    assert again.tags == kept
    assert {**registered.tags, "measured_run_id": registered.run_id} == kept
    client.delete_model_version_tag(NAME, number, "measured_run_id")


def test_nothing_is_pickled(folder: Path) -> None:
    names = {path.name for path in folder.rglob("*")}
    assert not {name for name in names if name.endswith((".pkl", ".pickle"))}
    model = yaml.safe_load((folder / "MLmodel").read_text())
    flavor = model["flavors"]["python_function"]
    assert flavor["loader_module"] == "mlflow.pyfunc.loaders.code_model"
    assert "python_model" not in flavor


def test_the_library_and_the_whole_bundle_travel_with_the_model(folder: Path) -> None:
    assert (folder / "code" / "skin_lesion" / "inference.py").is_file()
    assert ModelBundle.open(folder / "artifacts" / "bundle")


def test_the_requirements_are_pinned_and_hold_no_training_framework(folder: Path) -> None:
    lines = (folder / "requirements.txt").read_text().split()
    assert sorted(lines) == sorted(serving_requirements())
    assert all("==" in line for line in lines)
    assert not any(line.startswith(("tensorflow", "keras", "zenml")) for line in lines)


def test_the_input_example_is_a_picture_that_the_model_answers(
    registered: RegisteredVersion, small_world
) -> None:
    model = mlflow.pyfunc.load_model(registered.uri)
    answer = model.predict(input_example(small_world.bundle))
    assert list(answer["status"]) == ["ok"]


def test_the_signature_is_the_contract(registered: RegisteredVersion) -> None:
    signature = mlflow.models.get_model_info(registered.uri).signature
    assert [(c.name, c.type.name) for c in signature.inputs] == [("image", "binary")]
    names = signature.outputs.input_names()
    assert names == list(COLUMNS)
    assert names[:11] == [
        *LABELS, "prediction", "malignant_probability", "status", "reason",
    ]  # fmt: skip


def test_a_table_without_the_image_column_is_refused(registered: RegisteredVersion) -> None:
    model = mlflow.pyfunc.load_model(registered.uri)
    with pytest.raises(mlflow.exceptions.MlflowException, match="image"):
        model.predict(pd.DataFrame({"picture": [b""]}))


def test_a_verdict_that_changes_replaces_that_of_the_version(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    small_world,
    report: EvaluationReport,
) -> None:
    check = GATE.checks[0].model_copy(update={"passed": True})
    passed = GATE.model_copy(update={"passed": True, "checks": (check,)})
    register_bundle(small_world.bundle, report.summary, passed, NAME)
    kept = client.get_model_version(NAME, str(registered.version)).tags
    assert (kept["gate"], kept["gate_failed"]) == ("passed", "")
    register_bundle(small_world.bundle, report.summary, GATE, NAME)
    client.delete_model_version_tag(NAME, str(registered.version), "measured_run_id")


def test_without_an_alias_nothing_is_in_production(client: mlflow.MlflowClient) -> None:
    assert production("a-model-that-nobody-registered") is None


def test_the_champion_is_what_the_alias_says_and_none_without_it(
    client: mlflow.MlflowClient, registered: RegisteredVersion
) -> None:
    assert champion("a-model-that-nobody-registered") is None
    assert champion(NAME) is None
    client.set_registered_model_alias(NAME, "champion", str(registered.version))
    try:
        found = champion(NAME)
    finally:
        client.delete_registered_model_alias(NAME, "champion")
    assert found is not None
    assert found.model_copy(update={"created": True}) == registered


def test_production_is_what_the_alias_says(
    client: mlflow.MlflowClient,
    registered: RegisteredVersion,
    report: EvaluationReport,
) -> None:
    assert production(NAME) is None
    client.set_registered_model_alias(NAME, "champion", str(registered.version))
    try:
        before = production(NAME)
        assert before.sample is None  # nothing was logged yet
        tracking_evaluation.log_evaluation(report)
        found = production(NAME)
    finally:
        client.delete_registered_model_alias(NAME, "champion")
    assert found.version == str(registered.version)
    assert found.bundle_hash == registered.bundle_hash
    assert found.split_hash == report.summary.split_hash
    assert len(found.sample) == report.summary.test.n_images
