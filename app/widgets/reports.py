"""Buttons that make the printable report, when they are pressed and not before."""

import logging
from collections.abc import Callable

import streamlit as st

from app.clinic.readings import PictureReading
from app.clinic.report import ReportContent, report_content, report_html, report_pdf
from app.desk import Desk
from app.widgets.answer import point_figures
from app.widgets.download import kept
from app.widgets.operating_point import current_point

log = logging.getLogger(__name__)


def report_buttons(desk: Desk, reading: PictureReading, label: str | None) -> None:
    """Draw them.

    Args:
        desk: What the page works with.
        reading: The reading.
        label: Class of the heat-map that is looked at; None where there is none.
    """
    texts = desk.texts
    number = reading.audit_id if reading.audit_id is not None else f"{reading.at:%Y%m%d-%H%M%S}"
    name = texts("answer.report.file", number=number)
    # Decided now: the report says what the page said when its button was drawn.
    point = current_point(reading.served.contract)
    figures = point_figures(reading, point)

    def made(draw: Callable[[ReportContent], bytes]) -> Callable[[], bytes]:
        def make() -> bytes:
            try:
                return draw(
                    report_content(
                        reading, texts, desk.user, point=point, figures=figures, label=label
                    )
                )
            except Exception:
                # It runs in a thread of the server, which tells the user that there is no file.
                log.exception("the report of reading %s could not be made", reading.audit_id)
                raise

        return make

    with st.container(horizontal=True, key="read_report"):
        st.download_button(
            texts("answer.report.html"),
            kept(made(_page), "text/html", f"{name}.html"),
            file_name=f"{name}.html",
            mime="text/html",
            key="read_report_html",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            texts("answer.report.pdf"),
            kept(made(report_pdf), "application/pdf", f"{name}.pdf"),
            file_name=f"{name}.pdf",
            mime="application/pdf",
            key="read_report_pdf",
            icon=":material/picture_as_pdf:",
            on_click="ignore",
        )


def _page(content: ReportContent) -> bytes:
    return report_html(content).encode("utf-8")
