"""What an item of a reporting guide is answered with."""

from dataclasses import dataclass
from typing import Literal

from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.places import Evidence

Status = Literal["reported", "partly", "not reported", "not applicable"]
STATUSES: tuple[Status, ...] = ("reported", "partly", "not reported", "not applicable")


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        status: How far the item is met.
        text: One line, from the run's own facts; plain text.
        evidence: None where there is nothing to point at.
    """

    status: Status
    text: str
    evidence: Evidence | None = None


def card(section: str) -> Evidence:
    """A section of the model card."""
    return Evidence(place="model_card", section=section)


def sheet(section: str) -> Evidence:
    """A section of the data sheet."""
    return Evidence(place="data_sheet", section=section)


def readme(section: str) -> Evidence:
    """A section of the README."""
    return Evidence(place="readme", section=section)


def report(section: str) -> Evidence:
    """A section of the evaluation report."""
    return Evidence(place="report", section=section)


def not_measured(what: str, section: str) -> Answer:
    """The answer where the run has no such figure."""
    return Answer("not reported", f"{what}: not measured in this run.", card(section))


def of_patients(facts: CardFacts, known: Answer) -> Answer:
    """An answer that holds for HAM10000 and has none, or no meaning, for other data."""
    if facts.data.kind == "ham10000":
        return known
    if facts.data.kind == "synthetic":
        return Answer(
            "not applicable",
            "The pictures are drawn by a program; no patient is behind them.",
            sheet("Collection"),
        )
    return Answer(
        "not reported",
        "The origin of the data set is unknown; whoever provided it has to answer this.",
        sheet("Collection"),
    )
