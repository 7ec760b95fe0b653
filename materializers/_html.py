"""Sections of the HTML pages that stand in artifacts."""

from html import escape

import pandas as pd

from skin_lesion.data.pages import cell, facts, heading, table
from skin_lesion.data.pages import page as render

__all__ = ["facts", "frame", "heading", "page", "paragraph"]


def page(title: str, *sections: str) -> str:
    """A whole page of a title and ready-made sections; it needs no network."""
    return render(title, sections)


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def frame(data: pd.DataFrame) -> str:
    """A table with its column names; the index is left out."""
    numbers = [i for i, dtype in enumerate(data.dtypes) if pd.api.types.is_numeric_dtype(dtype)]
    rows = [[cell(value) for value in row] for row in data.itertuples(index=False)]
    return table([str(name).replace("_", " ") for name in data.columns], rows, numbers)
