"""The evaluation as one HTML page that needs no other file and no network."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape

from skin_lesion.evaluation.style import CLASS_NAMES
from skin_lesion.evaluation.summary import ReportSummary, SplitFigures
from skin_lesion.labels import LABELS, MALIGNANT

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
p.notice{border-left:4px solid #6b6b6b;background:#f4f4f4;padding:.6rem .9rem;margin:.8rem 0}
p.banner{border:2px solid #D55E00;background:#fff4ec;padding:.7rem .9rem;font-weight:600}
table{border-collapse:collapse;margin:.5rem 0}th,td{padding:.3rem .8rem;text-align:right}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #222}
tbody tr{border-bottom:1px solid #e3e3e3}td.code{font-family:monospace;font-size:.85em;
overflow-wrap:anywhere;text-align:left}caption{text-align:left;color:#555;caption-side:bottom;
padding-top:.4rem;font-size:.9em}figure{margin:1.2rem 0}img{max-width:100%;height:auto}
.scroll{overflow-x:auto}
"""
_SYNTHETIC = (
    "This model has seen only computer-drawn pictures. Its figures show that the pipeline works; "
    "they say nothing about real skin lesions, and it must not be used on them."
)
_RESEARCH = (
    "For research only: not a medical device, not for diagnosis, not for triage. Dermatoscopic "
    "pictures of the seven classes below only; non-pigmented, subungual, ocular and mucosal lesions "
    "were not part of the data."
)
_SCORES: tuple[tuple[str, str], ...] = (
    ("Balanced accuracy (mean recall)", "balanced_accuracy"),
    ("Macro F1", "macro_f1"),
    ("Weighted F1", "weighted_f1"),
    ("Accuracy", "accuracy"),
    ("Macro AUC", "macro_auc"),
    ("Melanoma AUC", "melanoma_auc"),
    ("Malignant AUC (mel + bcc + akiec)", "malignant_auc"),
    ("Calibration error (ECE), calibrated", "ece"),
    ("Calibration error (ECE), uncalibrated", "ece_uncalibrated"),
    ("Negative log-likelihood (nats), calibrated", "nll"),
    ("Negative log-likelihood (nats), uncalibrated", "nll_uncalibrated"),
    ("Brier score (0 to 2), calibrated", "brier"),
    ("Brier score (0 to 2), uncalibrated", "brier_uncalibrated"),
)
_CAPTIONS = {
    "confusion_matrix": "Counts, and their share of the true class",
    "roc": "ROC of each class against the rest",
    "reliability": "Reliability before and after calibration",
    "per_class": "Figures of each class",
}


def render(summary: ReportSummary, figures: Mapping[str, bytes]) -> str:
    """Write the page.

    Args:
        summary: The figures in numbers.
        figures: PNG pictures by name.
    """
    banner = f'<p class="banner">{_SYNTHETIC}</p>' if summary.synthetic_only else ""
    pictures = "".join(
        f'<figure><img alt="{escape(_CAPTIONS.get(name, name))}" '
        f'src="data:image/png;base64,{b64encode(data).decode()}"></figure>'
        for name, data in figures.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Evaluation</title><style>{_STYLE}</style></head><body>"
        f"<h1>Evaluation of the serving model</h1>{banner}"
        f'<p class="notice">{_RESEARCH}</p>'
        f"<h2>Overall</h2>{_overall(summary)}"
        f"<h2>Each class, test split</h2>{_per_class(summary.test)}"
        f"<h2>Figures, test split</h2>{pictures}"
        f"<h2>Calibration</h2>{_calibration(summary)}"
        f"<h2>Origin</h2>{_origin(summary)}</body></html>\n"
    )


def _overall(summary: ReportSummary) -> str:
    rows = [
        (name, _number(getattr(summary.test, field)), _number(getattr(summary.val, field)))
        for name, field in _SCORES
    ]
    rows += [
        ("Images", str(summary.test.n_images), str(summary.val.n_images)),
        ("Lesions", str(summary.test.n_lesions), str(summary.val.n_lesions)),
    ]
    absent = "".join(
        f" The {name} split holds no {', '.join(figures.absent_classes)}; means are over the "
        "classes present."
        for name, figures in (("test", summary.test), ("validation", summary.val))
        if figures.absent_classes
    )
    return _table(
        ("", "Test", "Validation"),
        rows,
        "Validation chose the weights and the temperature, so its figures flatter the model; test "
        f"was measured once and decided nothing.{absent}",
    )


def _per_class(figures: SplitFigures) -> str:
    rows = []
    for label in LABELS:
        one = figures.per_class[label]
        kind = "malignant" if label in MALIGNANT else "benign"
        scores = (one.precision, one.recall, one.f1, one.auc)
        name = f"{CLASS_NAMES[label]} ({label}), {kind}"
        rows.append((name, *map(_number, scores), str(one.n)))
    return _table(("Class", "Precision", "Recall", "F1", "AUC", "Images"), rows)


def _calibration(summary: ReportSummary) -> str:
    fit = summary.calibration
    warning = (
        ""
        if fit.identified
        else " Validation could not tell the temperature: the model made no mistake there, or did no "
        "better than chance. Its confidence means little."
    )
    return _table(
        ("Validation", "Temperature 1", "Cross-fitted"),
        [
            (
                "Calibration error (ECE)",
                _number(fit.ece_uncalibrated),
                _number(fit.ece_cross_fitted),
            ),
            (
                "Negative log-likelihood (nats)",
                _number(fit.nll_uncalibrated),
                _number(fit.nll_cross_fitted),
            ),
        ],
        f"Temperature {fit.temperature:.3f}, fitted on validation alone; cross-fitted over "
        f"{fit.folds} folds of lesion groups it lies between {min(fit.fold_temperatures):.3f} and "
        f"{max(fit.fold_temperatures):.3f}. ECE in {fit.bins} equal-mass bins.{warning}",
    )


def _origin(summary: ReportSummary) -> str:
    facts = {
        "Backbone": summary.backbone,
        "Pretrained on": summary.pretrained_on,
        "Bundle": summary.bundle_hash,
        "Training run": summary.training_run_id or "not tracked",
        "Data": summary.data_fingerprint,
        "Split": summary.split_hash,
        "Licence of the pictures": summary.licence,
    }
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="code">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f'<div class="scroll"><table><tbody>{rows}</tbody></table></div>'


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], caption: str = "") -> str:
    columns = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    note = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{note}<thead><tr>{columns}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"
