"""The reporting guides filled in for one model, what is not met included."""

from skin_lesion.data.pages import anchor
from skin_lesion.evaluation.cards.answers import STATUSES, Status
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.guides import CLAIM, CLEAR_DERM, TRIPOD_AI, Guide
from skin_lesion.evaluation.cards.places import Evidence, Places
from skin_lesion.evaluation.cards.writing import (
    banner,
    document,
    plain,
    section,
    table,
    to_html,
)
from skin_lesion.evaluation.figures import Figures

_NOTE = (
    "Topics are paraphrased. *Partly* and *not reported* mean what they say: an item is not met by "
    "saying why it is not."
)


class ChecklistItem(Figures):
    """One item of a guide.

    Attributes:
        part: Part of the guide.
        number: Its number.
        topic: What it asks for.
        status: How far it is met.
        evidence: Where the answer can be checked; None where there is nothing to point at.
        answer: One line.
    """

    part: str
    number: int
    topic: str
    status: Status
    evidence: Evidence | None
    answer: str


class Checklist(Figures):
    """One guide, filled in.

    Attributes:
        name: Of the guide.
        source: Where the guide is from.
        numbering: Whose the numbers of the items are.
        items: In its order.
    """

    name: str
    source: str
    numbering: str
    items: tuple[ChecklistItem, ...]

    def count(self, status: Status) -> int:
        """Items of a status."""
        return sum(item.status == status for item in self.items)


def fill_in(guide: Guide, facts: CardFacts) -> Checklist:
    """Answer every item of a guide."""
    items: list[ChecklistItem] = []
    for part, rows in guide.parts.items():
        for topic, answer_of in rows:
            answer = answer_of(facts)
            items.append(
                ChecklistItem(
                    part=part,
                    number=len(items) + 1,
                    topic=topic,
                    status=answer.status,
                    evidence=answer.evidence,
                    answer=answer.text,
                )
            )
    return Checklist(
        name=guide.name, source=guide.source, numbering=guide.numbering, items=tuple(items)
    )


def checklists(facts: CardFacts) -> tuple[Checklist, ...]:
    """CLEAR Derm, CLAIM and TRIPOD+AI for one model."""
    return tuple(fill_in(guide, facts) for guide in (CLEAR_DERM, CLAIM, TRIPOD_AI))


def checklists_markdown(facts: CardFacts, places: Places) -> str:
    """All checklists as one document.

    Args:
        facts: The model.
        places: The other documents, as they lie around this one.
    """
    filled = checklists(facts)
    overview = table(
        ["Guide", "Items", *(status.capitalize() for status in STATUSES)],
        [
            [
                f"[{plain(one.name)}](#{anchor(one.name)})",
                str(len(one.items)),
                *(str(one.count(status)) for status in STATUSES),
            ]
            for one in filled
        ],
        numbers=1 + len(STATUSES),
    )
    parts = [
        banner(facts.data.synthetic),
        places.see_also("model_card", "data_sheet", "gates", "report"),
        _NOTE,
        overview,
    ]
    return document(
        f"Reporting checklists: {plain(facts.identity.name)}",
        [*parts, *(_written(one, places) for one in filled)],
    )


def checklists_html(facts: CardFacts, places: Places) -> str:
    """All checklists as one page."""
    return to_html(checklists_markdown(facts, places))


def _written(one: Checklist, places: Places) -> str:
    rows: list[list[str]] = []
    for part in dict.fromkeys(item.part for item in one.items):
        rows.append(["", f"**{plain(part)}**", "", "", ""])
        rows += [_row(item, places) for item in one.items if item.part == part]
    head = ["No.", "Item", "Status", "Answer", "Where"]
    return section(one.name, f"{plain(one.source)}. {plain(one.numbering)}", table(head, rows))


def _row(item: ChecklistItem, places: Places) -> list[str]:
    status = item.status if item.status in ("reported", "not applicable") else f"**{item.status}**"
    where = "–" if item.evidence is None else places.refer(item.evidence)
    return [str(item.number), plain(item.topic), status, plain(item.answer), where]
