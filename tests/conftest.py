"""What holds for every test: a world of its own, and no data that is not there."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.small_world", "tests.external_world"]

ROOT = Path(__file__).resolve().parents[1]

# Marker -> the environment variable that tells where its data lie.
DATA_MARKERS = {"real_data": "HAM10000_PATH", "real_weights": "BACKBONE_WEIGHTS"}


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests away from the user's ZenML, MLflow, Keras and the project's own stack.

    Done before any test module is imported, since ZenML and Keras read these once, on import.
    """
    world = tempfile.TemporaryDirectory(prefix="skin-lesion-tests-")
    config.add_cleanup(world.cleanup)
    home = Path(world.name)
    for name in [n for n in os.environ if n.startswith(("ZENML_", "MLFLOW_"))]:
        del os.environ[name]
    os.environ |= {
        "ZENML_CONFIG_PATH": str(home / "zenml"),
        # A worker of xdist has no main module that ZenML could tell the root from.
        "ZENML_CUSTOM_SOURCE_ROOT": str(ROOT),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_LOGGING_VERBOSITY": "WARNING",
        "ZENML_AUTO_OPEN_DASHBOARD": "false",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home / 'mlflow.db'}",
        "SKIN_LESION_LEDGER_URL": f"sqlite:///{home / 'test-looks.db'}",
        "KERAS_HOME": str(home / "keras"),
        "MPLBACKEND": "Agg",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs data that this machine was not told about."""
    for item in items:
        for marker, variable in DATA_MARKERS.items():
            if item.get_closest_marker(marker) and not os.environ.get(variable):
                item.add_marker(pytest.mark.skip(reason=f"{variable} is not set"))


@pytest.fixture(autouse=True)
def _mlflow_asks_the_environment() -> None:
    """A place for runs that was set before is the environment's from here on, which a test may change.

    `mlflow.set_tracking_uri` outweighs the variable for the rest of the process, even where it only
    puts back what was there.
    """
    if mlflow := sys.modules.get("mlflow"):
        place = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(None)
        os.environ["MLFLOW_TRACKING_URI"] = place


@pytest.fixture(autouse=True)
def _main_module_stays() -> Iterator[None]:
    """Streamlit's AppTest leaves its script as the main module, which a spawned process would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def ham10000_path() -> Path:
    """The real images; for tests marked `real_data`."""
    return Path(os.environ["HAM10000_PATH"])


@pytest.fixture(scope="session")
def backbone_weights() -> Path:
    """The pretrained MobileNet weights; for tests marked `real_weights`."""
    return Path(os.environ["BACKBONE_WEIGHTS"])
