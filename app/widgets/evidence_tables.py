"""Tables as HTML, which keyboards and screen readers can walk through."""

from collections.abc import Sequence
from html import escape


class Html(str):
    """Markup of ours; any other text of a cell is escaped."""

    __slots__ = ()


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Sequence[int] = (0,),
    marked: Sequence[int] = (),
) -> str:
    """A table whose first column names the rows.

    Args:
        caption: What it shows; read out, and shown above it.
        heads: One for each column.
        rows: As many cells each.
        words: Columns of words, set to the left; the others are numbers, set to the right.
        marked: Rows that stand out.
    """
    head = "".join(
        f'<th scope="col"{_side(column, words)}>{_cell(text)}</th>'
        for column, text in enumerate(heads)
    )
    body = "".join(_row(row, words, number in marked) for number, row in enumerate(rows))
    return (
        # What may have to be scrolled has to be reached by the keyboard.
        f'<div class="sl-ev-table" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def facts(caption: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Names with their values."""
    rows = "".join(
        f'<tr><th scope="row" class="sl-ev-words">{_cell(name)}</th>'
        f'<td class="sl-ev-words">{_cell(value)}</td></tr>'
        for name, value in pairs
    )
    return (
        f'<div class="sl-ev-table sl-ev-facts" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption><tbody>{rows}</tbody></table></div>"
    )


def code(text: str) -> Html:
    """A hash or a name of the program's."""
    return Html(f"<code>{escape(text)}</code>")


def _row(cells: Sequence[str], words: Sequence[int], marked: bool) -> str:
    mark = ' class="sl-ev-marked"' if marked else ""
    first, *others = cells
    tail = "".join(
        f"<td{_side(column, words)}>{_cell(text)}</td>" for column, text in enumerate(others, 1)
    )
    return f'<tr{mark}><th scope="row"{_side(0, words)}>{_cell(first)}</th>{tail}</tr>'


def _side(column: int, words: Sequence[int]) -> str:
    return ' class="sl-ev-words"' if column in words else ""


def _cell(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)
