"""A registry with two versions of the small world's model, and what asks the service about them."""

import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from fastapi.testclient import TestClient
from PIL import Image

import skin_lesion
from app.api import create_app
from app.model_store import ModelStore
from app.security import ApiKeys, Guard
from skin_lesion.audit import AuditLog
from skin_lesion.decisions import (
    Calibrator,
    ConfidenceCutoffs,
    Decisions,
    OperatingPoint,
    PredictionSets,
)
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import MODEL_NAME, RegisteredVersion
from skin_lesion.settings import ModelStoreConfig, ServeConfig
from tests.mlflow_place import mlflow_at
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
    with mlflow_at(uri):
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


@pytest.fixture(scope="session")
def pictures(small_world: SmallWorld) -> list[bytes]:
    """PNGs of the first pictures of the small world."""
    found = []
    for pixels in small_world.images.open()[:8]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        found.append(buffer.getvalue())
    return found


def registered(version: int, bundle: ModelBundle, bundle_hash: str = "") -> RegisteredVersion:
    return RegisteredVersion(
        name="skin-lesion-classifier",
        version=version,
        uri="models:/m-0",
        bundle_hash=bundle_hash or bundle.bundle_hash,
        run_id="run",
        created=False,
        tags={},
    )


class Alias:
    """A registry that says and hands out what a test wants."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.version: RegisteredVersion | None = registered(1, bundle)
        self.bundles = {1: bundle}
        self.look_fails: Exception | None = None
        self.spoil: Callable[[Path], None] = lambda _: None
        self.fetched: list[int] = []

    def look(self) -> RegisteredVersion | None:
        if self.look_fails:
            raise self.look_fails
        return self.version

    def fetch(self, version: RegisteredVersion, folder: Path) -> ModelBundle:
        self.fetched.append(version.version)
        target = folder / "bundle"
        shutil.copytree(self.bundles[version.version].path, target)
        self.spoil(target)
        return ModelBundle.open(target)

    def point_to(self, version: int, bundle: ModelBundle, bundle_hash: str = "") -> None:
        self.bundles[version] = bundle
        self.version = registered(version, bundle, bundle_hash)


@pytest.fixture
def alias(bundles: dict[int, ModelBundle]) -> Alias:
    return Alias(bundles[1])


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.02)


Service = Callable[..., TestClient]


@pytest.fixture
def service(alias: Alias) -> Iterator[Service]:
    """Makes a service on a model of one's own; what is not said of it is as in the defaults."""
    with ExitStack() as stack:

        def make(
            *,
            guard: Guard | None = None,
            audit: AuditLog | None = None,
            peer: str = "127.0.0.1",
            address: str = "http://127.0.0.1:8000",
            wait: bool = True,
            **said: Any,
        ) -> TestClient:
            # One look at the start, and none in the middle of a test.
            config = ServeConfig(**said, store=ModelStoreConfig(poll_seconds=3600.0))
            store = ModelStore(config.store, look=alias.look, fetch=alias.fetch)
            app = create_app(config, store, guard or Guard(ApiKeys({})), audit)
            app.state.store = store
            client = TestClient(app, base_url=address, client=(peer, 50000))
            stack.enter_context(client)
            if wait:
                wait_for(lambda: store.state().served is not None)
            return client

        yield make


def sent(*pictures: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Pictures as a browser sends them."""
    return [("pictures", (f"{i}.png", data, "image/png")) for i, data in enumerate(pictures)]
