"""How the model does on women and men, on young and old, and on each part of the body."""

import streamlit as st

from app.clinic.measured import Evidence
from app.desk import Desk
from app.widgets import evidence_charts
from app.widgets.evidence_choice import choose
from app.widgets.evidence_tables import table
from app.widgets.evidence_words import figure, share
from skin_lesion.evaluation.subgroups import Subgroup, SubgroupAttribute, SubgroupFigures
from skin_lesion.texts import Texts

_ATTRIBUTE, _FIGURE = "evidence_attribute", "evidence_group_figure"


def groups(desk: Desk, found: Evidence) -> None:
    """Draw the section."""
    texts, figures = desk.texts, found.report.evidence.subgroups
    st.header(texts("evidence.groups.title"), anchor=False)
    skin = "synthetic" if found.report.synthetic_only else "real"
    st.info(texts(f"evidence.groups.skin_tone_{skin}"), icon=":material/info:")
    if figures is None or not figures.attributes:
        st.markdown(texts("evidence.groups.without"))
        return
    st.markdown(
        texts(
            "evidence.groups.lead",
            images=texts.number(figures.min_images),
            lesions=texts.number(figures.min_positives),
        )
    )
    _chosen(desk, figures)


@st.fragment
def _chosen(desk: Desk, figures: SubgroupFigures) -> None:
    texts = desk.texts
    left, right = st.columns(2)
    with left:
        by = choose(
            desk,
            texts("evidence.groups.by"),
            range(len(figures.attributes)),
            lambda index: texts(f"evidence.groups.{figures.attributes[index].name}"),
            key=_ATTRIBUTE,
            first=0,
        )
    names = [one.name for one in figures.overall.figures]
    with right:
        name = choose(
            desk,
            texts("evidence.groups.figure"),
            names,
            lambda one: _named(texts, one),
            key=_FIGURE,
            first=names[0],
        )
    attribute = figures.attributes[by]
    chart, listed = st.columns([2, 3], gap="large")
    shown = [(_group(texts, attribute, one), one.figure(name)) for one in attribute.groups]
    with chart:
        st.altair_chart(
            evidence_charts.forest(
                texts,
                shown,
                figures.overall.figure(name),
                _named(texts, name),
                per_cent=not name.endswith("_auc"),
            ),
            key="evidence_forest",
        )
        st.caption(texts("evidence.groups.dashed"))
    with listed:
        st.html(
            table(
                texts("evidence.groups.caption", what=_named(texts, name)),
                [
                    texts(f"evidence.groups.{column}")
                    for column in ("group", "images", "melanomas", "malignant", "value")
                ],
                [
                    _row(texts, texts("evidence.groups.all"), figures.overall, name),
                    *(
                        _row(texts, _group(texts, attribute, one), one, name)
                        for one in attribute.groups
                    ),
                ],
                marked=(0,),
            )
        )
    st.caption(texts("evidence.groups.how"))


def _row(texts: Texts, title: str, group: Subgroup, name: str) -> list[str]:
    found = group.figure(name)
    if found is None:
        value = texts("evidence.groups.too_few")
    else:
        value = figure(texts, found) if name.endswith("_auc") else share(texts, found)
    return [
        title,
        texts(
            "evidence.groups.of_lesions",
            images=texts.number(group.n_images),
            lesions=texts.number(group.n_lesions),
        ),
        texts.number(group.melanoma_images),
        texts.number(group.malignant_images),
        value,
    ]


def _group(texts: Texts, attribute: SubgroupAttribute, group: Subgroup) -> str:
    """A group's name; one that the texts do not know is called as the data call it."""
    key = f"evidence.{attribute.name}.{_KEYS.get(group.name, group.name.replace(' ', '_'))}"
    return texts(key) if key in texts else group.name


_KEYS = {"<30": "under_30", "30-49": "from_30", "50-69": "from_50", "70+": "from_70"}


def _named(texts: Texts, name: str) -> str:
    point, _, kind = name.rpartition(".")
    if not point:
        return texts(f"evidence.figures.{name}")
    target, criterion, goal = point.rsplit("_", 2)
    return texts(
        f"evidence.groups.at_{kind}",
        target=texts(f"evidence.target.{target}"),
        criterion=texts(f"evidence.groups.{criterion}"),
        goal=texts.percent(int(goal) / 100),
    )
