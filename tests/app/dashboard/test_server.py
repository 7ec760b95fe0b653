"""The server as Streamlit runs it: what a page that fails tells its user, over a real websocket."""

import logging
from collections.abc import Iterator

import pytest
import streamlit as st
from starlette.testclient import TestClient
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime

from app import failures
from skin_lesion.texts import Texts

SECRET = "a path of this machine and a patient's name"
PAGE = f"""
import streamlit as st
what = st.query_params.get("what")
st.write("begun")
if what == "raise":
    raise ValueError({SECRET!r})
if what == "stop":
    st.stop()
if what == "rerun" and not st.session_state.get("again"):
    st.session_state["again"] = True
    st.rerun()
if what == "fragment":
    @st.fragment
    def part():
        raise KeyError({SECRET!r})
    part()
st.write("ended")
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    page = tmp_path_factory.mktemp("server") / "page.py"
    page.write_text(PAGE)
    before = Runtime._instance
    Runtime._instance = None
    shown = st.get_option("client.showErrorDetails")
    try:
        st.set_option("client.showErrorDetails", "none")
        app = st.App(page, on_script_error=failures.tell)
        with TestClient(app, base_url="http://127.0.0.1:8501") as client:
            yield client
    finally:
        st.set_option("client.showErrorDetails", shown)
        Runtime._instance = before


def visited(client: TestClient, what: str) -> tuple[bytes, list[str]]:
    """All that a browser is sent, and the texts that the page shows."""
    received, texts = b"", []
    with client.websocket_connect("/_stcore/stream") as socket:
        message = BackMsg()
        message.rerun_script.query_string = f"what={what}"
        message.rerun_script.context_info.locale = "es-ES"
        socket.send_bytes(message.SerializeToString())
        while True:
            data = socket.receive_bytes()
            received += data
            forward = ForwardMsg.FromString(data)
            element = forward.delta.new_element
            texts += [t for t in (element.markdown.body, element.alert.body) if t]
            if forward.WhichOneof("type") == "script_finished" and (
                forward.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
            ):
                return received, texts


@pytest.mark.parametrize("what", ["raise", "fragment"])
def test_a_page_that_fails_tells_its_user_a_number_and_nothing_of_what_went_wrong(
    client: TestClient, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="app.failures"):
        received, texts = visited(client, what)
    [record] = [record for record in caplog.records if record.name == "app.failures"]
    number = str(record.args[0])  # type: ignore[index]
    assert Texts("es")("frame.failure", number=number) in texts
    assert record.exc_info
    assert SECRET in str(record.exc_info[1])
    for secret in (SECRET, "Traceback"):
        assert secret.encode() not in received


@pytest.mark.parametrize(
    ("what", "expected"),
    [("stop", ["begun"]), ("rerun", ["begun", "ended"]), ("nothing", ["begun", "ended"])],
)
def test_a_page_that_stops_or_starts_again_on_purpose_is_no_failure(
    client: TestClient, what: str, expected: list[str]
) -> None:
    # What a run drew that was followed by another at once may not be sent at all.
    assert list(dict.fromkeys(visited(client, what)[1])) == expected
