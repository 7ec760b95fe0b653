"""Every document that is written about a run, by its file name."""

from dataclasses import dataclass

from skin_lesion.data.pages import page
from skin_lesion.evaluation.cards.checklists import Places, checklists_html, checklists_markdown
from skin_lesion.evaluation.cards.data_sheet import data_sheet, data_sheet_html
from skin_lesion.evaluation.cards.from_run import Run, card_facts
from skin_lesion.evaluation.cards.model_card import model_card, model_card_html

_REPORT = "../evaluation/report.html"


@dataclass(frozen=True)
class Documents:
    """Documents as self-contained HTML pages and as Markdown.

    Attributes:
        model_card: HTML page.
        data_sheet: HTML page.
        checklists: HTML page.
        verdict: HTML page of the gates.
        markdown: The first three as Markdown, by file name.
    """

    model_card: str
    data_sheet: str
    checklists: str
    verdict: str
    markdown: dict[str, str]

    def files(self) -> dict[str, str]:
        """All of them by file name."""
        return {
            "model_card.html": self.model_card,
            "data_sheet.html": self.data_sheet,
            "checklists.html": self.checklists,
            "gates.html": self.verdict,
            **self.markdown,
        }


def write_documents(run: Run) -> Documents:
    """Write every document of a run."""
    facts = card_facts(run)
    return Documents(
        model_card=model_card_html(facts),
        data_sheet=data_sheet_html(run.manifest, run.split),
        checklists=checklists_html(facts, _places("html")),
        verdict=page("Gates", [run.gate.to_html()]),
        markdown={
            "model_card.md": model_card(facts),
            "data_sheet.md": data_sheet(run.manifest, run.split),
            "checklists.md": checklists_markdown(facts, _places("md")),
        },
    )


def _places(suffix: str) -> Places:
    return Places(
        model_card=f"model_card.{suffix}",
        data_sheet=f"data_sheet.{suffix}",
        report=_REPORT,
        readme=None,
        data_notice=None,
    )
