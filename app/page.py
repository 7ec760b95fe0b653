"""The dashboard's page, drawn anew whenever a user does something.

It decides who sits before it and in which language, draws what stands on every page, and hands over
to the page that the user is on.
"""

from collections.abc import Callable

import streamlit as st

from app import desk as shared
from app.desk import Desk
from app.views import batch, evidence, history, read, registry
from app.widgets import door, frame
from skin_lesion.texts import Texts


def main() -> None:
    """Draw the page that the user is on."""
    texts = Texts(shared.language(), st.context.timezone)
    frame.open_page(texts)
    config = shared.configuration()
    user = door.admit(config, texts)
    desk = Desk(config, texts, user, shared.model_store(), frame.audit_log(texts))
    pages = [
        _page(desk, read.show, "read", ":material/image_search:", first=True),
        _page(desk, batch.show, "batch", ":material/grid_view:"),
        _page(desk, history.show, "history", ":material/history:"),
        _page(desk, evidence.show, "evidence", ":material/monitoring:"),
    ]
    # Others who come to its address read that it is not theirs, in their language.
    pages.append(
        _page(
            desk,
            registry.show,
            "registry",
            ":material/deployed_code:",
            hidden=not user.may("engineer"),
        )
    )
    page = st.navigation(pages, position="sidebar")
    frame.surround(desk)
    page.run()


def _page(
    desk: Desk,
    show: Callable[[Desk], None],
    name: str,
    icon: str,
    *,
    first: bool = False,
    hidden: bool = False,
) -> "st.Page":
    def run() -> None:
        show(desk)

    # The address is the same in every language, so that a link goes on working.
    return st.Page(
        run,
        title=desk.texts(f"frame.pages.{name}"),
        icon=icon,
        url_path=name,
        default=first,
        visibility="hidden" if hidden else "visible",
    )


main()
