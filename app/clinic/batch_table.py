"""Many pictures: read a few at a time by one model, written down once each, sorted by risk.

What is read and what is noted as read must not come apart. Streamlit may stop a page's script wherever
it speaks with it, and begins the next run while the old one still computes; so nothing in here speaks
with Streamlit, and one lock lets only one run read at a time.
"""

import csv
import io
import itertools
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.clinic.batch_files import Given, NotTaken, Room, take
from app.clinic.readings import PictureReading, read_pictures, show
from app.clinic.risk import Risk, risk_of
from app.clinic.users import User
from app.model_store import Served
from skin_lesion.audit import AuditLog
from skin_lesion.decisions import OperatingPoint
from skin_lesion.prediction_table import COLUMNS, row
from skin_lesion.settings import DashboardConfig
from skin_lesion.spreadsheets import no_formula

# Before the columns of every table of predictions.
CSV_COLUMNS: tuple[str, ...] = ("file", "audit_id", *COLUMNS)


@dataclass(frozen=True)
class BatchRow:
    """One picture of the table.

    Attributes:
        number: By which it is known on the page; never given twice.
        reading: What the model said; the picture in it is a thumbnail, and the contents of the file
            are empty where they were let go.
        risk: How dangerous it would be; None where it was not assessed.
    """

    number: int
    reading: PictureReading
    risk: Risk | None

    @property
    def is_kept(self) -> bool:
        """Whether the contents of the file are still here."""
        return bool(self.reading.data)

    def suspicious(self, point: OperatingPoint | None) -> bool | None:
        """Whether it is suspicious at an operating point; None where nothing says so."""
        verdicts = self.reading.prediction.verdicts
        return None if point is None or verdicts is None else verdicts.get(point.name)


class Batch:
    """The pictures of one session's table; runs of its page may overlap."""

    def __init__(self, config: DashboardConfig) -> None:
        """Begin with nothing.

        Args:
            config: How much there is room for.
        """
        self._config = config
        self._numbers = itertools.count(1)
        self._turn = threading.Lock()
        self._waiting: list[Given] = []
        self._rows: dict[int, BatchRow] = {}
        # Whoever begins a go ends it: a promotion in the middle of it would mix two models.
        self._served: Served | None = None
        self.not_taken: list[NotTaken] = []
        self.wanted = 0

    @property
    def waiting(self) -> int:
        """How many pictures wait to be read."""
        return len(self._waiting)

    @property
    def rows(self) -> list[BatchRow]:
        """Every picture that was read, the most dangerous first, those without an answer at the end."""
        return sorted(self._rows.values(), key=_danger, reverse=True)

    @property
    def served(self) -> Served | None:
        """The model that reads what waits; None where none has begun."""
        return self._served

    def give(self, dropped: Iterable[tuple[str, bytes]]) -> None:
        """Let files wait to be read; what finds no room is named in `not_taken`."""
        with self._turn:
            held = sum(len(each.data) for each in self._waiting)
            left = self._config.batch_rows - len(self._rows) - len(self._waiting)
            room = Room(min(left, self._config.max_files), self._config.batch_bytes - held)
            self.not_taken = []
            for found in take(dropped, room, self._config):
                if isinstance(found, NotTaken):
                    self.not_taken.append(found)
                else:
                    self._waiting.append(found)
            self.wanted = len(self._waiting)

    def read_some(self, served: Served, user: User, audit: AuditLog | None) -> None:
        """Read the next few of what waits, and write them down.

        Where that fails nothing was written down, and they go on waiting.

        Args:
            served: The model that serves; a go that has begun ends with the model it began with.
            user: Who asks.
            audit: Where the answers are written down; None keeps no log.

        Raises:
            AuditError: The log did not take the answers.
        """
        config = self._config
        with self._turn:
            chunk = self._waiting[: config.batch_chunk]
            if not chunk:
                return
            self._served = self._served or served
            small = config.model_copy(update={"shown_side": config.batch_thumbnail_side})
            files = [(each.name, each.data) for each in chunk]
            readings = read_pictures(self._served, files, user, audit, small, heat_maps=False)
            del self._waiting[: len(chunk)]
            for reading in readings:
                risk = risk_of(reading.prediction, reading.served.contract.decisions)
                number = next(self._numbers)
                self._rows[number] = BatchRow(number, reading, risk)
            self._let_go()
            if not self._waiting:
                self._served = None

    def stop(self) -> None:
        """Read nothing of what still waits."""
        with self._turn:
            self._waiting, self._served, self.wanted = [], None, 0

    def clear(self) -> None:
        """Take everything away; what was written down stays so."""
        self.stop()
        with self._turn:
            self._rows, self.not_taken = {}, []

    def chosen(self, numbers: Iterable[int]) -> list[BatchRow]:
        """Rows by their numbers, in the order in which they were read."""
        wanted = set(numbers)
        return [one for number, one in self._rows.items() if number in wanted]

    def _let_go(self) -> None:
        """Let go of files beyond what there is room for, those that are least likely to be opened."""
        held = sum(len(one.reading.data) for one in self._rows.values())
        for one in sorted(self._rows.values(), key=_danger):
            if held <= self._config.batch_kept_bytes:
                break
            held -= len(one.reading.data)
            self._rows[one.number] = replace(one, reading=replace(one.reading, data=b""))


def opened(each: BatchRow, config: DashboardConfig) -> PictureReading:
    """A row as a single reading, with its picture in full where the file is still here."""
    if not each.is_kept:
        return each.reading
    return replace(each.reading, shown=show(each.reading.data, config))


def to_csv(rows: Sequence[BatchRow]) -> bytes:
    """The table for spreadsheets: the file, the row of the audit log, and every column of a prediction.

    UTF-8 with the mark by which spreadsheets know it. A name that would be taken for a formula has an
    apostrophe in front.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for each in rows:
        cells = row(each.reading.prediction)
        name, number = no_formula(each.reading.name), each.reading.audit_id
        writer.writerow([name, number, *(cells[column] for column in COLUMNS)])
    return text.getvalue().encode("utf-8-sig")


def _danger(each: BatchRow) -> tuple[int, float, float, int]:
    """For sorting; of equals the one that was read first counts as the more dangerous."""
    if each.risk is None:
        return (-1, 0.0, 0.0, -each.number)
    return (each.risk.rank, each.risk.malignant, each.risk.melanoma, -each.number)
