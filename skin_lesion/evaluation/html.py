"""The evaluation as one HTML page that needs no other file and no network."""

from collections.abc import Iterable, Mapping

from skin_lesion.data.pages import contents, facts, heading, page
from skin_lesion.evaluation.evidence import Evidence
from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.html_pictures import caption, figure
from skin_lesion.evaluation.html_sections import (
    calibration,
    cannot_assess,
    classes,
    confidence,
    explanations,
    operating_points,
    overall,
    prediction_sets,
    robustness,
    subgroups,
)
from skin_lesion.evaluation.html_summary import notices, summary
from skin_lesion.evaluation.looks import UNKNOWN
from skin_lesion.evaluation.summary import ReportSummary

__all__ = ["assemble", "common_sections", "notices", "render"]

_ORIGIN, _LEFT = "Origin", "Further pictures"


def render(report: ReportSummary, figures: Mapping[str, bytes]) -> str:
    """Write the page of a model's own test split.

    Args:
        report: The figures in numbers.
        figures: PNG pictures by name; every one is shown.
    """
    evidence = report.evidence
    sections = {
        "Overall": overall(
            evidence, report.test, report.val, report.freezing.calibration.n_lesions
        ),
        "Classes": classes(report.test, evidence),
        **common_sections(evidence),
    }
    sections["Calibration"] = calibration(evidence, report.freezing)
    sections["Cannot assess"] = cannot_assess(evidence, report.freezing)
    return assemble(
        "Evaluation of the serving model",
        [*notices(report.synthetic_only), summary(report)],
        sections,
        figures,
        _origin(report),
    )


def common_sections(evidence: Evidence) -> dict[str, str]:
    """Sections that need nothing but the evidence, in the order of the page."""
    return {
        "Operating points": operating_points(evidence),
        "Confidence": confidence(evidence),
        "Prediction sets": prediction_sets(evidence),
        "Calibration": calibration(evidence, None),
        "Cannot assess": cannot_assess(evidence, None),
        "Subgroups": subgroups(evidence),
        "Robustness": robustness(evidence),
        "Heat-maps": explanations(evidence),
        "Gallery": "<p>Right answers drawn at random, and the most confident mistakes, each picture "
        "beside what speaks for the answer. Mistakes are shown because they are the ones to learn "
        "from, not because they are typical.</p>",
    }


def assemble(
    title: str,
    head: Iterable[str],
    sections: Mapping[str, str],
    figures: Mapping[str, bytes],
    origin: Mapping[str, object],
    units: Units = "lesion_group",
) -> str:
    """Put a page together: head, table of contents, sections with their pictures, origin.

    Args:
        title: Of the page.
        head: HTML above the table of contents.
        sections: HTML by title, in order.
        figures: PNG pictures by name; those of no section stand under "Further pictures".
        origin: Which model and data.
        units: What counts as a lesion in the pictures.
    """
    places = {name: caption(name).section for name in figures}
    placed = {
        section: text
        + _pictures(figures, [key for key in figures if places[key] == section], units)
        for section, text in sections.items()
    }
    left = [key for key in figures if places[key] not in sections]
    if left:
        placed[_LEFT] = _pictures(figures, left, units)
    placed[_ORIGIN] = facts(origin)
    return page(
        title,
        [*head, contents(placed), *(heading(name) + text for name, text in placed.items())],
    )


def _pictures(figures: Mapping[str, bytes], names: Iterable[str], units: Units) -> str:
    return "".join(figure(name, figures[name], units) for name in names)


def _origin(report: ReportSummary) -> dict[str, object]:
    return {
        "Backbone": report.backbone,
        "Pretrained on": report.pretrained_on,
        "Bundle as trained (measured here)": report.bundle_hash,
        "Bundle with decisions (registered and served)": report.decided_bundle_hash or "not told",
        "Training run": report.training_run_id or "not tracked",
        "Data": report.data_fingerprint,
        "Split": report.split_hash,
        "Looks at the test split before": report.looks.before if report.looks else UNKNOWN,
        "Head of the ledger at this look": report.looks.head if report.looks else UNKNOWN,
        "Licence of the pictures": report.licence,
    }
