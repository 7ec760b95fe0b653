"""The pictures that one user has before him on the page: each read once, and kept while there is room.

What is read and what is noted as read must not come apart: the page's script may be stopped wherever
it speaks with Streamlit, and nothing in here does. A script that is stopped late may still be at work
when the next one begins: one lock lets only one of them change anything.
"""

import io
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from PIL import Image

from app.clinic.layers import data_uri, heat_png, view_png
from app.clinic.readings import PictureReading, read_pictures
from app.clinic.users import User
from app.model_store import Served
from skin_lesion.audit import AuditLog
from skin_lesion.settings import DashboardConfig

WhyRefused = Literal["too_large", "too_many", "too_much"]
_THUMBNAIL_QUALITY = 80
# Of one picture, such as of its two most probable classes.
_LAYERS = 2


@dataclass(frozen=True)
class Given:
    """A file that waits to be read.

    Attributes:
        name: As its owner calls it.
        data: Its contents.
        drawn: Key of the bundled sample that it is; None where it is a picture of somebody's own.
    """

    name: str
    data: bytes = field(repr=False)
    drawn: str | None = None


@dataclass(frozen=True)
class Refused:
    """A file that is not read, and of which nothing is written down."""

    name: str
    why: WhyRefused


@dataclass(frozen=True)
class HeatLayer:
    """What the viewer lays over a picture, as addresses that hold it.

    Attributes:
        heat: The colours, transparent where there is no heat.
        view: What the model saw.
        empty: Whether no part of the picture speaks for the class.
    """

    heat: str = field(repr=False)
    view: str = field(repr=False)
    empty: bool


@dataclass(frozen=True)
class OnTray:
    """A picture that was read.

    Attributes:
        number: By which it is known on the page; never given twice.
        reading: What the model said.
        drawn: Key of the bundled sample that it is; None where it is none.
        took_over_from: Version that made the reading before, where it was another one.
        picture: The picture for the viewer, as an address that holds it; None where it cannot be
            decoded.
        thumbnail: The same, small.
        layers: Heat-maps that were asked for last, by class.
    """

    number: int
    reading: PictureReading
    drawn: str | None
    took_over_from: int | None
    picture: str | None = field(repr=False)
    thumbnail: str | None = field(repr=False)
    layers: dict[str, HeatLayer] = field(default_factory=dict, repr=False, compare=False)

    def layer(self, label: str) -> HeatLayer | None:
        """The heat-map of a class; None where the picture cannot be decoded.

        The last few are kept: all classes of all pictures of a session would be tens of megabytes.

        Raises:
            ValueError: No such class.
        """
        layer = self.layers.get(label)
        if layer is None:
            made = self.reading.heat_map(label)
            if made is None:
                return None
            layer = HeatLayer(
                data_uri(heat_png(made), "png"),
                data_uri(view_png(made), "png"),
                not made.heat.any(),
            )
            while len(self.layers) >= _LAYERS:
                self.layers.pop(next(iter(self.layers)), None)
            self.layers[label] = layer
        return layer


