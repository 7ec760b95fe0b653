"""The life of two models, the demo's and a worse one, by the commands that a person types.

Keep the order of the tests: each begins where the one before ended.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml

from pipelines.cli import main
from skin_lesion.labels import LABELS
from skin_lesion.registry import MODEL_NAME, find_version

pytestmark = pytest.mark.slow

# What is measured beyond the figures is held by other tests.
QUICK = {
    "resamples": 100, "outlier_crops": 100, "robustness_images": 0, "explained_images": 0,
    "randomised_images": 2, "randomised_models": 1, "gallery_images": 1,
}  # fmt: skip
# Killed at the worst moment: `previous` was written and `champion` was not.
KILLED = """
import os, signal, sys
import mlflow
from skin_lesion.registry import PRODUCTION_ALIAS, promote
real = mlflow.MlflowClient.set_registered_model_alias
def write(self, name, alias, version):
    if alias == PRODUCTION_ALIAS:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, name, alias, version)
mlflow.MlflowClient.set_registered_model_alias = write
promote(sys.argv[1], user="Ann", reason="killed half-way")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Path]:
    """A stack of its own: other tests are to find nothing in production."""
    from zenml.client import Client

    from pipelines.stacks import set_up_stack

    folder = tmp_path_factory.mktemp("life_cycle")
    description = yaml.safe_load((root / "configs" / "stacks" / "local.yaml").read_text())
    description["stack_name"] = "life-cycle"
    for component in description["components"].values():
        component["name"] = "life-cycle"
    (folder / "stack.yaml").write_text(yaml.safe_dump(description))
    uri = f"sqlite:///{folder / '.work/store/mlflow.db'}"
    active, before = Client().active_stack_model.name, mlflow.get_tracking_uri()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        set_up_stack(folder / "stack.yaml", folder)
        yield folder
    Client().activate_stack(active)
    mlflow.set_tracking_uri(before)


def train(place: Path, root: Path, epochs: int | None) -> Any:
    """Steps of a run of the demo, as it is shipped or with fewer epochs and a shorter evaluation."""
    from zenml.client import Client

    from pipelines.training import training_pipeline

    path = root / "configs" / "demo.yaml"
    if epochs is not None:
        config = yaml.safe_load(path.read_text())
        config["steps"]["evaluate"] = {"parameters": {"config": QUICK}}
        for step in ("warmup_train", "finetune_train"):
            config["steps"][step]["parameters"]["config"] |= {"epochs": epochs, "rise_epochs": 0}
        path = place / "config.yaml"
        path.write_text(yaml.safe_dump(config))
    run = training_pipeline.with_options(config_path=str(path))()
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    return Client().get_pipeline_run(run.id).steps


def registered(steps: Any) -> Any:
    """The version that a run registered."""
    return steps["register"].outputs["registered_version"][0].load()


@pytest.fixture(scope="module")
def demo(place: Path, root: Path) -> Any:
    """Steps of the demo's run."""
    return train(place, root, None)


@pytest.fixture(scope="module")
def better(demo: Any) -> int:
    """The version that passes its gates."""
    return int(registered(demo).version)


@pytest.fixture(scope="module")
def worse(place: Path, root: Path, better: int) -> int:
    """The version that fails them."""
    return int(registered(train(place, root, 1)).version)


