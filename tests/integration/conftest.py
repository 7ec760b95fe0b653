"""A stack of its own, and a data set small enough to train on in seconds."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from zenml.enums import ExecutionStatus

SEED = 3
TINY: dict[str, Any] = {
    "parameters": {
        "image_size": [32, 32],
        "seed": SEED,
        "backbone": {"name": "mobilenet", "weights": "none", "feature_layer": "conv_pw_2_relu"},
    },
    "steps": {
        "warmup_train": {"parameters": {"config": {"epochs": 1}}},
        "finetune_train": {
            "parameters": {"config": {"epochs": 2, "learning_rate": 1e-3, "unfreeze_epochs": 0}}
        },
    },
}


@dataclass(frozen=True)
class FinishedRun:
    """What a test looks at after a run.

    Attributes:
        name: Name of the run, in ZenML and in MLflow alike.
        executed: Steps that did not come from the cache.
        outputs: Loaded on demand: output name to its artifact version.
        model_version: ZenML's version of the model.
    """

    name: str
    executed: frozenset[str]
    outputs: Mapping[str, Any]
    model_version: Any


@dataclass(frozen=True)
class Workplace:
    """Runs the training pipeline in this process, on a stack of its own.

    Attributes:
        folder: Holds the data set and the stack.
        data: The data set, in the Kaggle layout.
    """

    folder: Path
    data: Path

    def run(
        self, image_size: tuple[int, int] = (32, 32), **changes: Mapping[str, Any]
    ) -> FinishedRun:
        """Run with some steps configured otherwise: `run(split={"train": 0.6})`.

        Files of tests that share a process share ZenML's cache too: one that counts on nothing being
        there takes pictures of another size.
        """
        config = yaml.safe_load(yaml.safe_dump(TINY))
        config["parameters"]["image_size"] = list(image_size)
        config["parameters"]["source"] = {"kind": "local", "path": str(self.data)}
        for step, values in changes.items():
            parameters = config["steps"].setdefault(step, {}).setdefault("parameters", {})
            parameters.setdefault("config", {}).update(values)
        file = self.folder / "config.yaml"
        file.write_text(yaml.safe_dump(config))
        return self.run_file(file)

    def run_file(self, file: Path, pipeline: Any = None) -> FinishedRun:
        """Run a configuration as it is; of the training pipeline, unless another one is given."""
        from zenml.client import Client

        from pipelines.training import training_pipeline

        started = (pipeline or training_pipeline).with_options(config_path=str(file))()
        run = Client().get_pipeline_run(started.id)
        assert run.status == ExecutionStatus.COMPLETED
        steps = run.steps
        return FinishedRun(
            run.name,
            frozenset(n for n, s in steps.items() if s.status == ExecutionStatus.COMPLETED),
            {name: found[0] for step in steps.values() for name, found in step.outputs.items()},
            run.model_version,
        )


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Workplace:
    from pipelines.stacks import set_up_stack

    folder = tmp_path_factory.mktemp("workplace")
    set_up_stack(root / "configs" / "stacks" / "local.yaml", folder)
    return Workplace(folder, write_data_set(folder / "data"))


def write_data_set(folder: Path) -> Path:
    """Write the embedded data set as files in the Kaggle layout."""
    from skin_lesion.data.synthetic import synthetic_metadata, write_synthetic
    from skin_lesion.settings import SyntheticConfig

    drawn = SyntheticConfig(lesions_per_class=15, max_images_per_lesion=1, height=100, width=100)
    archive = folder.with_suffix(".zip")
    write_synthetic(archive, synthetic_metadata(drawn, SEED), drawn, SEED, workers=1)
    with zipfile.ZipFile(archive) as zipped:
        zipped.extractall(folder)
    return folder
