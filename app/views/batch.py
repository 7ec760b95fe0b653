"""The page on which many pictures are read at one go."""

from html import escape

import streamlit as st

from app.clinic.batch_table import Batch, BatchRow
from app.clinic.lesions import groups_by_name
from app.clinic.report_content import plain
from app.desk import Desk
from app.widgets import batch_answer, batch_intake, batch_results
from app.widgets.operating_point import choose_point
from app.widgets.waiting import served_or_wait

_BATCH = "batch.pictures"
_NAMES_IN_PROPOSAL = 4


def show(desk: Desk) -> None:
    """Draw the page."""
    texts = desk.texts
    st.title(texts("frame.pages.batch"))
    if not desk.user.may("clinician"):
        st.info(texts("read.not_clinician"), icon=":material/lock:")
        return
    batch = _batch(desk)
    served = served_or_wait(desk, texts("batch.waiting"))
    if served is not None:
        if not batch.rows:
            st.html(f'<p class="sl-quiet">{escape(texts("batch.intro"))}</p>')
        batch_intake.intake(desk, batch)
        if batch.waiting:
            batch_intake.read(desk, batch, served)
    if batch.rows:
        _results(desk, batch)


def _batch(desk: Desk) -> Batch:
    """This session's pictures; they stay while its user visits other pages."""
    if _BATCH not in st.session_state:
        st.session_state[_BATCH] = Batch(desk.config)
    batch: Batch = st.session_state[_BATCH]
    return batch


def _results(desk: Desk, batch: Batch) -> None:
    texts, rows = desk.texts, batch.rows
    # The point is the newest model's: what an older one said at a point of that name counts as well.
    newest = max(rows, key=lambda each: each.reading.model_version).reading
    with st.container(horizontal=True, key="batch_tools", vertical_alignment="bottom"):
        point = choose_point(desk, newest.served.contract, key="batch_point")
        batch_results.tools(texts, batch)
    batch_results.summary(texts, rows, point)
    _outdated(desk, rows)
    selected = batch_results.refused(texts, rows, "batch_refused")
    selected += batch_results.assessed(desk, rows, point, "batch_assessed")
    proposed = _proposed(desk, batch)
    chosen = batch.chosen(each.number for each in selected) or proposed
    if len(chosen) == 1:
        batch_answer.single(desk, chosen[0], point)
    elif chosen:
        batch_answer.lesion(desk, chosen, point)


def _outdated(desk: Desk, rows: list[BatchRow]) -> None:
    served = desk.store.state().served
    versions = {each.reading.model_version for each in rows}
    if served is None or versions == {served.version.version}:
        return
    older = ", ".join(str(version) for version in sorted(versions - {served.version.version}))
    said = desk.texts("batch.outdated", versions=older, current=served.version.version)
    st.info(said, icon=":material/history:")


def _proposed(desk: Desk, batch: Batch) -> list[BatchRow]:
    """Pictures of what may be one lesion, if the user takes a proposal."""
    texts = desk.texts
    rows = sorted(batch.rows, key=lambda each: each.number)
    groups = groups_by_name([each.reading.name for each in rows])
    if not groups:
        return []
    proposals = {tuple(rows[place].number for place in group): group for group in groups}

    def said(numbers: tuple[int, ...] | None) -> str:
        if numbers is None:
            return texts("batch.proposals.none")
        names = [plain(rows[place].reading.name) for place in proposals[numbers]]
        listed = ", ".join(names[:_NAMES_IN_PROPOSAL])
        more = "" if len(names) <= _NAMES_IN_PROPOSAL else ", …"
        count = texts.number(len(names))
        return texts("batch.proposals.line", names=f"{listed}{more}", count=count)

    taken = st.selectbox(
        texts("batch.proposals.label"),
        [None, *proposals],
        format_func=said,
        help=texts("batch.proposals.help"),
        key="batch_proposal",
    )
    return batch.chosen(taken or ())
