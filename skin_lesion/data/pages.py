"""The frame of the HTML pages that stand in artifacts: one file each, no network, fit for print."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape
from numbers import Integral

_STYLE = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.5rem 4rem; background: #fff; color: #1c2430;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } h2, h3, figure { scroll-margin-top: 4.5rem; }
p { margin: .3rem 0 .8rem; } .quiet, caption, figcaption { color: #5b6675; }
.verdict { display: inline-block; white-space: nowrap; padding: .25rem .8rem; border-radius: 1rem; font-weight: 600; }
.good { background: #e2f3e6; color: #14602b; } .bad { background: #fbe3e1; color: #97190f; }
.look { background: #fdf0d2; color: #7a4f00; }
.warnings { margin: .8rem 0; padding: .6rem 1rem .6rem 2.2rem; border-left: 4px solid #b35900;
  background: #fff6ec; } .warnings li { margin: .2rem 0; }
.contents { position: sticky; top: 0; padding: .45rem 0; background: #fff;
  border-bottom: 1px solid #dde2e8; z-index: 1; }
.contents a { display: inline-block; margin-right: .9rem; color: #1d5e9c; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.4rem, 1fr)); gap: .7rem; margin: 1rem 0; }
.card { border: 1px solid #dde2e8; border-radius: .5rem; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; margin-bottom: 1.2rem; } caption { text-align: left; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #e6eaef;
  vertical-align: top; overflow-wrap: anywhere; } th { overflow-wrap: break-word; color: #5b6675; font-weight: 600; border-bottom-color: #c4ccd6; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.bar { background: #eef1f5; border-radius: .25rem; min-width: 8rem; }
.bar i { display: block; height: .8rem; border-radius: .25rem; background: #3b6ea8; }
figure { margin: 1.2rem 0 1.8rem; } img { max-width: 100%; height: auto; display: block; }
figcaption { margin-top: .3rem; font-size: .93em; } figcaption b { color: #1c2430; }
td:first-child { overflow-wrap: break-word; } td small { color: #5b6675; white-space: nowrap; } td i { color: #7a4f00; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .contents { position: static; } h2, h3, caption, thead { break-after: avoid; }
  tr, figure, .card, .warnings { break-inside: avoid; }
  img { max-height: 20cm; width: auto; } @page { margin: 1.5cm; } }
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` is HTML already, `title` is text."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def anchor(title: str) -> str:
    """The anchor of a heading: the one that GitHub gives it in a Markdown document."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def heading(title: str) -> str:
    """A section's heading, with its anchor; `title` is text."""
    return f'<h2 id="{anchor(title)}">{escape(title)}</h2>'


def contents(titles: Iterable[str]) -> str:
    """A table of contents of headings; it stays in sight while the page is scrolled."""
    links = " ".join(f'<a href="#{anchor(title)}">{escape(title)}</a>' for title in titles)
    return f'<nav class="contents" aria-label="Contents">{links}</nav>'


def cards(figures: Iterable[tuple[str, str]]) -> str:
    """Large figures side by side: (value, what it is), both text."""
    inner = "".join(
        f'<div class="card"><b>{escape(value)}</b>{escape(name)}</div>' for value, name in figures
    )
    return f'<div class="cards">{inner}</div>'


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    numbers: Collection[int] = (),
    widths: Sequence[int] = (),
    caption: str = "",
) -> str:
    """A table whose cells are HTML already.

    Args:
        header: Names of the columns, as text.
        rows: Cells, as HTML.
        numbers: Columns that are set flush right.
        widths: Widths of the columns in per cent; none lets the browser choose.
        caption: What the table shows, and in which unit, as text; none leaves it out.
    """

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=number' if i in numbers else ''}>{cell}</{tag}>"
            for i, cell in enumerate(cells)
        )

    head = line("th", [escape(cell) for cell in header])
    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    columns = "".join(f'<col style="width:{width}%">' for width in widths)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}{columns}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>"


def figures_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    right: int | None = None,
    caption: str = "",
) -> str:
    """A table whose columns from `left` on, at most `right` of them, are set flush right."""
    last = len(head) if right is None else left + right
    return table(head, rows, range(left, last), caption=caption)


def facts(values: Mapping[str, object]) -> str:
    """A table of names and values; what has no value says so."""
    rows = [[escape(name.replace("_", " ")), cell(value)] for name, value in values.items()]
    return table(["What", "Value"], rows, widths=(24, 76))


def cell(value: object) -> str:
    """A value as people write it, as HTML."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))


def bar(share: float, largest: float = 1.0) -> str:
    """A horizontal bar of a share, drawn relative to the largest one."""
    width = 100.0 * share / largest if largest > 0 else 0.0
    return f'<div class="bar"><i style="width:{width:.1f}%"></i></div>'


def mark(kind: str, text: str) -> str:
    """A coloured label; `kind` is `good`, `look` or `bad`, and the words say the same."""
    return f'<span class="verdict {kind}">{escape(text)}</span>'
