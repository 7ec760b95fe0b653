"""Sections of the HTML pages that stand in artifacts."""

from collections.abc import Mapping
from html import escape
from numbers import Integral

import pandas as pd

from skin_lesion.data.pages import page as render
from skin_lesion.data.pages import table


def page(title: str, *sections: str) -> str:
    """A whole page of a title and ready-made sections; it needs no network."""
    return render(title, sections)


def heading(text: str) -> str:
    """Title of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def facts(values: Mapping[str, object]) -> str:
    """A table of names and values; what has no value says so."""
    rows = [[escape(name.replace("_", " ")), _cell(value)] for name, value in values.items()]
    return table(["What", "Value"], rows, widths=(24, 76))


def frame(data: pd.DataFrame) -> str:
    """A table with its column names; the index is left out."""
    numbers = frozenset(
        i for i, dtype in enumerate(data.dtypes) if pd.api.types.is_numeric_dtype(dtype)
    )
    rows = [[_cell(value) for value in row] for row in data.itertuples(index=False)]
    return table([str(name).replace("_", " ") for name in data.columns], rows, numbers)


def _cell(value: object) -> str:
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return escape(f"{value:.4g}" if isinstance(value, float) else str(value))
