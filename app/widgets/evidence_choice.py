"""A choice that outlives the section it stands in, and the language it was made in."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from app.desk import Desk

T = TypeVar("T")


def choose(
    desk: Desk, label: str, options: Sequence[T], name: Callable[[T], str], *, key: str, first: T
) -> T:
    """Let the user choose one of several.

    A browser sends back the words that it shows. Where the words change under it, it goes on showing
    the old ones while the server starts anew; so each language has a widget of its own, and what was
    chosen is kept beside it.

    Args:
        desk: What the page works with.
        label: What is chosen.
        options: At least one.
        name: Of an option; may depend on the language, and on nothing else.
        key: Of the place, unique on the page.
        first: Chosen until somebody chooses, where it is an option.
    """
    kept_as = f"{key}_kept"
    kept = st.session_state.get(kept_as, first)
    with st.container(key=key):
        chosen: T = st.selectbox(
            label,
            options,
            index=options.index(kept) if kept in options else 0,
            format_func=name,
            key=f"{key}_{desk.texts.language}",
        )
    st.session_state[kept_as] = chosen
    return chosen
