"""What one user read, as the audit log has it: filtered, counted, and taken away."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Literal, get_args

import numpy as np

from skin_lesion.audit import AuditLog, Reading, Scope, write_csv
from skin_lesion.labels import LABELS, MALIGNANT

# What was said of a reading.
Said = Literal["nothing", "agreed", "corrected"]
SAID: tuple[Said, ...] = get_args(Said)

# Stands for the class of readings in which the model named none.
NO_CLASS = "none"
CLASSES: tuple[str, ...] = (*LABELS, NO_CLASS)


@dataclass(frozen=True)
class Wanted:
    """Which readings to show.

    Attributes:
        since: Only those of this day or later; None means all.
        until: Only those of this day or earlier; None means all.
        classes: Only those in which the model named one of these, of `CLASSES`; empty means all.
        said: Only those of which this was said; None means all.
    """

    since: date | None = None
    until: date | None = None
    classes: frozenset[str] = frozenset()
    said: Said | None = None


@dataclass(frozen=True)
class Agreed:
    """How often somebody agreed with the model.

    Attributes:
        name: Of the class, or the version.
        readings: Readings in which the model named a class.
        judged: Those of which something was said.
        agreed: Those of which the latest that was said names the same class.
        low: Lower end of Wilson's 95 % interval of `agreed` over `judged`; 0 where nothing was judged.
        high: Upper end of it; 1 where nothing was judged.
    """

    name: str
    readings: int
    judged: int
    agreed: int
    low: float
    high: float

    @property
    def rate(self) -> float | None:
        """`agreed` as a share of `judged`; None where nothing was judged."""
        return self.agreed / self.judged if self.judged else None


def said_of(reading: Reading) -> Said:
    """What was said of a reading last."""
    if reading.feedback is None:
        return "nothing"
    return "agreed" if reading.feedback.feedback_label == reading.row.prediction else "corrected"


def class_of(reading: Reading) -> str:
    """The class that the model named, of `CLASSES`."""
    return reading.row.prediction or NO_CLASS


def ranked(reading: Reading) -> list[tuple[str, float]]:
    """Classes and their probabilities, the most probable first; empty where there are none."""
    found = reading.row.probabilities or {}
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))


def malignant_probability(reading: Reading) -> float | None:
    """Summed probability of the malignant classes; None where there are no probabilities."""
    found = reading.row.probabilities
    return None if found is None else sum(found.get(label, 0.0) for label in MALIGNANT)


def chosen(readings: Iterable[Reading], wanted: Wanted, zone: tzinfo) -> list[Reading]:
    """Those readings that are wanted, in their order.

    Args:
        readings: To choose from.
        wanted: Which ones.
        zone: In which days begin and end.
    """

    def fits(reading: Reading) -> bool:
        day = reading.row.at.astimezone(zone).date()
        return (
            (wanted.since is None or wanted.since <= day)
            and (wanted.until is None or day <= wanted.until)
            and (not wanted.classes or class_of(reading) in wanted.classes)
            and (wanted.said is None or wanted.said == said_of(reading))
        )

    return [reading for reading in readings if fits(reading)]


def agreement(readings: Sequence[Reading], name: Callable[[Reading], str]) -> list[Agreed]:
    """How often somebody agreed, by class or version.

    Readings in which the model named no class are left out: there is nothing to agree with.

    Args:
        readings: To count.
        name: Tells which row a reading belongs to.

    Returns:
        One row for each name, in the order in which the names are met.
    """
    from skin_lesion.evaluation.proportions import wilson_ends

    groups: dict[str, list[Said]] = {}
    for reading in readings:
        if reading.row.prediction is not None:
            groups.setdefault(name(reading), []).append(said_of(reading))
    judged = [sum(said != "nothing" for said in group) for group in groups.values()]
    agreed = [sum(said == "agreed" for said in group) for group in groups.values()]
    ends = wilson_ends(np.array(agreed, float), np.array(judged, float))
    return [
        Agreed(key, len(group), tried, hits, float(low), float(high))
        for (key, group), tried, hits, low, high in zip(
            groups.items(), judged, agreed, *ends, strict=True
        )
    ]


def as_csv(audit: AuditLog, user: str) -> bytes:
    """Everything that one user wrote into the log, readings and feedback, for a spreadsheet.

    Raises:
        AuditError: The log cannot be read.
    """
    buffer = io.StringIO(newline="")
    write_csv(audit.rows(Scope(user)), buffer)
    # Spreadsheets take a file without this mark for one in the alphabet of their own machine.
    return buffer.getvalue().encode("utf-8-sig")
