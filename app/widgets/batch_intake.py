"""Where many pictures come from, and how far reading them has come."""

import logging
from html import escape

import streamlit as st

from app.clinic.batch_table import Batch
from app.clinic.report_content import plain
from app.desk import Desk
from app.model_store import Served
from app.widgets.uploader import translated_uploader
from app.widgets.uploads import held, let_go
from skin_lesion.audit import AuditError

log = logging.getLogger(__name__)

_ROUND = "batch.round"
_FAILED = "batch.failed"
_MB = 2**20
_NAMED = 12


def intake(desk: Desk, batch: Batch) -> None:
    """Draw the uploader; what is given waits in the batch, and is no longer held by the widget."""
    texts, config = desk.texts, desk.config
    size = int(st.get_option("server.maxUploadSize"))  # of a zip too
    key = _key()
    translated_uploader(texts, "batch_files_", size=size, count=config.max_files)
    with st.container(key="batch_intake"):
        st.file_uploader(
            texts("batch.upload"),
            accept_multiple_files=True,
            # Once there is a table, the room is its.
            label_visibility="collapsed" if batch.rows else "visible",
            help=texts(
                "batch.upload_help",
                count=texts.number(config.max_files),
                size=texts.number(max(1, config.max_file_bytes // _MB)),
            ),
            key=key,
            on_change=_take,
            args=(key, batch),
        )
        _not_taken(desk, batch)


def read(desk: Desk, batch: Batch, served: Served) -> None:
    """Read what waits, a few at a time, and draw the page anew when all is done.

    A run of the page that is stopped in the middle loses nothing: what was read is in the batch, and
    the next run goes on.
    """
    texts = desk.texts
    if failed := st.session_state.get(_FAILED):
        _give_up_or_again(desk, batch, failed)
        return
    with st.container(key="batch_progress", horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0)
        st.button(
            texts("batch.stop"), key="batch_stop", icon=":material/stop:", on_click=batch.stop
        )
    while waiting := batch.waiting:
        wanted = max(batch.wanted, waiting)
        model = (batch.served or served).version.version
        said = texts("batch.progress", done=wanted - waiting + 1, count=wanted, version=model)
        bar.progress((wanted - waiting) / wanted, text=said)
        try:
            batch.read_some(served, desk.user, desk.audit)
        # Whatever it was, what was read before stays, and the user can try again or leave the rest.
        except Exception as error:
            log.exception("some of many pictures were not read")
            st.session_state[_FAILED] = "failed" if isinstance(error, AuditError) else "broken"
            st.rerun()
    st.rerun()


def _give_up_or_again(desk: Desk, batch: Batch, failed: str) -> None:
    texts = desk.texts
    st.error(texts(f"batch.{failed}", count=texts.number(batch.waiting)), icon=":material/error:")
    with st.container(horizontal=True):
        st.button(texts("batch.again"), key="batch_again", type="primary", on_click=_forgive)
        st.button(texts("batch.stop"), key="batch_give_up", on_click=_give_up, args=(batch,))


def _forgive() -> None:
    st.session_state.pop(_FAILED, None)


def _give_up(batch: Batch) -> None:
    batch.stop()
    _forgive()


def _take(key: str, batch: Batch) -> None:
    # A run that another one overtakes may call this, and then the other one calls it again.
    if key != _key():
        return
    files = held(st.session_state.get(key))
    if files:
        st.session_state[_ROUND] += 1  # the next widget is empty, and these files are let go
        batch.give((file.name, file.getvalue()) for file in files)
        let_go(files)


def _key() -> str:
    """Of the uploader that is drawn now."""
    return f"batch_files_{st.session_state.setdefault(_ROUND, 0)}"


def _not_taken(desk: Desk, batch: Batch) -> None:
    """Name the files that were not read, the first of them at least."""
    texts, config = desk.texts, desk.config
    if not batch.not_taken:
        return
    limits = {
        "size": texts.number(max(1, config.max_file_bytes // _MB)),
        "count": texts.number(config.max_files),
        "rows": texts.number(config.batch_rows),
    }
    lines = [
        texts(
            "batch.not_taken.line",
            name=plain(one.name),
            why=texts(f"batch.not_taken.{one.why}", **limits),
        )
        for one in batch.not_taken[:_NAMED]
    ]
    if more := len(batch.not_taken) - len(lines):
        lines.append(texts("batch.not_taken.more", count=texts.number(more)))
    title = texts("batch.not_taken.title", count=texts.number(len(batch.not_taken)))
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    st.html(
        f'<div class="sl-not-taken" role="status"><strong>⚠ {escape(title)}</strong>'
        f"<ul>{items}</ul></div>"
    )
