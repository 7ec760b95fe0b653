"""How the dashboard starts, and what it says where something it needs is not there."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import expect

from tests.app.browser.album import Album
from tests.app.browser.conftest import Enter
from tests.app.browser.serving import ROOT, STREAMLIT, Dashboard, Shop, free_port, running

COMMAND = (sys.executable, "-m", "pipelines.cli", "dashboard")


def test_without_a_model_in_production_every_page_says_what_to_run_and_goes_on_by_itself(
    enter: Enter, new_shop: Callable[[], Shop]
) -> None:
    shop = new_shop()
    with running(shop) as dashboard:
        person = enter(dashboard=dashboard).go()
        for page in ("", "batch", "evidence"):
            person.go(page)
            person.sees("skin-lesion promote VERSION")
            person.sees_nothing_of_the_inside()
        shop.promote(1)
        expect(person.page.get_by_text("skin-lesion promote VERSION")).to_have_count(
            0, timeout=30_000
        )
        person.sees(person.texts("frame.badge.serves", version=1))


def test_the_command_starts_it_and_tells_the_page_nothing_of_this_machine(
    enter: Enter, new_shop: Callable[[], Shop]
) -> None:
    shop = new_shop()
    shop.promote(1)
    options = ("--cache", str(shop.folder / "cache"), "--audit", f"sqlite:///{shop.audit_file}")
    with running(shop, command=COMMAND, port_option="--port", options=options) as dashboard:
        person = enter("es-ES", dashboard=dashboard).go()
        person.sees(person.texts("frame.badge.serves", version=1))
        person.sees_nothing_of_the_inside()


def test_the_command_refuses_other_machines_without_a_log_in(shop: Shop) -> None:
    finished = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0", "--port", str(free_port())],
        cwd=ROOT,
        env=shop.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 1
    assert "--insecure" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_streamlit_itself_told_to_listen_everywhere_answers_nobody(
    enter: Enter, new_shop: Callable[[], Shop]
) -> None:
    everywhere = ("--server.address", "0.0.0.0")
    with running(new_shop(), command=STREAMLIT, options=everywhere) as dashboard:
        answer = httpx.get(dashboard.address, headers={"Accept-Language": "es"})
        assert answer.status_code == 403
        assert "Quien" in answer.text or "quien" in answer.text
        assert httpx.get(f"{dashboard.address}/_stcore/stream").status_code in (403, 404)
        person = enter(dashboard=dashboard)
        person.page.goto(dashboard.address)
        person.sees(person.texts("door.refused.address"))
        person.complaints.clear()  # the browser notes the 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via"])
def test_a_proxy_that_nobody_configured_reaches_nothing(dashboard: Dashboard, header: str) -> None:
    address = dashboard.address
    assert httpx.get(address, headers={header: "203.0.113.9"}).status_code == 403
    assert httpx.get(address, headers={"Host": "attacker.example"}).status_code == 403
    assert httpx.get(address).status_code == 200


def test_an_audit_log_that_cannot_be_used_is_told_without_its_path(
    enter: Enter, new_shop: Callable[[], Shop]
) -> None:
    shop = new_shop()
    shop.promote(1)
    shop.audit_file.mkdir()  # no database can be there
    with running(shop) as dashboard:
        person = enter(dashboard=dashboard).go()
        person.sees(person.texts("frame.audit.title"))
        person.sees_nothing_of_the_inside()
        dashboard.troubles()  # the server's log is where the path belongs


def test_an_audit_log_that_fails_under_way_gives_no_answer_and_shows_no_path(
    enter: Enter, new_shop: Callable[[], Shop], album: Album
) -> None:
    shop = new_shop()
    shop.promote(1)
    with running(shop) as dashboard:
        person = enter(dashboard=dashboard).go()
        expect(person.page.get_by_test_id("stFileUploaderDropzone")).to_be_visible()
        with sqlite3.connect(shop.audit_file) as database:
            database.execute(
                "CREATE TRIGGER full BEFORE INSERT ON audit_log BEGIN"
                " SELECT RAISE(ABORT, 'disk full: /var/lib/audit.db'); END"
            )
        person.give(album.lesion())
        person.sees(person.texts("read.reading.failed"))
        expect(person.at("read_risk")).to_have_count(0)
        person.sees_nothing_of_the_inside()
        with sqlite3.connect(shop.audit_file) as database:
            database.execute("DROP TRIGGER full")
        person.at("read_again").get_by_role("button").click()
        expect(person.at("read_risk")).to_be_visible()
        assert shop.rows() == 1
        dashboard.troubles()
