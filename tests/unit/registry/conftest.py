"""A registry with four versions: two good ones, one that fails its gates, and one that is worse."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlflow
import numpy as np
import pytest

from skin_lesion import tracking, tracking_evaluation
from skin_lesion.evaluation.report import LOGIT_COLUMNS, PROBABILITY_COLUMNS, EvaluationReport
from skin_lesion.registry import MODEL_NAME
from skin_lesion.release import release
from skin_lesion.settings import GateConfig
from tests.mlflow_place import mlflow_at
from tests.small_world import SmallWorld

EASY = GateConfig(
    min_macro_f1=0, min_balanced_accuracy=0, min_melanoma_auc=0, min_melanoma_sensitivity=0,
    min_worst_subgroup_auc=0, max_ece=1,
)  # fmt: skip
GOOD, ALSO_GOOD, FAILED, WORSE = 1, 2, 3, 4


@dataclass(frozen=True)
class Shelf:
    """Where the four versions lie.

    Attributes:
        database: The sqlite file.
        artifacts: Folder with the models.
    """

    database: Path
    artifacts: Path


@pytest.fixture(scope="session")
def shelf(
    tmp_path_factory: pytest.TempPathFactory,
    small_world: SmallWorld,
    small_report: EvaluationReport,
) -> Shelf:
    folder = tmp_path_factory.mktemp("shelf")
    with mlflow_at(folder):
        for number, limits in {
            GOOD: EASY, ALSO_GOOD: EASY, FAILED: EASY.model_copy(update={"min_macro_f1": 1.0}),
            WORSE: EASY,
        }.items():  # fmt: skip
            contract = small_world.bundle.contract.model_copy(update={"code_version": f"{number}"})
            bundle = small_world.bundle.with_contract(contract, folder / f"bundle {number}")
            decided = bundle.with_decisions(
                small_report.summary.decisions,
                small_report.bundle_files,
                folder / f"decided {number}" / "bundle",
            )
            hashes = {
                "bundle_hash": bundle.bundle_hash, "decided_bundle_hash": decided.bundle_hash,
            }  # fmt: skip
            report = replace(small_report, summary=small_report.summary.model_copy(update=hashes))
            if number == WORSE:
                report = _guessing(report)
            run = tracking.continued_run("tests", f"run {number}", {}, folder / "files")
            with run:
                tracking_evaluation.log_evaluation(report)
                released = release(bundle, report, limits, folder / f"final {number}" / "bundle")
            assert released.version.version == number
            assert released.gate.passed == (number != FAILED)
    return Shelf(folder / "mlflow.db", folder / "files")


def _guessing(report: EvaluationReport) -> EvaluationReport:
    """The same report with answers that have nothing to do with the pictures."""
    rows = report.predictions.copy()
    random = np.random.default_rng(0)
    logits = random.permutation(rows[list(LOGIT_COLUMNS)].to_numpy())
    rows[list(LOGIT_COLUMNS)] = logits
    calibrator = report.summary.decisions.calibrator
    rows[list(PROBABILITY_COLUMNS)] = calibrator.probabilities(logits.astype(np.float32))
    return replace(report, predictions=rows)


@pytest.fixture
def registry(shelf: Shelf, tmp_path: Path) -> Iterator[mlflow.MlflowClient]:
    """The registry as it was before anything was promoted; changes stay in this test."""
    shutil.copy(shelf.database, tmp_path / "mlflow.db")
    with mlflow_at(tmp_path):
        yield mlflow.MlflowClient()


def alias(client: mlflow.MlflowClient, name: str) -> int | None:
    """The number that an alias points to."""
    number = client.get_registered_model(MODEL_NAME).aliases.get(name)
    return None if number is None else int(number)
