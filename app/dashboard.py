"""The clinicians' dashboard: `skin-lesion dashboard`, or `streamlit run app/dashboard.py`.

This is the server: what happens once, and what surrounds every request. What users see is drawn by
`page.py`, anew whenever one of them does something.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

_HERE = Path(__file__).resolve().parent
# The project need not be installed for its rooms to be found.
if str(_HERE.parent) not in sys.path:
    sys.path.insert(0, str(_HERE.parent))

from app import desk as shared  # noqa: E402
from app import failures, warming  # noqa: E402
from app.gate import Gate  # noqa: E402

log = logging.getLogger("app.dashboard")


@asynccontextmanager
async def _running(_: st.App) -> AsyncIterator[None]:
    """While the server runs: the model loads before anybody asks for it."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("app").setLevel(logging.INFO)
    if shared.entrance().fault is None:
        host, port = st.get_option("server.address"), st.get_option("server.port")
        log.info("the dashboard is at http://%s:%s", host, port)
    threading.Thread(target=warming.warm, name="warming", daemon=True).start()
    try:
        yield
    finally:
        if shared.model_store.is_made:
            await asyncio.to_thread(shared.model_store().stop)


server = st.App(
    _HERE / "page.py",
    lifespan=_running,
    middleware=[Middleware(Gate)],
    on_script_error=failures.tell,
)
