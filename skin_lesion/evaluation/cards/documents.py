"""Every document that is written about a run, by its file name."""

from dataclasses import dataclass

from skin_lesion.data.pages import facts as facts_table
from skin_lesion.data.pages import page
from skin_lesion.evaluation.cards.checklists import checklists_html, checklists_markdown
from skin_lesion.evaluation.cards.data_sheet import data_sheet, data_sheet_html
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.from_run import Run, card_facts
from skin_lesion.evaluation.cards.model_card import model_card, model_card_html
from skin_lesion.evaluation.cards.places import ARTIFACTS, beside


@dataclass(frozen=True)
class Documents:
    """Documents as HTML pages that stand by themselves, and as files that lie side by side.

    A page by itself names the others where a file links to them.

    Attributes:
        model_card: HTML page.
        data_sheet: HTML page.
        checklists: HTML page.
        verdict: HTML page of the gates.
        side_by_side: All four as HTML that link to one another, and the first three as Markdown, by
            file name.
    """

    model_card: str
    data_sheet: str
    checklists: str
    verdict: str
    side_by_side: dict[str, str]

    def files(self) -> dict[str, str]:
        """Files for a folder `documents`, beside the folder `evaluation` of the report, by name."""
        return dict(self.side_by_side)


def write_documents(run: Run) -> Documents:
    """Write every document of a run."""
    facts = card_facts(run)
    html, markdown = beside("html"), beside("md")
    verdict = _verdict(run, facts)
    return Documents(
        model_card=model_card_html(facts, ARTIFACTS),
        data_sheet=data_sheet_html(run.manifest, run.split, ARTIFACTS),
        checklists=checklists_html(facts, ARTIFACTS),
        verdict=verdict,
        side_by_side={
            "model_card.html": model_card_html(facts, html),
            "data_sheet.html": data_sheet_html(run.manifest, run.split, html),
            "checklists.html": checklists_html(facts, html),
            "gates.html": verdict,
            "model_card.md": model_card(facts, markdown),
            "data_sheet.md": data_sheet(run.manifest, run.split, markdown),
            "checklists.md": checklists_markdown(facts, markdown),
        },
    )


def _verdict(run: Run, facts: CardFacts) -> str:
    identity = facts.identity
    version = "" if identity.version is None else f", version {identity.version}"
    origin = {
        "Bundle as trained (measured)": identity.trained_hash,
        "Bundle with decisions (registered and served)": identity.bundle_hash,
        "Split": identity.split_hash,
    }
    return page(f"Gates: {identity.name}{version}", [run.gate.to_html(), facts_table(origin)])
