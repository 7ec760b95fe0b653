"""A desk whose model says what a test wants, on an audit log of its own: for tests of the pages."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

from app.clinic.users import LOCAL, User
from app.desk import Desk
from app.model_store import NotReadyError, Served, StoreState
from skin_lesion.audit import AuditLog
from skin_lesion.data.images import ImageError, decode
from skin_lesion.labels import LABELS
from skin_lesion.prediction import HeatMap, Prediction, Versions
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import Language, Texts
from tests.app.dashboard.made import made_prediction, made_served, probabilities


@dataclass
class SayingPredictor:
    """A model that says the same of every picture, and counts what it is asked.

    Attributes:
        served: The model that it belongs to.
        shares: Probability of each class.
        refusal: Why it judges no picture; None where it judges.
        judged: Pictures that it judged.
        drawn: Classes of the heat-maps that it drew when asked for them alone.
    """

    served: Served
    shares: dict[str, float]
    refusal: str | None = None
    judged: int = 0
    drawn: list[str] = field(default_factory=list)

    @property
    def versions(self) -> Versions:
        version = self.served.version
        return Versions(version.bundle_hash, "c" * 64, str(version.version))

    def predict(
        self, pictures: Sequence[bytes], *, heat_map_of: str | None = None
    ) -> list[Prediction]:
        self.judged += len(pictures)
        return [self._judge(picture, heat_map_of) for picture in pictures]

    def heat_map(self, picture: bytes, label: str) -> HeatMap:
        self.drawn.append(label)
        heat = np.zeros((3, 4), np.float32)
        heat[1, LABELS.index(label) % 4] = 1.0
        return HeatMap(np.full((24, 32, 3), 120, np.uint8), heat, label)

    def _judge(self, picture: bytes, heat_map_of: str | None) -> Prediction:
        sha256 = hashlib.sha256(picture).hexdigest()
        said = {"image_sha256": sha256, "versions": self.versions}
        try:
            decode(picture, max_pixels=10**7)
        except ImageError as error:
            return Prediction("unreadable", reason=error.reason, **said)  # type: ignore[arg-type]
        if self.refusal is not None:
            return Prediction("cannot_assess", reason=self.refusal, **said)  # type: ignore[arg-type]
        prediction = made_prediction(self.shares, self.served, picture)
        if heat_map_of is None:
            return replace(prediction, versions=self.versions)
        made = self.heat_map(picture, prediction.prediction or "nv")
        self.drawn.pop()
        return replace(prediction, versions=self.versions, heat_map=made)


def saying(version: int = 3, *, refusal: str | None = None, **shares: float) -> Served:
    """A model in production that gives these probabilities; the naevus has what they leave."""
    served = made_served(version)
    registered = served.version.model_copy(update={"bundle_hash": f"{version:064d}"})
    served = replace(served, version=registered)
    predictor = SayingPredictor(served, probabilities(**shares), refusal)
    return replace(served, predictor=predictor)  # type: ignore[arg-type]


class StoreOfOne:
    """The model in production, as a test moves it."""

    def __init__(self, served: Served | None) -> None:
        self.served = served

    def current(self) -> Served:
        if self.served is None:
            raise NotReadyError("no version is in production")
        return self.served

    def state(self) -> StoreState:
        return StoreState(served=self.served)


def desk_of(
    folder: Path,
    served: Served | None,
    *,
    language: Language = "en",
    user: User = LOCAL,
    config: DashboardConfig | None = None,
) -> Desk:
    """What a page works with."""
    log = AuditLog.open(f"sqlite:///{folder / 'audit.db'}")
    store = StoreOfOne(served)
    return Desk(config or DashboardConfig(), Texts(language), user, store, log)  # type: ignore[arg-type]


def picture(colour: int = 120, kind: str = "JPEG", **options: object) -> bytes:
    """A file with a picture in it; each colour is another file."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (190, colour, 100)).save(buffer, format=kind, **options)
    return buffer.getvalue()


def html_of(page: AppTest) -> str:
    """All HTML that the page drew itself, but style sheets."""
    bodies = [str(each.proto.body) for each in page.get("html")]
    return "\n".join(body for body in bodies if not body.startswith("<style>"))


def _script(desk: object) -> None:
    from app.views import read

    read.show(desk)  # type: ignore[arg-type]


def opened(desk: Desk) -> AppTest:
    """The page `read`, drawn once."""
    page = AppTest.from_function(_script, kwargs={"desk": desk}, default_timeout=30).run()
    assert not page.exception
    return page


def give(page: AppTest, name: str = "lesion.jpg", data: bytes | None = None) -> AppTest:
    """Drop a file on it."""
    [uploader] = page.get("file_uploader")
    uploader.set_value((name, picture() if data is None else data, "image/jpeg"))
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, key: str) -> AppTest:
    """Press a button of it."""
    page.button(key=key).click().run()
    assert not page.exception
    return page
