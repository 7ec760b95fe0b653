"""What was measured on the model that serves, fetched once for each version and kept.

Pages ask for it at every rerun, and the registry may be slow or away. So it is fetched in a thread of
its own; nobody waits for it longer than a moment, and a page that got none says why.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

from app.model_store import Served
from skin_lesion.evaluation.operating_points import FlagFigures
from skin_lesion.evaluation.report import sample_of_test
from skin_lesion.evaluation.sample import Sample
from skin_lesion.registry import RegisteredVersion
from skin_lesion.registry.measurements import measuring_run
from skin_lesion.registry.recorded import (
    Lack,
    NoEvidenceError,
    RecordedEvidence,
    recorded_evidence,
    recorded_file,
)
from skin_lesion.tracking import DOCUMENTS, EVALUATION
from skin_lesion.tracking_evaluation import logged_predictions

log = logging.getLogger(__name__)

T = TypeVar("T")
WhyNot = Lack | Literal["unreachable", "loading"]

_CARD = f"{DOCUMENTS}/model_card.md"
# A version in production, the one before, and one that an engineer looks at.
_KEPT = 4
_PATIENCE_S = 3.0
_RETRY_S = 30.0


@dataclass(frozen=True)
class Evidence:
    """The evaluation of one registered version.

    Attributes:
        version: In the registry.
        run_id: MLflow run that measured it.
        report: The figures.
    """

    version: RegisteredVersion
    run_id: str
    report: RecordedEvidence = field(repr=False)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def key(self) -> str:
        """Tells it from every other evidence, such as of the same version measured anew."""
        return f"{self.version.version}/{self.version.bundle_hash}/{self.run_id}"

    @cached_property
    def operating_points(self) -> Mapping[str, FlagFigures]:
        """What each frozen threshold came to on the test images, by its name."""
        return {one.point.name: one.figures for one in self.report.evidence.operating_points}

    def sample(self) -> Sample | None:
        """The test images with what the model said of them; None where they are not to be had."""
        return self._keep("sample", lambda: sample_of_test(logged_predictions(self.run_id)))

    def model_card(self) -> str | None:
        """The model card as the pipeline wrote it, in Markdown and in English; None without one."""
        return self._keep(_CARD, lambda: recorded_file(self.version, _CARD).decode("utf-8"))

    def picture(self, name: str) -> bytes | None:
        """A PNG picture of the evaluation, such as `gallery_mel_missed`; None where there is none."""
        path = f"{EVALUATION}/{name}.png"
        return self._keep(path, lambda: recorded_file(self.version, path))

    def _keep(self, name: str, fetch: Callable[[], T]) -> T | None:
        """What was fetched is kept; what failed is tried again when it is asked for again."""
        if name not in self._kept:
            try:
                self._kept[name] = fetch()
            except (LookupError, OSError) as error:
                log.warning("version %s: %s", self.version.version, error)
                return None
        kept: T = self._kept[name]
        return kept


@dataclass
class _Asked:
    """One version's evidence, on its way or here.

    Attributes:
        begun: When it was asked for, in seconds of the clock.
        answer: What came, or will come.
        before: Why there was none when it was asked for last; None at the first time.
    """

    begun: float
    answer: "Future[Evidence | WhyNot]"
    before: WhyNot | None = None


class Measurements:
    """Evidence of the last few versions that were asked for; may be used by threads."""

    def __init__(
        self,
        fetch: Callable[[RegisteredVersion], RecordedEvidence] = recorded_evidence,
        *,
        patience_s: float = _PATIENCE_S,
        retry_s: float = _RETRY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep nothing yet.

        Args:
            fetch: Brings the evaluation of a version here, or raises.
            patience_s: Longest time that anybody waits after a version was asked for first.
            retry_s: After what time a version that had none is asked for again.
            clock: Seconds that only rise.
        """
        self._fetch = fetch
        self._patience_s = patience_s
        self._retry_s = retry_s
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, int, str, str], _Asked] = OrderedDict()

    def of(self, version: RegisteredVersion) -> Evidence | WhyNot:
        """The evidence of a version, or why there is none at this moment."""
        asked = self._ask(version)
        if asked.before is not None and not asked.answer.done():
            return asked.before
        left = max(0.0, asked.begun + self._patience_s - self._clock())
        try:
            return asked.answer.result(left)
        except TimeoutError:
            return "loading"

    def _ask(self, version: RegisteredVersion) -> _Asked:
        key = (version.name, version.version, version.bundle_hash, measuring_run(version))
        with self._lock:
            asked = self._asked.get(key)
            if asked is None or self._is_stale(asked):
                before = None if asked is None else _reason(asked.answer.result())
                asked = _Asked(self._clock(), Future(), before)
                self._asked[key] = asked
                threading.Thread(
                    target=self._answer, args=(version, asked.answer), name="measured", daemon=True
                ).start()
            self._asked.move_to_end(key)
            while len(self._asked) > _KEPT:
                self._asked.popitem(last=False)
        return asked

    def _is_stale(self, asked: _Asked) -> bool:
        failed = asked.answer.done() and _reason(asked.answer.result()) is not None
        return failed and self._clock() - asked.begun >= self._retry_s

    def _answer(self, version: RegisteredVersion, answer: "Future[Evidence | WhyNot]") -> None:
        try:
            report = self._fetch(version)
        except NoEvidenceError as error:
            log.warning("version %s has no evidence to show: %s", version.version, error)
            answer.set_result(error.lack)
        # Whatever a registry or its file store raises: somebody waits for an answer.
        except Exception as error:  # noqa: BLE001
            log.warning("evidence of version %s cannot be fetched: %s", version.version, error)
            answer.set_result("unreachable")
        else:
            answer.set_result(Evidence(version, measuring_run(version), report))


_MEASUREMENTS = Measurements()


def measured(served: Served) -> Evidence | None:
    """The evaluation of the model that serves; None where there is none at this moment.

    It waits a moment when a version is asked for first, and never again.
    """
    found = _MEASUREMENTS.of(served.version)
    return found if isinstance(found, Evidence) else None


def why_not(served: Served) -> WhyNot | None:
    """Why `measured` gives none; None where it gives one."""
    return _reason(_MEASUREMENTS.of(served.version))


def _reason(found: Evidence | WhyNot) -> WhyNot | None:
    return None if isinstance(found, Evidence) else found
