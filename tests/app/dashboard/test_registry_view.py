"""The page of models: whom it lets act, what it shows, and how a change is confirmed."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.clinic import models
from app.clinic.models import Models, Order, Outcome, OutOfReachError, UnwrittenLookError
from app.clinic.users import LOCAL, User
from app.desk import Desk
from app.widgets import door, registry_dialog
from skin_lesion.registry import (
    Change,
    Disagreement,
    MirrorRecord,
    Recorded,
    RegisteredVersion,
    RegistryState,
    Seen,
)
from skin_lesion.texts import Language
from tests.app.dashboard.desk_of_ones_own import desk_of, html_of, press, saying

WHEN = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERDICT = {
    "passed": False, "synthetic_only": False, "split_hash": "s", "bundle_hash": "b",
    "checks": [
        {"name": "macro_f1", "value": 0.512, "ci_low": 0.4, "ci_high": 0.6, "minimum": 0.6,
         "passed": False, "reason": "Macro F1 is 0.512, which is below the minimum of 0.600."},
        {"name": "ece", "value": 0.02, "maximum": 0.04, "passed": True, "reason": "It is fine."},
    ],
}  # fmt: skip


def version(number: int, **tags: str) -> RegisteredVersion:
    return RegisteredVersion(
        name="m", version=number, uri=f"models:/m-{number}", bundle_hash="b", run_id="r",
        created=False, tags={"gate": "passed", "synthetic_only": "false", **tags},
    )  # fmt: skip


def change(number: int, after: int, before: int | None, **more: Any) -> Recorded:
    made = Change(
        number=number, kind="promotion", model="m", before=before, after=after, previous=None,
        user="ann <script>", when=WHEN, reason="it is <b>better</b>", **more,
    )  # fmt: skip
    return Recorded(change=made, state="done", run_id="r")


FAILED = version(3, gate="failed", gate_failed="macro_f1", gate_report=json.dumps(VERDICT))
STATE = RegistryState(
    model="m",
    champion=2,
    previous=1,
    versions=(version(1), version(2), FAILED),
    changes=(change(1, 1, None), change(2, 2, 1, override="a hurry")),
    disagreements=(),
)
LAGGING = MirrorRecord(version=1, uri="models:/m-1", when=WHEN)
MODELS = Models(STATE, {1: WHEN, 2: WHEN, 3: WHEN}, LAGGING)


class Orders:
    """Takes orders, and answers as a test wants."""

    def __init__(self) -> None:
        self.given: list[tuple[Order, User]] = []
        self.answers: list[Outcome] = []

    def __call__(self, order: Order, user: User) -> Outcome:
        self.given.append((order, user))
        return self.answers.pop(0)


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Orders:
    found = Orders()
    monkeypatch.setattr(registry_dialog, "carry_out", found)
    return found


@pytest.fixture(autouse=True)
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "look", lambda: MODELS)


def desk(folder: Path, *, user: User = LOCAL, language: Language = "en") -> Desk:
    made = desk_of(folder, saying(2), language=language, user=user)
    made.store.refresh = lambda: None  # type: ignore[assignment,method-assign,return-value]
    return made


def _script(desk: object) -> None:
    from app.views import registry

    registry.show(desk)  # type: ignore[arg-type]


def opened(made: Desk) -> AppTest:
    page = AppTest.from_function(_script, kwargs={"desk": made}, default_timeout=30).run()
    assert not page.exception
    return page


def said(page: AppTest) -> str:
    """Everything that is written on the page."""
    parts = [*page.markdown, *page.error, *page.warning, *page.info, *page.success, *page.caption]
    return "\n".join([*(one.value for one in parts), html_of(page)])


def test_who_is_no_engineer_sees_no_versions(tmp_path: Path) -> None:
    clinician = User("cleo", frozenset({"clinician"}))
    page = opened(desk(tmp_path, user=clinician))
    assert "is for engineers" in said(page)
    assert not page.button
    assert "models:/" not in said(page)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "cannot be reached"), ("es", "No se puede acceder al registro")],
)
def test_a_registry_out_of_reach_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: Language, words: str
) -> None:
    def fail() -> Models:
        raise OutOfReachError("secret")

    monkeypatch.setattr(models, "look", fail)
    page = opened(desk(tmp_path, language=language))
    assert words in said(page)
    assert "secret" not in said(page)


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "written down first cannot be written"), ("es", "el libro donde antes se anota")],
)
def test_a_ledger_that_cannot_be_written_is_not_taken_for_a_registry_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: Language, words: str
) -> None:
    def fail(*_: int) -> None:
        raise UnwrittenLookError("secret")

    monkeypatch.setattr(models, "compare", fail)
    page = opened(desk(tmp_path, language=language))
    press(page, "evidence_compare")
    assert words in said(page).replace("\n", " ")
    for stated in ("secret", "The registry cannot be reached", "No se puede acceder"):
        assert stated not in said(page)


def test_versions_gates_and_changes_are_shown_and_what_others_wrote_is_escaped(
    tmp_path: Path,
) -> None:
    text = said(opened(desk(tmp_path)))
    assert "✗\u00a0failed" in text
    assert "Macro F1 is high enough" in text
    assert "0.512 (0.400 to 0.600)" in text
    assert "at least 0.600" in text
    assert "ann &lt;script&gt;" in text
    assert "it is &lt;b&gt;better&lt;/b&gt;" in text
    assert "In spite of its gates: a hurry" in text
    assert "<script>" not in text


def test_a_mirror_that_lags_is_told_with_what_to_run(tmp_path: Path) -> None:
    text = said(opened(desk(tmp_path, language="es")))
    assert "El reflejo en ZenML está atrasado" in text
    assert "la versión 1" in text
    assert "skin-lesion status --repair" in text


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (None, "not recorded whether ZenML's mirror"),
        (MirrorRecord(version=2, uri="models:/m-2", when=WHEN), "By the last record"),
    ],
)
def test_a_mirror_that_follows_or_is_unknown_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: MirrorRecord | None, words: str
) -> None:
    monkeypatch.setattr(models, "look", lambda: Models(STATE, {}, record))
    assert words in said(opened(desk(tmp_path)))


def test_contradictions_are_told_in_words_with_what_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Disagreement(code="set_outside", text="The alias <was> set.")
    state = STATE.model_copy(update={"disagreements": (told,)})
    monkeypatch.setattr(models, "look", lambda: Models(state, {}, LAGGING))
    text = said(opened(desk(tmp_path)))
    assert "set by another tool, without a record" in text
    assert "The alias &lt;was&gt; set." in text


def test_the_version_in_production_cannot_be_promoted_again(tmp_path: Path) -> None:
    page = opened(desk(tmp_path))
    page.selectbox(key="registry_version_en").select(2).run()
    assert page.button(key="registry_promote").disabled


def test_promoting_asks_first_from_what_to_what(tmp_path: Path, orders: Orders) -> None:
    page = press(opened(desk(tmp_path)), "registry_promote")
    assert "**Version 2** → afterwards: **Version 3**" in said(page)
    assert not orders.given


# A test draws the whole page where a browser draws the dialog alone, so that would be closed.
def _dialog(desk: object, models: object, kind: object, target: int) -> None:
    import streamlit as st

    from app.widgets import registry_dialog, registry_state

    if "registry_order" not in st.session_state:
        registry_dialog.begin()
    registry_state.outcome(desk, models)  # type: ignore[arg-type]
    registry_dialog.confirm(desk, models, kind, target)  # type: ignore[arg-type]


def asked(made: Desk, kind: models.Kind, target: int) -> AppTest:
    wanted = {"desk": made, "models": MODELS, "kind": kind, "target": target}
    page = AppTest.from_function(_dialog, kwargs=wanted, default_timeout=30).run()
    assert not page.exception
    return page


@pytest.fixture(autouse=True)
def whole_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_dialog, "_draw_again", st.rerun)
    monkeypatch.setattr(door, "admit", lambda *_: LOCAL)


def test_a_change_is_ordered_with_its_reason_from_what_was_seen(
    tmp_path: Path, orders: Orders
) -> None:
    made = desk(tmp_path)
    page = asked(made, "promotion", 3)
    orders.answers = [Outcome("done")]
    page.text_area(key="registry_reason").input("it is better")
    press(page, "registry_confirm")
    [(order, user)] = orders.given
    assert (order.kind, order.target, order.seen) == ("promotion", 3, Seen(2, 1))
    assert (order.reason, order.override, user) == ("it is better", "", LOCAL)
    assert "Version 3 is in production." in said(page)


def test_the_store_looks_at_once_after_a_change(tmp_path: Path, orders: Orders) -> None:
    made, looked = desk(tmp_path), threading.Event()
    made.store.refresh = looked.set  # type: ignore[assignment,method-assign]
    page = asked(made, "rollback", 1)
    orders.answers = [Outcome("changed")]
    press(page, "registry_confirm")
    assert not looked.is_set()
    orders.answers = [Outcome("done")]
    press(page, "registry_confirm")
    assert looked.wait(30)


def test_a_refusal_names_the_gates_in_plain_words_and_asks_why_in_spite_of_them(
    tmp_path: Path, orders: Orders
) -> None:
    page = asked(desk(tmp_path, language="es"), "promotion", 3)
    orders.answers = [
        Outcome("refused", ("Gate macro_f1: too low.", "Gate no_regression_macro_f1: a <loss>.")),
        Outcome("done"),
    ]
    page.text_area(key="registry_reason").input("porque sí")
    press(page, "registry_confirm")
    text = said(page)
    assert "El F1 macro es suficiente" in text
    assert "0,512 (0,400 a 0,600); se requiere al menos 0,600" in text
    # What is compared with production anew is said as the registry said it.
    assert "diferencia de F1 macro" in text
    assert "a &lt;loss&gt;." in text
    page.text_area(key="registry_override").input("una demostración")
    press(page, "registry_confirm")
    first, second = (order for order, _ in orders.given)
    assert (first.override, second.override) == ("", "una demostración")
    assert first.number != second.number  # or the second would be taken for a double click


def test_a_second_click_gives_the_same_order(tmp_path: Path, orders: Orders) -> None:
    page = asked(desk(tmp_path), "rollback", 1)
    orders.answers = [Outcome("busy"), Outcome("busy")]
    press(page, "registry_confirm")
    press(page, "registry_confirm")
    first, second = (order for order, _ in orders.given)
    assert first == second


def test_the_role_is_asked_for_anew_when_the_change_is_made(
    tmp_path: Path, orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = asked(desk(tmp_path), "promotion", 3)
    demoted = User("eve", frozenset({"clinician"}))
    monkeypatch.setattr(door, "admit", lambda *_: demoted)
    orders.answers = [Outcome("forbidden")]
    press(page, "registry_confirm")
    assert orders.given[0][1] == demoted
    assert "nothing was done" in said(page)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("changed"), "Production was changed meanwhile"),
        (Outcome("broken", ("File <x> differs.",)), "File &lt;x&gt; differs."),
        (Outcome("unwritten"), "ledger of such looks cannot be written"),
        (Outcome("unclear"), "not certain whether the change was carried out"),
        (Outcome("done"), "Version 1 is in production."),
    ],
)
def test_what_came_of_going_back_is_told_until_it_was_read(
    tmp_path: Path, orders: Orders, outcome: Outcome, words: str
) -> None:
    page = asked(desk(tmp_path), "rollback", 1)
    assert "The gates are not asked" in said(page)
    orders.answers = [outcome]
    page.text_area(key="registry_reason").input("it was worse")
    press(page, "registry_confirm")
    assert orders.given[0][0].kind == "rollback"
    assert words in said(page)
    press(page, "registry_outcome_close")
    assert words not in said(page)
