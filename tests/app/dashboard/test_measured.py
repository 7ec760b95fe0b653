"""The evidence of the model that serves: fetched once, never waited for long, and its lack told."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest

from app.clinic.measured import Evidence, Measurements
from skin_lesion import tracking, tracking_evaluation
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.registry import RegisteredVersion
from skin_lesion.registry.recorded import REPORT, NoEvidenceError, RecordedEvidence
from tests.mlflow_place import mlflow_at


def version(
    run_id: str, report: EvaluationReport, number: int = 1, bundle_hash: str = ""
) -> RegisteredVersion:
    decided = report.summary.decided_bundle_hash or ""
    return RegisteredVersion(
        name="skin-lesion-classifier", version=number, uri="models:/m-1",
        bundle_hash=bundle_hash or decided, run_id=run_id, created=False,
        tags={"evaluated_bundle_hash": report.summary.bundle_hash},
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, small_report: EvaluationReport) -> Iterator[str]:
    """A run that holds the evaluation of the small world and a model card; its id."""
    folder = tmp_path_factory.mktemp("measured")
    with mlflow_at(folder):
        with tracking.continued_run("tests", "measured", {}, folder / "files") as run_id:
            tracking_evaluation.log_evaluation(small_report)
            tracking.log_documents({"model_card.md": "# Card of a naïve model"})
        yield run_id


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Brings what a test wants, and counts how often it was asked."""

    def __init__(self, report: RecordedEvidence) -> None:
        self.report = report
        self.fails: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[int] = []

    def __call__(self, wanted: RegisteredVersion) -> RecordedEvidence:
        self.asked.append(wanted.version)
        assert self.gate.wait(60)
        if self.fails:
            raise self.fails
        return self.report


@pytest.fixture
def source(small_report: EvaluationReport) -> Source:
    return Source(RecordedEvidence.model_validate_json(small_report.summary.model_dump_json()))


def test_the_figures_of_a_run_are_those_that_were_logged(
    run: str, small_report: EvaluationReport
) -> None:
    found = Measurements(patience_s=60).of(version(run, small_report))
    assert isinstance(found, Evidence)
    evidence = small_report.summary.evidence
    assert found.report.evidence == evidence
    point = evidence.operating_points[0]
    assert found.operating_points[point.point.name].lesion_sensitivity == (
        point.figures.lesion_sensitivity
    )
    sample = found.sample()
    assert sample is not None
    assert len(sample) == small_report.summary.test.n_images
    assert found.model_card() == "# Card of a naïve model"
    assert found.picture("roc") == small_report.figures["roc"]
    assert found.picture("../documents/model_card.md\0") is None


def test_a_run_without_an_evaluation_says_so(run: str, small_report: EvaluationReport) -> None:
    with mlflow.start_run() as other:
        empty = version(other.info.run_id, small_report)
    assert Measurements(patience_s=60).of(empty) == "unrecorded"
    gone = version("0" * 32, small_report)
    assert Measurements(patience_s=60).of(gone) == "unrecorded"


def test_figures_of_another_model_are_not_shown(run: str, small_report: EvaluationReport) -> None:
    other = version(run, small_report, bundle_hash="f" * 64)
    assert Measurements(patience_s=60).of(other) == "another_model"


def test_a_report_of_another_layout_is_not_half_read(
    small_report: EvaluationReport, run: str
) -> None:
    with mlflow.start_run() as other:
        mlflow.log_text('{"test": {}}', REPORT)
    found = Measurements(patience_s=60).of(version(other.info.run_id, small_report))
    assert found == "another_library"


def test_a_report_of_an_earlier_library_is_read_where_what_is_shown_did_not_change(
    small_report: EvaluationReport, run: str
) -> None:
    earlier = small_report.summary.model_dump(mode="json")
    del earlier["freezing"]["calibration"]
    with mlflow.start_run() as other:
        mlflow.log_dict(earlier, REPORT)
    found = Measurements(patience_s=60).of(version(other.info.run_id, small_report))
    assert isinstance(found, Evidence)


def test_files_that_vanished_from_a_run_are_out_of_reach(
    small_report: EvaluationReport, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mlflow.artifacts, "download_artifacts", lambda **_: (_ for _ in ()).throw(OSError("away"))
    )
    assert Measurements(patience_s=60).of(version(run, small_report)) == "unreachable"


def test_many_pages_at_once_fetch_a_version_once(
    source: Source, small_report: EvaluationReport
) -> None:
    source.gate.clear()
    measurements = Measurements(source, patience_s=60)
    found: list[object] = []
    wanted = version("r", small_report)
    threads = [
        threading.Thread(target=lambda: found.append(measurements.of(wanted))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    source.gate.set()
    for thread in threads:
        thread.join()
    assert source.asked == [1]
    assert len({id(one) for one in found}) == 1
    assert isinstance(found[0], Evidence)


def test_nobody_waits_for_a_registry_that_keeps_silent(
    source: Source, small_report: EvaluationReport
) -> None:
    source.gate.clear()
    measurements = Measurements(source, patience_s=0.01)
    wanted = version("r", small_report)
    assert measurements.of(wanted) == "loading"
    assert measurements.of(wanted) == "loading"
    source.gate.set()
    until(lambda: isinstance(measurements.of(wanted), Evidence))
    assert source.asked == [1]


def test_what_failed_is_tried_again_later_and_meanwhile_still_said(
    source: Source, small_report: EvaluationReport
) -> None:
    clock = Clock()
    measurements = Measurements(source, patience_s=60, retry_s=30, clock=clock)
    wanted = version("r", small_report)
    source.fails = OSError("no route to host")
    assert measurements.of(wanted) == "unreachable"
    assert measurements.of(wanted) == "unreachable"
    assert source.asked == [1]
    clock.now = 31.0
    source.fails = None
    source.gate.clear()
    assert measurements.of(wanted) == "unreachable"
    source.gate.set()
    until(lambda: isinstance(measurements.of(wanted), Evidence))
    assert source.asked == [1, 1]


@pytest.mark.parametrize(
    "error", [RuntimeError("?"), KeyError("x"), NoEvidenceError("", "unrecorded")]
)
def test_whatever_goes_wrong_somebody_gets_an_answer(
    source: Source, small_report: EvaluationReport, error: Exception
) -> None:
    source.fails = error
    found = Measurements(source, patience_s=60).of(version("r", small_report))
    assert found in ("unreachable", "unrecorded")


def test_only_the_last_few_versions_are_kept(
    source: Source, small_report: EvaluationReport
) -> None:
    measurements = Measurements(source, patience_s=60)
    for number in (*range(1, 7), 6, 1):
        assert isinstance(measurements.of(version("r", small_report, number)), Evidence)
    assert source.asked == [1, 2, 3, 4, 5, 6, 1]


def test_a_version_that_was_measured_anew_is_fetched_anew(
    source: Source, small_report: EvaluationReport
) -> None:
    measurements = Measurements(source, patience_s=60)
    first = version("r", small_report)
    again = replace_tags(first, measured_run_id="another")
    found = measurements.of(first), measurements.of(again)
    assert [one.run_id for one in found if isinstance(one, Evidence)] == ["r", "another"]


def replace_tags(one: RegisteredVersion, **tags: str) -> RegisteredVersion:
    return one.model_copy(update={"tags": one.tags | tags})


def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come to that in time")
