"""axe-core in a page: what would keep people from using it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.app.browser.serving import ROOT
from tests.app.browser.visitor import Visitor

AXE = ROOT / ".work" / "axe" / "axe.min.js"
FETCH = Path(__file__).with_name("fetch_axe.sh")
GRAVE = ("serious", "critical")
# (rule, part of the selector): of Streamlit's own markup, and out of reach of style sheets and scripts
# of ours. Each says why.
ALLOWED: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Finding:
    """One element that breaks a rule.

    Attributes:
        rule: axe's name of it.
        impact: How grave axe calls it.
        where: Selector.
        html: Beginning of the element.
        why: What axe says of it.
    """

    rule: str
    impact: str
    where: str
    html: str
    why: str


def grave_findings(person: Visitor) -> list[Finding]:
    """What axe calls serious or critical on the page as it stands."""
    page = person.page
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    findings = [
        Finding(
            violation["id"],
            node["impact"] or violation["impact"],
            " ".join(map(str, node["target"])),
            node["html"][:300],
            _why(node),
        )
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    return [each for each in findings if each.impact in GRAVE and not _allowed(each)]


def _why(node: dict[str, Any]) -> str:
    return "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])


def _allowed(finding: Finding) -> bool:
    return any(finding.rule == rule and part in finding.where for rule, part in ALLOWED)
