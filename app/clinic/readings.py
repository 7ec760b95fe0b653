"""One picture, read once by the model in production, and written down before it is shown."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from PIL import Image

from app.clinic.users import User
from app.model_store import Served
from skin_lesion.audit import AuditLog, Entry
from skin_lesion.data.images import ImageError, decode
from skin_lesion.inference import PREDICTED
from skin_lesion.prediction import HeatMap, Prediction
from skin_lesion.settings import DashboardConfig, IngestConfig


@dataclass(frozen=True)
class Shown:
    """A picture as a browser can show it: upright, without any of the file's metadata.

    Attributes:
        jpeg: The encoded picture.
        width: Of it, in pixels.
        height: Of it, in pixels.
    """

    jpeg: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True)
class PictureReading:
    """What the model said of one file.

    Attributes:
        name: Of the file, as its owner called it; shown, never written down.
        data: Contents of the file; kept in memory for as long as its owner's page is open.
        prediction: The answer.
        served: The model that gave it.
        at: When, in UTC.
        shown: The picture; None where it cannot be decoded.
        audit_id: Row of the audit log; None where no log is kept.
    """

    name: str
    data: bytes = field(repr=False)
    prediction: Prediction
    served: Served = field(repr=False)
    at: datetime
    shown: Shown | None = field(repr=False)
    audit_id: int | None = None

    @property
    def model_version(self) -> int:
        """Version of the model that spoke."""
        return self.served.version.version

    def heat_map(self, label: str) -> HeatMap | None:
        """Where the picture speaks for a class, by the model that read it; None where unreadable.

        Raises:
            ValueError: No such class.
        """
        made = self.prediction.heat_map
        if made is not None and made.label == label:
            return made
        if self.prediction.status == "unreadable":
            return None
        return self.served.predictor.heat_map(self.data, label)


def read_pictures(
    served: Served,
    files: Sequence[tuple[str, bytes]],
    user: User,
    audit: AuditLog | None,
    config: DashboardConfig,
    *,
    heat_maps: bool = True,
) -> list[PictureReading]:
    """Judge pictures, all by the same model, and write the answers down in one go.

    Args:
        served: The model.
        files: Name and contents of each.
        user: Who asks.
        audit: Where the answers are written down; None keeps no log.
        config: How large pictures may be shown.
        heat_maps: Whether each answer brings the heat-map of its most probable class.

    Raises:
        AuditError: The log did not take the answers; none is given.
    """
    predictions = served.predictor.predict(
        [data for _, data in files], heat_map_of=PREDICTED if heat_maps else None
    )
    numbers: Sequence[int | None] = [None] * len(files)
    if audit is not None:
        entries = [
            Entry(user.name, user.role, prediction, data)
            for prediction, (_, data) in zip(predictions, files, strict=True)
        ]
        numbers = [row.id for row in audit.record_all(entries)]
    now = datetime.now(UTC)
    return [
        PictureReading(name, data, prediction, served, now, show(data, config), number)
        for (name, data), prediction, number in zip(files, predictions, numbers, strict=True)
    ]


def show(data: bytes, config: DashboardConfig) -> Shown | None:
    """A picture for a browser; None where it cannot be decoded.

    It is decoded and encoded anew, so that nothing but the pixels is left of the file.
    """
    side = config.shown_side
    try:
        image = decode(data, max_pixels=IngestConfig().max_pixels, limit=(side, side))
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    # Pillow would carry a comment of the file over into the new one.
    image.info = {}
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=config.jpeg_quality)
    return Shown(buffer.getvalue(), image.width, image.height)


def without_heat_map(reading: PictureReading) -> PictureReading:
    """The same reading without its heat-map, which is most of its memory."""
    return replace(reading, prediction=replace(reading.prediction, heat_map=None))