def command(*words: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status of a command, and what it said."""
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out + said.err


def status(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code, said = command("status", "--json", capsys=capsys)
    # What ZenML logs stands around it here, where it was imported before the command ran.
    found: dict[str, Any] = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]
    assert code == (0 if found["agree"] else 1)
    return found


def stock(*words: object) -> None:
    """A command of ZenML itself, in a process of its own."""
    zenml = Path(sys.executable).with_name("zenml")
    subprocess.run([str(zenml), *map(str, words)], check=True, capture_output=True, text=True)


def of_zenml(version: int) -> int:
    """Number of ZenML's version that belongs to one of MLflow."""
    from zenml.client import Client

    uri = find_version(version).uri
    return next(
        int(one.number)
        for one in Client().list_model_versions(model=MODEL_NAME, hydrate=True, size=100)
        if one.run_metadata.get("mlflow_uri") == uri
    )


def codes(found: dict[str, Any]) -> set[str]:
    return {one["code"] for one in found["disagreements"]}


def test_the_demo_learns_every_class_and_registers_its_model(demo: Any) -> None:
    report = demo["evaluate"].outputs["evaluation"][0].load()
    assert report.summary.test.macro_f1 >= 0.90
    test = report.predictions.query("split == 'test'")
    lesions = test.groupby("dx")["lesion_id"].nunique()
    assert set(lesions.index) == set(LABELS)
    assert lesions.min() >= 15, lesions.to_dict()
    version = registered(demo)
    assert version.name == MODEL_NAME
    kept = mlflow.MlflowClient().get_model_version(MODEL_NAME, str(version.version))
    assert (kept.status, kept.tags["bundle_hash"]) == ("READY", version.bundle_hash)


def test_nothing_is_in_production_after_training(better, worse, capsys) -> None:
    found = status(capsys)
    assert (found["champion"], found["mirror"]["zenml_version"]) == (None, None)
    gates = {one["version"]: one["gate"] for one in found["versions"]}
    assert gates == {better: "passed", worse: "failed"}
    assert found["agree"]


def test_the_two_are_compared_on_the_same_images(better, worse, capsys) -> None:
    code, said = command("compare", better, worse, capsys=capsys)
    assert code == 0
    assert "Macro F1" in said
    assert "95 % interval" in said


def test_both_are_what_their_records_say(better, worse, capsys) -> None:
    for version in (better, worse):
        code, said = command("verify", version, "--pictures", capsys=capsys)
        assert code == 0, said
        assert "All is as recorded." in said
        assert "shown to the model again" in said


def test_the_worse_one_is_refused_in_one_message(better, worse, capsys) -> None:
    code, said = command("promote", worse, capsys=capsys)
    assert code == 1
    assert "is not fit for production" in said
    assert "--override REASON" in said
    assert status(capsys)["champion"] is None


def test_the_better_one_goes_into_production_and_the_mirror_follows(better, capsys) -> None:
    code, said = command("promote", better, "--reason", "the first", capsys=capsys)
    assert code == 0, said
    found = status(capsys)
    assert found["agree"]
    assert found["champion"] == found["mirror"]["mlflow_version"] == better
    assert found["changes"][-1]["reason"] == "the first"


def test_what_is_in_production_answers(better) -> None:
    import pandas as pd

    from skin_lesion.registry import input_example, open_bundle

    model = mlflow.pyfunc.load_model(f"models:/{MODEL_NAME}@champion")
    with tempfile.TemporaryDirectory() as folder:
        picture = input_example(open_bundle("champion", Path(folder)))
    answer = model.predict(pd.concat([picture, pd.DataFrame({"image": [b"none"]})]))
    assert answer["status"].iloc[0] in ("ok", "cannot_assess")
    assert answer["status"].iloc[1] == "unreadable"


def test_an_override_is_recorded_and_a_rollback_undoes_it(better, worse, capsys) -> None:
    assert command("promote", worse, "--override", "for the test", capsys=capsys)[0] == 0
    found = status(capsys)
    assert (found["champion"], found["previous"]) == (worse, better)
    assert found["mirror"]["mlflow_version"] == worse
    assert found["changes"][-1]["override"] == "for the test"
    assert command("rollback", "--reason", "it was worse", capsys=capsys)[0] == 0
    found = status(capsys)
    assert (found["champion"], found["previous"]) == (better, worse)
    assert found["mirror"]["mlflow_version"] == better
    assert found["agree"]


def test_the_stock_command_of_the_model_registry_is_noticed_and_taken_as_the_truth(
    better, worse, capsys
) -> None:
    stock(
        *("model-registry", "models", "update-version", MODEL_NAME, "-v", worse),
        *("--stage", "Production"),
    )
    found = status(capsys)
    assert found["champion"] == worse
    assert {"set_outside", "mirror"} <= codes(found)
    code, _ = command("status", "--repair", capsys=capsys)
    assert code == 0
    found = status(capsys)
    assert found["champion"] == found["mirror"]["mlflow_version"] == worse
    assert found["changes"][-1]["kind"] == "found"
    command("rollback", capsys=capsys)
    assert status(capsys)["champion"] == better


def test_the_stock_command_of_the_model_control_plane_moves_the_mirror_alone(
    better, worse, capsys
) -> None:
    stock("model", "version", "update", MODEL_NAME, of_zenml(worse), "-s", "production", "--force")
    found = status(capsys)
    assert codes(found) == {"mirror"}
    assert found["champion"] == better
    assert command("status", "--repair", capsys=capsys)[0] == 0
    assert status(capsys)["mirror"]["mlflow_version"] == better


def test_a_promotion_that_is_killed_half_way_is_explained_and_mended(better, worse, capsys) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.replace('user="Ann"', 'override="test", user="Ann"'),
         str(worse)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    found = status(capsys)
    assert found["champion"] == better
    assert codes(found) == {"unfinished", "previous"}
    assert command("promote", worse, "--override", "again", capsys=capsys)[0] == 1
    assert command("status", "--repair", capsys=capsys)[0] == 0
    found = status(capsys)
    assert (found["champion"], found["previous"]) == (better, worse)
    assert found["changes"][-1]["state"] in ("given up", "done")


def test_the_status_for_people_names_all_of_it(better, worse, capsys) -> None:
    code, said = command("status", capsys=capsys)
    assert code == 0
    assert f"in production   version {better}" in said
    assert "MLflow, its records and ZenML agree." in said
    assert "killed half-way [given up]" in said


def test_the_status_for_programs_is_nothing_but_json(worse, root) -> None:
    """Not even while ZenML has something to say: here the mirror is moved."""
    stock("model", "version", "update", MODEL_NAME, of_zenml(worse), "-s", "production", "--force")
    finished = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "status", "--json", "--quick", "--repair"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    assert found["agree"]
    assert any("ZenML's stage" in sentence for sentence in found["repaired"])


def test_an_unknown_version_ends_in_one_line(better, capsys) -> None:
    for words in (["promote", 99], ["verify", 99], ["compare", 99, better]):
        code, said = command(*words, capsys=capsys)
        assert code == 1
        assert "its versions are" in said.splitlines()[-1]
