"""Two versions on the same test images, worked out when somebody asks for it."""

import streamlit as st

from app.clinic import models
from app.desk import Desk
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import signed
from skin_lesion.evaluation.comparison import Difference
from skin_lesion.registry import VersionComparison
from skin_lesion.texts import Texts


def comparison(desk: Desk, before: int, after: int) -> None:
    """Draw a button, and the differences with their intervals once it was pressed."""
    texts = desk.texts
    asked = f"evidence_compared_{before}_{after}"
    if st.button(
        texts("evidence.compare.button"), icon=":material/difference:", key="evidence_compare"
    ):
        st.session_state[asked] = True
    if not st.session_state.get(asked):
        return
    try:
        with st.spinner(texts("evidence.compare.working")):
            found = _compared(before, after)
    except models.OutOfReachError:
        st.warning(texts("evidence.change.unreachable"), icon=":material/warning:")
    except models.UnwrittenLookError:
        st.warning(texts("evidence.compare.unwritten"), icon=":material/warning:")
    except (LookupError, ValueError):
        st.warning(texts("evidence.compare.cannot"), icon=":material/warning:")
    else:
        _differences(texts, found)


def _differences(texts: Texts, found: VersionComparison) -> None:
    st.html(
        table(
            texts(
                "evidence.compare.caption",
                images=texts.number(found.comparison.n_images),
                lesions=texts.number(found.comparison.n_lesions),
            ),
            [
                texts("evidence.chart.figure"),
                texts("evidence.change.version", version=found.a.version),
                texts("evidence.change.version", version=found.b.version),
                texts("evidence.change.difference"),
                texts("evidence.compare.says"),
            ],
            [
                [
                    texts(f"evidence.figures.{name}"),
                    texts("evidence.none") if one.a is None else texts.number(one.a, 3),
                    texts("evidence.none") if one.b is None else texts.number(one.b, 3),
                    _difference(texts, one),
                    texts(f"evidence.compare.{_verdict(one)}"),
                ]
                for name, one in found.comparison.figures.items()
            ],
            words=(0, 4),
        )
    )
    st.caption(texts("evidence.compare.how"))


def _difference(texts: Texts, one: Difference) -> str:
    found = one.difference
    if found.value is None:
        return texts("evidence.none")
    value = signed(texts, found.value)
    if found.ci_low is None or found.ci_high is None:
        return texts("evidence.no_interval", value=value)
    low, high = signed(texts, found.ci_low), signed(texts, found.ci_high)
    return texts("evidence.interval", value=value, low=low, high=high)


def _verdict(one: Difference) -> str:
    low, high = one.difference.ci_low, one.difference.ci_high
    if low is None or high is None:
        return "no_verdict"
    if one.b_is_worse:
        return "worse"
    return "better" if (low > 0 if one.higher_is_better else high < 0) else "unclear"


@st.cache_data(max_entries=8, show_spinner=False)
def _compared(before: int, after: int) -> VersionComparison:
    return models.compare(before, after)
