"""How the documents of a run refer to one another, wherever they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from skin_lesion.data.pages import anchor
from skin_lesion.evaluation.cards.writing import plain
from skin_lesion.evaluation.figures import Figures

Place = Literal[
    "model_card", "data_sheet", "checklists", "gates", "report", "readme", "data_notice"
]
_NAMES: dict[Place, str] = {
    "model_card": "Model card",
    "data_sheet": "Data sheet",
    "checklists": "Checklists",
    "gates": "Gates",
    "report": "Evaluation report",
    "readme": "README of the project",
    "data_notice": "DATA\\_NOTICE.md of the project",
}


class Evidence(Figures):
    """Where something can be read, such as what an answer rests on.

    Attributes:
        place: Which document.
        section: Its heading; empty means the whole document.
    """

    place: Place
    section: str = ""


@dataclass(frozen=True)
class Places:
    """The documents as they lie around the page that refers to them.

    Attributes:
        names: What each is called there, as Markdown.
        addresses: Address of each that a link can reach, relative to the page.
    """

    names: Mapping[Place, str]
    addresses: Mapping[Place, str]

    def refer(self, evidence: Evidence) -> str:
        """A link to it or, where no link could reach it, its name; Markdown."""
        section = f": {plain(evidence.section)}" if evidence.section else ""
        text = f"{self.names[evidence.place]}{section}"
        address = self.addresses.get(evidence.place)
        if address is None:
            return text
        part = f"#{anchor(evidence.section)}" if evidence.section else ""
        return f"[{text}](<{address}{part}>)"

    def see_also(self, *places: Place) -> str:
        """One line that refers to other documents; Markdown."""
        return f"See also: {' · '.join(self.refer(Evidence(place=place)) for place in places)}"


def beside(suffix: Literal["html", "md"]) -> Places:
    """In one folder, `documents`, with the report in the folder `evaluation` beside it, as in MLflow.

    Args:
        suffix: Of the documents that are there both as page and as Markdown.
    """
    return Places(
        names=_NAMES,
        addresses={
            "model_card": f"model_card.{suffix}",
            "data_sheet": f"data_sheet.{suffix}",
            "checklists": f"checklists.{suffix}",
            "gates": "gates.html",
            "report": "../evaluation/report.html",
        },
    )


# Each an artifact by itself, as in ZenML: no link leads from one to another, but its name does.
ARTIFACTS = Places(
    names={
        **_NAMES,
        "model_card": "Artifact `model_card`",
        "data_sheet": "Artifact `data_sheet`",
        "checklists": "Artifact `checklists`",
        "gates": "Artifact `gates`",
        "report": "Artifact `evaluation`",
    },
    addresses={},
)
