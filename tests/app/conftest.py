"""A registry with two versions of the small world's model, and what asks the service about them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest
from PIL import Image

import skin_lesion
from skin_lesion.decisions import (
    Calibrator,
    ConfidenceCutoffs,
    Decisions,
    OperatingPoint,
    PredictionSets,
)
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import MODEL_NAME
from tests.small_world import SmallWorld


@dataclass(frozen=True)
class Registry:
    """A registry of one's own.

    Attributes:
        uri: Of its database.
        bundles: What was registered, by the number of its version.
    """

    uri: str
    bundles: dict[int, ModelBundle]

    def promote(self, version: int | None) -> None:
        """Point the alias to a version, or nowhere."""
        client = mlflow.MlflowClient(self.uri)
        if version is None:
            client.delete_registered_model_alias(MODEL_NAME, "champion")
        else:
            client.set_registered_model_alias(MODEL_NAME, "champion", str(version))


def decisions(temperature: float) -> Decisions:
    """What evaluation would have frozen."""
    return Decisions(
        calibrator=Calibrator(temperature=temperature),
        operating_points=(
            OperatingPoint(
                name="melanoma_sensitivity_95",
                target="melanoma",
                criterion="sensitivity",
                goal=0.95,
                threshold=0.1,
            ),
        ),
        confidence=ConfidenceCutoffs(high=0.8, medium=0.5),
        prediction_sets=PredictionSets(
            error=0.1, thresholds=(0.9,) * len(LABELS), supported=(True,) * len(LABELS)
        ),
    )


@pytest.fixture(scope="session")
def bundles(
    small_world: SmallWorld, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, ModelBundle]:
    """Two models that give different probabilities."""
    folder = tmp_path_factory.mktemp("bundles")
    contract = small_world.bundle.contract
    return {
        version: small_world.bundle.with_contract(
            contract.deciding(decisions(temperature)), folder / str(version) / "bundle"
        )
        for version, temperature in ((1, 1.0), (2, 3.0))
    }


@pytest.fixture(scope="session")
def registry(
    bundles: dict[int, ModelBundle], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """Both registered, none promoted."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.create_experiment("serving", (folder / "files").as_uri())
        mlflow.set_experiment("serving")
        with mlflow.start_run():
            for version, bundle in bundles.items():
                logged = mlflow.pyfunc.log_model(
                    name=f"model{version}",
                    python_model=str(Path(skin_lesion.__file__).with_name("pyfunc.py")),
                    artifacts={"bundle": str(bundle.path)},
                    pip_requirements=["mlflow"],
                )
                tags = {"bundle_hash": bundle.bundle_hash, "gate": "passed"}
                made = mlflow.register_model(f"models:/{logged.model_id}", MODEL_NAME, tags=tags)
                assert int(made.version) == version
        yield Registry(uri, bundles)
    finally:
        mlflow.set_tracking_uri(before)


@pytest.fixture(scope="session")
def pictures(small_world: SmallWorld) -> list[bytes]:
    """PNGs of the first pictures of the small world."""
    found = []
    for pixels in small_world.images.open()[:8]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        found.append(buffer.getvalue())
    return found