class Tray:
    """The pictures of one session; may be used by threads."""

    def __init__(self, config: DashboardConfig) -> None:
        """Begin with nothing.

        Args:
            config: How much there is room for.
        """
        self._config = config
        self._lock = threading.RLock()
        self._numbers = itertools.count(1)
        self._waiting: list[Given] = []
        self._read: dict[int, OnTray] = {}
        self._chosen: int | None = None
        self._last_version: int | None = None
        self.refused: list[Refused] = []

    @property
    def waiting(self) -> int:
        """How many files wait to be read."""
        return len(self._waiting)

    @property
    def pictures(self) -> list[OnTray]:
        """What was read, in that order."""
        with self._lock:
            return list(self._read.values())

    @property
    def chosen(self) -> OnTray | None:
        """The picture that the page shows."""
        return self._read.get(self._chosen) if self._chosen is not None else None

    def give(self, files: Sequence[Given]) -> None:
        """Let files wait to be read; what is too large or too much is refused, and said to be."""
        with self._lock:
            self.refused = []
            held = sum(len(each.data) for each in self._waiting)
            for file in files:
                if len(file.data) > self._config.max_file_bytes:
                    self.refused.append(Refused(file.name, "too_large"))
                elif self.waiting >= self._config.tray_pictures:
                    self.refused.append(Refused(file.name, "too_many"))
                elif self._waiting and held + len(file.data) > self._config.tray_bytes:
                    # Read and thrown out at once for room, it would be missing without a word.
                    self.refused.append(Refused(file.name, "too_much"))
                else:
                    self._waiting.append(file)
                    held += len(file.data)

    def read(self, served: Served, user: User, audit: AuditLog | None) -> None:
        """Read what waits; the first of it is shown.

        Where it fails nothing was written down, and everything goes on waiting.

        Raises:
            AuditError: The log did not take the answers.
        """
        with self._lock:
            waiting = self._waiting
            if not waiting:
                return
            files = [(file.name, file.data) for file in waiting]
            readings = read_pictures(served, files, user, audit, self._config)
            self._waiting = []
            added = [
                self._add(reading, file.drawn)
                for reading, file in zip(readings, waiting, strict=True)
            ]
            self._chosen = added[0]
            self._make_room()

    def read_again(self, number: int, served: Served, user: User, audit: AuditLog | None) -> None:
        """Read a picture by another model; the reading that is there stays as it is.

        Where that was done already its result is shown, and nothing is read.

        Raises:
            AuditError: The log did not take the answer.
        """
        with self._lock:
            old = self._read.get(number)
            if old is None:
                return
            found = self._reading_by(served, old)
            if found is None:
                file = (old.reading.name, old.reading.data)
                [reading] = read_pictures(served, [file], user, audit, self._config)
                found = self._add(reading, old.drawn)
            self._chosen = found
            self._make_room()

    def give_up(self) -> None:
        """Read nothing of what waits."""
        with self._lock:
            self._waiting = []

    def choose(self, number: int) -> None:
        """Show another picture; one that is gone changes nothing."""
        with self._lock:
            if number in self._read:
                self._chosen = number

    def remove(self, number: int) -> None:
        """Take a picture away, and show the one that stood beside it."""
        with self._lock:
            places = list(self._read)
            if self._read.pop(number, None) is None or number != self._chosen:
                return
            place = places.index(number)
            left = [*places[place + 1 :], *reversed(places[:place])]
            self._chosen = left[0] if left else None

    def clear(self) -> None:
        """Take everything away."""
        with self._lock:
            self._waiting, self.refused = [], []
            self._read, self._chosen = {}, None

    def _reading_by(self, served: Served, old: OnTray) -> int | None:
        wanted = (served.predictor.versions, old.reading.prediction.image_sha256)
        for number, each in self._read.items():
            prediction = each.reading.prediction
            if (prediction.versions, prediction.image_sha256) == wanted:
                return number
        return None

    def _add(self, reading: PictureReading, drawn: str | None) -> int:
        number = next(self._numbers)
        version, before = reading.model_version, self._last_version
        self._last_version = version
        shown = reading.shown
        self._read[number] = OnTray(
            number,
            reading,
            drawn,
            took_over_from=before if before not in (None, version) else None,
            picture=data_uri(shown.jpeg, "jpeg") if shown else None,
            thumbnail=data_uri(_thumbnail(shown.jpeg, self._config), "jpeg") if shown else None,
        )
        return number

    def _make_room(self) -> None:
        """Take away the oldest beyond what there is room for, but never what is shown."""
        for number in list(self._leaving()):
            del self._read[number]

    def _leaving(self) -> Iterator[int]:
        count = len(self._read)
        held = sum(len(each.reading.data) for each in self._read.values())
        for number, each in self._read.items():
            if count <= self._config.tray_pictures and held <= self._config.tray_bytes:
                return
            if number != self._chosen:
                count, held = count - 1, held - len(each.reading.data)
                yield number


def _thumbnail(jpeg: bytes, config: DashboardConfig) -> bytes:
    with Image.open(io.BytesIO(jpeg)) as image:
        side = config.thumbnail_side
        image.draft(None, (side, side))
        small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=_THUMBNAIL_QUALITY)
    return buffer.getvalue()
