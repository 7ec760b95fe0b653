"""The model in production, kept up to date while it is being used.

One thread looks at the registry's alias every few seconds. A new version is fetched, checked, loaded
and tried out beside the one that serves, and takes its place in a single assignment; whoever began
with the old one ends with it. A version that fails stays outside, and the old one goes on. The same
holds while the registry cannot be reached. Only an alias that is gone ends the service: a model that
was withdrawn must not answer.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from app.bundle_cache import BundleCache, DamagedBundleError
from app.trial import TrialError, try_out
from skin_lesion import registry
from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import Contract, ContractError, ModelBundle
from skin_lesion.registry import RegisteredVersion
from skin_lesion.registry.answers import wrong_answers
from skin_lesion.settings import ModelStoreConfig, RegistryConfig

log = logging.getLogger(__name__)

PROMOTE = "promote a version with: skin-lesion promote VERSION"
_STOPPING_SECONDS = 10.0


@dataclass(frozen=True)
class Served:
    """A model that is loaded, tried out and warm.

    Attributes:
        version: In the registry.
        predictor: Answers; may be shared by threads.
        contract: What the model promises.
        since: When it took over.
    """

    version: RegisteredVersion
    predictor: Predictor
    contract: Contract
    since: datetime


@dataclass(frozen=True)
class Refusal:
    """A version that the alias points to and that must not serve.

    Attributes:
        version: Its number.
        bundle_hash: Its hash, as recorded.
        reason: Why, in words that name no file, address or stack.
        at: When it was tried last.
    """

    version: int
    bundle_hash: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class StoreState:
    """Where the store stands; never changed, only replaced.

    Attributes:
        served: What answers; None where nothing does.
        looked_at: Last look at the registry that succeeded; None before the first.
        reachable: Whether the last look succeeded.
        loading: Number of the version that is being loaded; None where none is.
        refusal: The version that the alias points to, where it was refused.
    """

    served: Served | None = None
    looked_at: datetime | None = None
    reachable: bool = True
    loading: int | None = None
    refusal: Refusal | None = None

    @property
    def problem(self) -> str | None:
        """What is not as it should be, and what to do; None where all is well."""
        going_on = f"version {self.served.version.version} goes on serving; " if self.served else ""
        if not self.reachable:
            return (
                f"the model registry cannot be reached; {going_on}"
                "check MLFLOW_TRACKING_URI and the server it names"
            )
        if self.refusal is not None:
            return (
                f"version {self.refusal.version} is in production but was refused: "
                f"{self.refusal.reason}; {going_on}"
                "go back with: skin-lesion rollback, or promote another version"
            )
        if self.served is not None:
            return None
        if self.loading is not None:
            return f"version {self.loading} is being loaded; try again in a few seconds"
        if self.looked_at is None:
            return "the model registry has not answered yet; try again in a few seconds"
        return f"no version is in production; {PROMOTE}"


class NotReadyError(RuntimeError):
    """There is no model to answer with; the message says why, and what to do."""


class ModelStore:
    """Follows the alias `champion`; knows nothing of how answers travel."""

    def __init__(
        self,
        config: ModelStoreConfig | None = None,
        *,
        look: Callable[[], RegisteredVersion | None] = registry.champion,
        fetch: Callable[[RegisteredVersion, Path], ModelBundle] | None = None,
    ) -> None:
        """Make a store; nothing happens before `start` or `refresh`.

        Args:
            config: How often to look, and where bundles go; None takes the defaults.
            look: Asks the registry for the version in production; None where there is none.
            fetch: Downloads a version into a folder; None downloads from the registry.
        """
        self._config = config or ModelStoreConfig()
        folder = self._config.cache
        self._cache = BundleCache(Path(folder) if folder else None, self._config.keep)
        self._look = look
        self._fetch = fetch or fetch_version
        self._state = StoreState()
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> Served:
        """What serves at this moment; keep it for the whole of an answer.

        Raises:
            NotReadyError: Nothing does.
        """
        state = self._state
        if state.served is None:
            raise NotReadyError(state.problem)
        return state.served

    def state(self) -> StoreState:
        """Where the store stands; a registry that keeps silent counts as out of reach."""
        state, config = self._state, self._config
        patience = max(config.silent_seconds, 3 * config.poll_seconds)
        if state.looked_at is None or state.loading is not None:
            return state
        silent = (_now() - state.looked_at).total_seconds() > patience
        return replace(state, reachable=False) if silent else state

    def start(self) -> Self:
        """Begin to follow the alias in a thread of its own; harmless where that was done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="model-store", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop following; what serves goes on until it is let go."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_STOPPING_SECONDS)
        self._cache.close()

    def refresh(self) -> StoreState:
        """Look at the alias once, and load what it points to if that is new.

        Never raises: whatever a registry or a broken model may raise, what serves goes on.
        """
        with self._turn:
            try:
                wanted = self._look()
            except Exception as error:  # noqa: BLE001
                self._unreachable(error)
            else:
                self._become(looked_at=_now(), reachable=True)
                self._follow_to(wanted)
        return self._state

    def _follow(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._config.poll_seconds)

    def _follow_to(self, wanted: RegisteredVersion | None) -> None:
        served, refusal = self._state.served, self._state.refusal
        if wanted is None:
            if served is not None:
                log.warning("version %s was withdrawn: no alias", served.version.version)
            self._become(served=None, refusal=None)
        elif served is not None and _same(served.version, wanted):
            self._become(refusal=None)
        elif refusal is None or not self._still_refused(refusal, wanted):
            self._switch(wanted)

    def _still_refused(self, refusal: Refusal, wanted: RegisteredVersion) -> bool:
        if (refusal.version, refusal.bundle_hash) != (wanted.version, wanted.bundle_hash):
            return False
        return (_now() - refusal.at).total_seconds() < self._config.retry_seconds

    def _switch(self, wanted: RegisteredVersion) -> None:
        """Bring a version up and let it take over, or say why it must not."""
        log.info("loading version %s", wanted.version)
        self._become(loading=wanted.version)
        try:
            served = self._load(wanted)
        except Exception as error:
            log.exception("version %s was refused", wanted.version)
            refusal = Refusal(wanted.version, wanted.bundle_hash, _reason(error), _now())
            self._become(refusal=refusal, loading=None)
            return
        # The one moment of the change: readers see all of the old state or all of the new one.
        self._become(served=served, refusal=None, loading=None)
        log.info("version %s serves, bundle %s", wanted.version, wanted.bundle_hash)
        try:
            self._cache.sweep(wanted.bundle_hash)
        except OSError as error:
            log.warning("old bundles could not be removed: %s", error)

    def _load(self, wanted: RegisteredVersion) -> Served:
        def fetch(folder: Path) -> ModelBundle:
            try:
                return self._fetch(wanted, folder)
            except ValueError:  # it came, but is no bundle that this software can read
                raise
            except Exception as error:
                raise FetchError(f"version {wanted.version}: {error}") from error

        with self._cache.bundle(wanted.bundle_hash, fetch) as bundle:
            predictor = Predictor(bundle, version=str(wanted.version))
            # On this machine's processor, not on the one where it was registered.
            wrong = wrong_answers(wanted, bundle, RegistryConfig().answer_tolerance)
        if wrong:
            raise TrialError("; ".join(wrong))
        try_out(predictor)
        return Served(wanted, predictor, bundle.contract, _now())

    def _unreachable(self, error: Exception) -> None:
        if self._state.reachable:  # said once, not every few seconds
            log.warning("the model registry cannot be reached: %s", error)
        self._become(reachable=False)

    def _become(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]


class FetchError(OSError):
    """The files of a version could not be brought here."""


def fetch_version(version: RegisteredVersion, folder: Path) -> ModelBundle:
    """Download the bundle of a version from the registry."""
    return registry.open_bundle(str(version.version), folder, version.name)


def _same(one: RegisteredVersion, other: RegisteredVersion) -> bool:
    return (one.version, one.bundle_hash) == (other.version, other.bundle_hash)


def _reason(error: Exception) -> str:
    """Why a version was refused, for everyone to read: what exactly went wrong is in the log."""
    match error:
        case DamagedBundleError():
            return "its files are not those that were registered"
        case ContractError():
            return "it needs a newer version of this software"
        case TrialError():
            return "it failed its first trial"
        case FetchError():
            return "its files could not be fetched"
        case _:
            return "it could not be loaded"


def _now() -> datetime:
    return datetime.now(UTC)
