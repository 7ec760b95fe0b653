"""Setting the local stack up: once or ten times, the outcome is the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from zenml.client import Client

from pipelines.stacks import StackError, set_up_stack


@pytest.fixture
def description(root: Path, tmp_path: Path) -> Path:
    """The local stack under names of its own."""
    values = yaml.safe_load((root / "configs" / "stacks" / "local.yaml").read_text())
    values["stack_name"] = tmp_path.name
    for component in values["components"].values():
        component["name"] = tmp_path.name
    file = tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.fixture(autouse=True)
def keep_the_active_stack() -> object:
    name = Client().active_stack_model.name
    yield
    Client().activate_stack(name)


def test_setting_up_twice_changes_nothing(description: Path, tmp_path: Path) -> None:
    first = set_up_stack(description, tmp_path)
    components = {c.id for c in Client().list_stack_components(name=tmp_path.name).items}
    second = set_up_stack(description, tmp_path)
    assert (first.created, second.created) == (True, False)
    assert {c.id for c in Client().list_stack_components(name=tmp_path.name).items} == components
    assert Client().active_stack_model.name == tmp_path.name


def test_runs_and_artifacts_lie_under_the_root(description: Path, tmp_path: Path) -> None:
    set_up_stack(description, tmp_path)
    stack = Client().active_stack
    assert stack.artifact_store.path == str(tmp_path / ".work" / "store")
    uri = stack.experiment_tracker.get_tracking_uri()
    assert uri == f"sqlite:///{tmp_path / '.work' / 'store' / 'mlflow.db'}"
    assert stack.model_registry.flavor == "mlflow"


def test_a_moved_repository_is_told_what_to_do(description: Path, tmp_path: Path) -> None:
    set_up_stack(description, tmp_path)
    with pytest.raises(StackError, match=r"delete \.zenml and \.work"):
        set_up_stack(description, tmp_path / "elsewhere")


def test_the_description_is_what_zenml_exports(root: Path, tmp_path: Path) -> None:
    import zenml

    values = yaml.safe_load((root / "configs" / "stacks" / "local.yaml").read_text())
    assert values["zenml_version"] == zenml.__version__
    assert set(values) == {"zenml_version", "stack_name", "components"}
    for component in values["components"].values():
        assert {"name", "flavor", "configuration"} == set(component)


def command(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        env=os.environ | {"ZENML_CONFIG_PATH": str(home / "zenml")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_sets_up_and_says_what_there_is_to_see(root: Path, tmp_path: Path) -> None:
    done = command("setup", "--root", str(tmp_path), home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "created and active" in done.stdout
    nothing = command("results", home=tmp_path)
    assert nothing.returncode == 1
    assert "zenml pipeline run pipelines.training.training_pipeline" in nothing.stderr


def test_help_starts_without_importing_zenml() -> None:
    program = (
        "import sys, pipelines.cli\n"
        "try: pipelines.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'zenml', 'mlflow', 'pandas', 'tensorflow'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
