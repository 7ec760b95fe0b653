"""How the cards are written: Markdown that reads well as it is, and the same as one HTML page."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from skin_lesion.data.pages import anchor, page
from skin_lesion.evaluation.style import CLASS_NAMES

NOT_MEASURED = "Not measured in this run."
NOT_A_DEVICE = (
    "**For research only. This is not a medical device,** and no diagnosis, triage or treatment may "
    "rest on it."
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+!|~&])")
# What the common frame of the pages does not have: the pages themselves are plain Markdown.
_STYLES = {
    "blockquote_open": "margin:1rem 0;padding:.6rem 1rem .05rem;border-left:4px solid #b35900;"
    "background:#fff6ec",
    "table_open": "margin:.4rem 0 1rem",
    "th_open": "overflow-wrap:break-word",
    "td_open": "overflow-wrap:break-word",
}
# The ends of an interval stay on one line.
_INTERVAL = re.compile(r"\((-?\d[\d.]*) to (-?\d[\d.]*)\)")


def plain(text: str) -> str:
    """Text of foreign origin on one line, such that Markdown and HTML show it as it is."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Text of foreign origin as code, on one line."""
    inner = " ".join(text.split()).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", inner)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{inner}{pad}{fence}" if inner else "none"


def class_name(label: str) -> str:
    """Name and code of a class."""
    return f"{CLASS_NAMES.get(label, 'Class')} ({plain(label)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """A table whose cells are Markdown already; the last `numbers` columns are set flush right."""
    left = len(head) - numbers
    rule = ["---" if i < left else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *rows])


def bullets(items: Iterable[str]) -> str:
    """A list whose items are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def section(title: str, *parts: str | None) -> str:
    """A heading and its paragraphs; a part that is None says that it was not measured."""
    return "\n\n".join(
        [f"## {title}", *(NOT_MEASURED if p is None else p for p in parts if p != "")]
    )


def banner(synthetic: bool) -> str:
    """What stands on top of every document."""
    lines = [f"> {NOT_A_DEVICE}"]
    if synthetic:
        lines += [
            ">",
            "> **Synthetic only.** Every picture was drawn by a program; no patient is behind any of "
            "them. The figures show that the pipeline works and say nothing about real skin.",
        ]
    return "\n".join(lines)


def document(title: str, parts: Iterable[str]) -> str:
    """A whole Markdown document."""
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def to_html(markdown: str) -> str:
    """The document as one page without outside references; HTML within it is shown, not obeyed.

    Args:
        markdown: A document, its first line the title as a heading.
    """
    from markdown_it import MarkdownIt

    title, _, text = markdown.partition("\n")
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    for token, following in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(following.content))
        if style := _STYLES.get(token.type):
            aligned = token.attrGet("style")
            token.attrSet("style", f"{style};{aligned}" if aligned else style)
    body = reader.renderer.render(tokens, reader.options, {})
    body = _INTERVAL.sub("(\\1\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}\\2)", body)
    return page(title.removeprefix("# "), [body])
