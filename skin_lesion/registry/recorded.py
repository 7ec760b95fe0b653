"""What the evaluation of a version left in its MLflow run, for those who show it to people."""

import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from skin_lesion import tracking
from skin_lesion.decisions import Decisions
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.summary import SplitFigures
from skin_lesion.registry.measurements import measuring_run
from skin_lesion.registry.version import RegisteredVersion

REPORT = f"{tracking.EVALUATION}/report.json"
Lack = Literal["unrecorded", "another_library", "another_model"]


class RecordedEvidence(BaseModel):
    """The parts of `evaluation/report.json` that are shown; attributes as in `ReportSummary`.

    What else a report holds is not looked at, so one that an earlier library wrote can still be
    shown where these parts of it are what they are today.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    backbone: str
    pretrained_on: str
    bundle_hash: str
    training_run_id: str | None
    data_fingerprint: str
    split_hash: str
    synthetic_only: bool
    licence: str
    seed: int
    decisions: Decisions
    test: SplitFigures
    evidence: Evidence
    decided_bundle_hash: str | None = None


class NoEvidenceError(LookupError):
    """There is no evaluation to be shown.

    Attributes:
        lack: `unrecorded`: the run is gone or logged none; `another_library`: it was written by a
            library whose reports are laid out otherwise; `another_model`: it is of another bundle.
    """

    def __init__(self, message: str, lack: Lack) -> None:
        """Say what is lacking."""
        super().__init__(message)
        self.lack: Lack = lack


class UnreachableError(OSError):
    """The registry, or where it keeps its files, does not answer."""


def recorded_evidence(version: RegisteredVersion) -> RecordedEvidence:
    """The evaluation of a version as its run logged it.

    Raises:
        NoEvidenceError: There is none that can be shown.
        UnreachableError: Whether there is one cannot be told.
    """
    text = recorded_file(version, REPORT)
    try:
        found = RecordedEvidence.model_validate_json(text)
    except ValidationError as error:
        raise NoEvidenceError(
            f"{REPORT} of version {version.version} was written by another version of the library "
            f"({error.error_count()} fields differ); run the pipeline again to measure anew",
            "another_library",
        ) from error
    measured = found.decided_bundle_hash or found.bundle_hash
    expected = (
        version.bundle_hash
        if found.decided_bundle_hash
        else version.tags.get("evaluated_bundle_hash")
    )
    if expected is not None and measured != expected:
        raise NoEvidenceError(
            f"{REPORT} of run {measuring_run(version)} is of the bundle {measured[:12]}, and version "
            f"{version.version} of {expected[:12]}",
            "another_model",
        )
    return found


def recorded_file(version: RegisteredVersion, path: str) -> bytes:
    """A file that the run which measured a version logged.

    Args:
        version: In the registry.
        path: Such as `documents/model_card.md`.

    Raises:
        NoEvidenceError: There is no such file.
        UnreachableError: Whether there is one cannot be told, or it cannot be fetched.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    run_id = measuring_run(version)
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        try:
            found = mlflow.artifacts.download_artifacts(
                run_id=run_id, artifact_path=path, dst_path=folder
            )
            return Path(found).read_bytes()
        except (MlflowException, OSError) as error:
            if _is_logged(run_id, path):
                raise UnreachableError(
                    f"{path} of run {run_id} cannot be fetched: {error}"
                ) from error
            raise NoEvidenceError(f"run {run_id} holds no {path}", "unrecorded") from error


def _is_logged(run_id: str, path: str) -> bool:
    """Whether a run lists a file.

    Raises:
        UnreachableError: Nobody answers.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return False
        raise UnreachableError(f"run {run_id} cannot be looked up: {error}") from error
    try:
        listed = client.list_artifacts(run_id, path.rpartition("/")[0])
    except (MlflowException, OSError) as error:
        raise UnreachableError(f"the files of run {run_id} cannot be listed: {error}") from error
    return any(one.path == path for one in listed)
