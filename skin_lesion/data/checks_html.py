"""The page that shows a `ValidationReport`."""

from html import escape

from skin_lesion.data.checks import CheckResult, ValidationReport
from skin_lesion.data.pages import bar, cards, mark, page, table

_SHOWN_ROWS = 10


def render(report: ValidationReport) -> str:
    """Render the report: the verdict first, what failed next, everything else below."""
    failed = sorted(
        (e for e in report.expectations if not e.success), key=lambda e: e.severity != "critical"
    )
    held = [e for e in report.expectations if e.success]
    largest = max((c.share for c in report.classes), default=1.0)
    body = [
        f'<p class="quiet">{escape(report.data_set)}{_origin(report.synthetic)}</p>',
        _verdict(report),
        cards(
            [
                (f"{report.images:,}", "usable images"),
                (f"{report.lesions:,}", "lesions"),
                (f"{report.quarantined:,}", "images put aside"),
                (f"{len(held)} / {len(report.expectations)}", "checks that hold"),
            ]
        ),
    ]
    if failed:
        body += ["<h2>What to look at</h2>", _checks(failed)]
    if report.classes:
        body += [
            "<h2>Classes</h2>",
            table(
                ["Class", "Images", "Lesions", "Share", ""],
                [
                    [
                        f"<code>{c.dx}</code>",
                        f"{c.images:,}",
                        f"{c.lesions:,}",
                        f"{c.share:.1%}",
                        bar(c.share, largest),
                    ]
                    for c in report.classes
                ],
                numbers=frozenset({1, 2, 3}),
            ),
        ]
    body += ["<h2>Checks that hold</h2>", _checks(held)]
    return page("Data validation", body)


def _origin(synthetic: bool) -> str:
    return " · drawn by a program, no picture shows a patient" if synthetic else ""


def _verdict(report: ValidationReport) -> str:
    critical, warnings = len(report.critical_failures), len(report.warnings)
    counted = f"{warnings} warning{'' if warnings == 1 else 's'}"
    if critical:
        return mark("bad", f"Stopped: {critical} critical, {counted}")
    if warnings:
        return mark("look", f"Passed with {counted}")
    return mark("good", "Passed")


def _checks(results: list[CheckResult]) -> str:
    return table(
        ["Result", "Rule", "Found", "Rows"],
        [[_result(r), escape(r.name), escape(r.detail), _rows(r)] for r in results],
        widths=(12, 30, 24, 34),
    )


def _result(result: CheckResult) -> str:
    if result.success:
        return mark("good", "holds")
    return mark("bad", "critical") if result.severity == "critical" else mark("look", "warning")


def _rows(result: CheckResult) -> str:
    named = result.failing_rows[:_SHOWN_ROWS]
    if not named:
        return ""
    more = result.failing_count - len(named)
    tail = f" and {more:,} more" if more > 0 else ""
    return f"<code>{escape(', '.join(named))}</code>{tail}"
