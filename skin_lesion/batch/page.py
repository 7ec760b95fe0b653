"""A batch on one page: how many pictures came to what, with which model, and what was put aside."""

from collections.abc import Mapping, Sequence
from html import escape

from skin_lesion.batch.result import BatchSummary
from skin_lesion.data.pages import bar, cards, mark, page, table
from skin_lesion.labels import DIAGNOSES
from skin_lesion.prediction import NOTICE

_SYNTHETIC = (
    "This model has seen drawn pictures only. It shows that everything works; what it says of real "
    "pictures means nothing."
)
_STATUS_WORDS = {
    "ok": "answered",
    "cannot_assess": "readable, but not to be assessed",
    "unreadable": "no usable picture",
}


def summary_page(summary: BatchSummary, quarantine: Sequence[Mapping[str, str]]) -> str:
    """The page as HTML that needs no network.

    Args:
        summary: The figures.
        quarantine: Rows that were put aside, perhaps not all of them.
    """
    answered = summary.statuses.get("ok", 0)
    model = summary.model
    sections = [
        mark("good", "Every picture was answered")
        if not summary.put_aside
        else mark(
            "look", f"{summary.put_aside:,} of {summary.inputs:,} pictures without an answer"
        ),
        f'<p class="quiet">{escape(NOTICE)}</p>',
        *([f"<p><b>{escape(_SYNTHETIC)}</b></p>"] if model.synthetic_only else []),
        cards(
            [
                (f"{summary.inputs:,}", "pictures, one row each"),
                *(
                    (f"{summary.statuses.get(status, 0):,}", words)
                    for status, words in _STATUS_WORDS.items()
                ),
            ]
        ),
        "<h2>What the model says</h2>",
        _classes(summary, answered),
    ]
    if summary.suspicious:
        sections += [
            "<h2>Suspicious at the frozen operating points</h2>",
            table(
                ["Operating point", "Pictures", "Share of those answered, %"],
                [
                    [f"<code>{escape(name)}</code>", f"{count:,}", _percent(count, answered)]
                    for name, count in summary.suspicious.items()
                ],
                numbers=frozenset({1, 2}),
            ),
        ]
    sections += ["<h2>Put aside</h2>", *_put_aside(summary, quarantine)]
    sections += [
        "<h2>With what, and from where</h2>",
        table(
            ["What", "Value"],
            [
                [escape(name), escape(value)]
                for name, value in {
                    "Model asked for": model.asked,
                    "Version in the registry": model.version or "none, a folder",
                    "Bundle hash": model.bundle_hash,
                    "Trained on drawn pictures only": "yes" if model.synthetic_only else "no",
                    "Source": visible(summary.source),
                    "Source fingerprint": summary.source_fingerprint,
                    "Other files in the source": f"{summary.left_out:,}",
                    "Finished (UTC)": summary.finished,
                }.items()
            ],
            widths=(28, 72),
        ),
    ]
    return page("Batch of predictions", sections)


def visible(name: str) -> str:
    """A name on one line: control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _classes(summary: BatchSummary, answered: int) -> str:
    largest = max(summary.classes.values(), default=0)
    rows = [
        [
            f"<code>{d.code}</code> {escape(d.name)}",
            "malignant" if d.malignant else "benign",
            f"{summary.classes.get(d.code, 0):,}",
            _percent(summary.classes.get(d.code, 0), answered),
            bar(summary.classes.get(d.code, 0), largest),
        ]
        for d in DIAGNOSES
    ]
    header = ["Most probable class", "Kind", "Pictures", "Share of those answered, %", ""]
    return table(header, rows, numbers=frozenset({2, 3}), widths=(34, 12, 12, 17, 25))


def _put_aside(summary: BatchSummary, quarantine: Sequence[Mapping[str, str]]) -> list[str]:
    if not summary.put_aside:
        return ["<p>Nothing was put aside.</p>"]
    reasons = table(
        ["Reason", "Pictures"],
        [[f"<code>{escape(code)}</code>", f"{n:,}"] for code, n in summary.reasons.items()],
        numbers=frozenset({1}),
        widths=(70, 30),
    )
    rows = [
        [
            row["row"],
            f"<code>{escape(visible(row['file']))}</code>",
            f"<code>{escape(row['reason'])}</code>",
            escape(row["detail"]),
        ]
        for row in quarantine
    ]
    shown = table(["Row", "File", "Reason", "Particulars"], rows, frozenset({0}), (8, 42, 18, 32))
    if len(rows) < summary.put_aside:
        rest = (
            f"<p>The first {len(rows):,} of {summary.put_aside:,}; all are in quarantine.csv.</p>"
        )
        return [reasons, shown, rest]
    return [reasons, shown]


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f}" if total else "–"
