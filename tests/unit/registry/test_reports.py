"""Reports on pictures from elsewhere, beside the run that registered the version."""

from pathlib import Path

import mlflow
import pytest

from skin_lesion.registry import MODEL_NAME, find_version, reports
from tests.unit.registry.conftest import GOOD


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "report.json").write_text("{}")
    return tmp_path / "report"


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ("isic-2019", "external/isic-2019"),
        ("Läsionen (neu)", "external/L-sionen-neu"),
        ("../../up", "external/up"),
        ("皮膚", "external/pictures"),
        ("", "external/pictures"),
        (".", "external/pictures"),
    ],
)
def test_any_name_of_a_data_set_can_be_logged(
    registry: mlflow.MlflowClient, folder: Path, data: str, path: str
) -> None:
    version = find_version(GOOD)
    before = {file.path for file in registry.list_artifacts(version.run_id, "external")}
    logged = reports.log_external(version, folder, data)
    assert logged.startswith(path)
    assert logged not in before
    files = [file.path for file in registry.list_artifacts(version.run_id, logged)]
    assert files == [f"{logged}/report.json"]


def test_an_earlier_report_stays_as_it_is(registry: mlflow.MlflowClient, folder: Path) -> None:
    version = find_version(GOOD)
    first = reports.log_external(version, folder, "clinic")
    (folder / "report.json").write_text('{"other": 1}')
    second = reports.log_external(version, folder, "clinic")
    assert second != first
    kept = mlflow.artifacts.download_artifacts(
        run_id=version.run_id, artifact_path=f"{first}/report.json"
    )
    assert Path(kept).read_text() == "{}"


def test_a_run_that_is_gone_takes_no_report(registry: mlflow.MlflowClient) -> None:
    version = find_version(GOOD)
    registry.delete_run(version.run_id)
    with pytest.raises(LookupError, match="is deleted and cannot take the report; say --no-log"):
        reports.version_to_measure(str(GOOD), log=True)
    assert reports.version_to_measure(str(GOOD), log=False).version == GOOD


def test_a_version_without_a_run_takes_no_report(
    registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    """Such as another tool registered."""
    made = registry.create_model_version(MODEL_NAME, str(tmp_path))
    with pytest.raises(LookupError, match="is gone and cannot take the report"):
        reports.version_to_measure(str(made.version), log=True)


def test_a_registry_that_cannot_be_asked_is_named(
    registry: mlflow.MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise mlflow.exceptions.MlflowException("connection refused")

    monkeypatch.setattr(mlflow.MlflowClient, "get_model_version", unreachable)
    with pytest.raises(LookupError, match=r"sqlite.* does not tell .*connection refused"):
        reports.version_to_measure(str(GOOD), log=True)
