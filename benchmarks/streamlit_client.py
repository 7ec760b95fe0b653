"""A browser tab without the browser: speaks Streamlit's protocol, so that only the server is measured.

It does what the frontend does: opens the page, keeps the WebSocket, sends a picture by PUT, asks for a
run, repeats runs that a fragment wants every so often, and fetches each picture that the page shows.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

XSRF_COOKIE = "_streamlit_xsrf"
# A page never waits longer than this for its server.
PATIENCE_SECONDS = 120.0
_MEDIA = re.compile(rb"/media/[0-9a-f]+\.[a-z0-9]+")


class PageError(RuntimeError):
    """The server showed an error, or fell silent."""


@dataclass
class Seen:
    """What one run of the page drew.

    Attributes:
        text: Everything that was sent, as it was sent.
        media: Addresses of the pictures in it.
    """

    text: bytes = b""
    media: set[str] = field(default_factory=set)


class Tab:
    """One tab, whose user does one thing at a time."""

    def __init__(self, address: str, locale: str = "en-GB") -> None:
        """Take a server's address; nothing is sent before the tab is entered."""
        self._address = address
        self._locale = locale
        self._states: dict[str, WidgetState] = {}
        self._fragments: dict[str, str] = {}
        self._repeats: dict[str, asyncio.Task[None]] = {}
        self._widgets: dict[str, Any] = {}
        self._shown: set[str] = set()
        self._page = self._session = ""
        self._names = 0

    async def __aenter__(self) -> Self:
        # A browser sends a request again where the server closes an idle connection in that moment;
        # this client lets go of them before the server does.
        limits = httpx.Limits(keepalive_expiry=2.0)
        self._http = httpx.AsyncClient(
            base_url=self._address, timeout=PATIENCE_SECONDS, limits=limits
        )
        for path in ("/", "/_stcore/health", "/_stcore/host-config"):
            (await self._http.get(path)).raise_for_status()
        token = self._http.cookies.get(XSRF_COOKIE, "")
        self._http.headers["X-Xsrftoken"] = token
        self._socket = await websockets.connect(
            self._address.replace("http", "ws", 1) + "/_stcore/stream",
            subprotocols=[websockets.Subprotocol("streamlit"), websockets.Subprotocol(token)],
            additional_headers={"Cookie": f"{XSRF_COOKIE}={token}"},
            origin=websockets.Origin(self._address),
            max_size=None,
            compression=None,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._repeats.values():
            task.cancel()
        await self._socket.close()
        await self._http.aclose()

    async def open(self, wanted: Callable[[Seen], bool] = lambda _: True) -> Seen:
        """Run the page for the first time, and again by itself until it shows what is wanted."""
        await self._ask()
        return await self._until(wanted)

    async def send_picture(
        self, uploader: str, picture: bytes, wanted: Callable[[Seen], bool]
    ) -> float:
        """Drop a picture, and wait until its answer stands; returns the seconds it took.

        Args:
            uploader: Key of the place where pictures are dropped.
            picture: Contents of its file.
            wanted: Whether a run has drawn the answer.

        Raises:
            PageError: The server said no, or no answer came.
        """
        self._names += 1
        name = f"picture {self._names}.jpg"
        start = time.perf_counter()
        widget = self.widget(uploader)
        urls = await self._place_for(name)
        answer = await self._http.put(
            urls.upload_url, files={"file": (name, picture, "image/jpeg")}
        )
        answer.raise_for_status()
        state = WidgetState(id=widget.id)
        sent = state.file_uploader_state_value.uploaded_file_info.add()
        sent.name, sent.size, sent.file_id = name, len(picture), urls.file_id
        sent.file_urls.CopyFrom(urls)
        await self.change(state)
        await self._until(wanted)
        return time.perf_counter() - start

    async def change(self, state: WidgetState) -> None:
        """Tell the server what a widget holds now, and have the page drawn anew."""
        self._states[state.id] = state
        await self._ask(self._fragments.get(state.id, ""))

    def widget(self, key: str) -> Any:
        """What the server said of a widget.

        Raises:
            PageError: There is none of that key.
        """
        for name, widget in reversed(self._widgets.items()):
            if name.endswith(f"-{key}"):
                return widget
        raise PageError(f"there is no widget {key!r}; expected one of {list(self._widgets)}")

    async def _place_for(self, name: str) -> Any:
        message = BackMsg()
        message.file_urls_request.request_id = f"r{self._names}"
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self._session
        await self._socket.send(message.SerializeToString())
        while True:
            said = await self._next()
            if said.WhichOneof("type") == "file_urls_response":
                if said.file_urls_response.error_msg:
                    raise PageError(said.file_urls_response.error_msg)
                return said.file_urls_response.file_urls[0]

    async def _ask(self, fragment: str = "", *, by_itself: bool = False) -> None:
        state = ClientState(
            page_script_hash=self._page, fragment_id=fragment, is_auto_rerun=by_itself
        )
        state.context_info.locale = self._locale
        state.context_info.timezone = "UTC"
        state.context_info.url = self._address
        state.widget_states.widgets.extend(self._states.values())
        await self._socket.send(BackMsg(rerun_script=state).SerializeToString())

    async def _until(self, wanted: Callable[[Seen], bool]) -> Seen:
        """Read until a run ends that drew what is wanted, and fetch the pictures it shows."""
        seen, end = Seen(), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            said = await self._next()
            kind = said.WhichOneof("type")
            if kind == "new_session" and not said.metadata.run.fragment_ids:
                seen = Seen()  # a part of the page that is drawn anew leaves the rest standing
            elif kind == "delta":
                content = said.SerializeToString()
                seen.text += content
                seen.media |= {found.decode() for found in _MEDIA.findall(content)}
            elif kind == "script_finished" and wanted(seen):
                await self._fetch(seen.media)
                return seen
        raise PageError(f"what was wanted did not come within {PATIENCE_SECONDS:.0f} s")

    async def _next(self) -> ForwardMsg:
        try:
            data = await asyncio.wait_for(self._socket.recv(), PATIENCE_SECONDS)
        except TimeoutError:
            raise PageError(f"nothing was heard for {PATIENCE_SECONDS:.0f} s") from None
        message = ForwardMsg.FromString(data)
        match message.WhichOneof("type"):
            case "new_session":
                self._begin(message)
            case "delta":
                self._draw(message.delta)
            case "auto_rerun":
                self._repeat(message.auto_rerun)
            case "stop_auto_rerun":
                self._stop_repeating(message.stop_auto_rerun.fragment_id)
        return message

    def _begin(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id or self._session
        self._page = message.new_session.page_script_hash
        if not message.metadata.run.fragment_ids:  # the whole page is drawn anew
            self._widgets.clear()
            self._fragments.clear()
            for fragment in list(self._repeats):
                self._stop_repeating(fragment)

    def _draw(self, delta: Any) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        kind = delta.new_element.WhichOneof("type")
        if kind == "exception":
            raise PageError(delta.new_element.exception.message or "the page broke off")
        element = getattr(delta.new_element, kind)
        if identity := getattr(element, "id", ""):
            self._widgets[identity] = element
            self._fragments[identity] = delta.fragment_id

    def _repeat(self, wish: Any) -> None:
        async def again() -> None:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await asyncio.sleep(wish.interval)
                    await self._ask(wish.fragment_id, by_itself=True)

        self._stop_repeating(wish.fragment_id)
        self._repeats[wish.fragment_id] = asyncio.create_task(again())

    def _stop_repeating(self, fragment: str) -> None:
        if task := self._repeats.pop(fragment, None):
            task.cancel()

    async def _fetch(self, media: set[str]) -> None:
        """As a browser does: each address once, several at a time."""
        new = media - self._shown
        self._shown |= new
        for answer in await asyncio.gather(*(self._http.get(address) for address in new)):
            answer.raise_for_status()
