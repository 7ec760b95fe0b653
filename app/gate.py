"""What surrounds every request to the dashboard: who may come near, and headers that browsers obey.

Streamlit answers the requests; this stands before it, for pages, uploads, pictures and websockets
alike.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import desk as shared
from app.clinic.access import Reason, is_foreign, is_local
from skin_lesion.texts import LANGUAGES, Language, Texts, best_language

# What the page is told of a log-in that came to nothing, in its address.
LOGIN_PARAMETER, LOGIN_FAILED = "login", "failed"

_LOGIN, _CALLBACK, _MEDIA = "/auth/login", "/oauth2callback", "/media/"
_METRICS = "/_stcore/metrics"
_USER_COOKIE = "_streamlit_user="
# Streamlit keeps a log-in for 30 days, whatever is said here of how long one counts.
_COOKIE_AGE = re.compile(r"max-age=2592000", re.IGNORECASE)
_LANGUAGE_COOKIE, _LANGUAGE_SECONDS = "sl_language", 600
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=63072000"
_POLICY_VIOLATION = 1008
_SEE_OTHER, _BAD_REQUEST = 303, 400
_PAGE = """<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><style>body{{background:#0b1117;color:#e6edf3;
font:1.05rem/1.5 system-ui,sans-serif;max-width:42rem;margin:12vh auto;padding:0 1.5rem}}</style>
<h1>{title}</h1><p>{text}</p></html>"""


class Gate:
    """Middleware that turns away who may not come near, and hardens every answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or a websocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = _reason(scope, headers)
        if scope["type"] == "websocket":
            if reason is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                if reason is None:
                    _follow_login(scope, headers, answer)
                    _return_from_login(scope, headers, message)
                _harden(scope, answer)
            await send(message)

        if reason is None and _is_none_of_theirs(scope, headers):
            await PlainTextResponse("Not found", 404)(scope, receive, hardened)
        elif reason is None:
            await self._app(scope, receive, hardened)
        else:
            await refusal(reason, headers)(scope, receive, hardened)


def refusal(reason: Reason, headers: Mapping[str, str]) -> HTMLResponse:
    """The page for somebody who is turned away, in the language of their browser."""
    texts = Texts(_language(headers.get("accept-language", "")))
    page = _PAGE.format(
        language=texts.language,
        title=escape(texts("door.refused.title")),
        text=escape(texts(f"door.refused.{reason}")),
    )
    return HTMLResponse(page, status_code=403)


def language_script(language: Language) -> str:
    """What tells screen readers and hyphenation which language a page is in."""
    return f'document.documentElement.lang = "{language}"'


@cache
def content_security_policy() -> str:
    """What a page may load: what this server gives, and nothing from anywhere else.

    Of scripts that stand in a page itself those run that are known here by their hash: Streamlit's
    own, and those that say which language the page is in.
    """
    index = Path(streamlit.__file__).parent / "static" / "index.html"
    inline = re.findall(r"<script>(.*?)</script>", index.read_text(encoding="utf-8"), re.DOTALL)
    known = [*inline, *map(language_script, LANGUAGES)]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in known)
    return "; ".join(
        (
            "default-src 'none'",
            # Streamlit runs the scripts of components from blobs that it makes of them.
            f"script-src 'self' blob: {hashes}",
            # Streamlit writes the styles of every widget into the page.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' blob: data:",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            "frame-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _reason(scope: Scope, headers: Headers) -> Reason | None:
    client = scope.get("client")
    if reason := shared.entrance().refuses(headers, client[0] if client else None):
        return reason
    # Streamlit would look as well, and ask a server out there for this machine's address to do so.
    allowed = streamlit.get_option("server.corsAllowedOrigins")
    return "foreign" if is_foreign(headers, allowed) else None


def _is_none_of_theirs(scope: Scope, headers: Headers) -> bool:
    """Whether somebody elsewhere asks for what only whoever runs the dashboard needs.

    Streamlit tells it to everybody, before any log-in: how many people are in, and what is kept.
    """
    client = scope.get("client")
    peer = client[0] if client else None
    return scope["path"].rstrip("/").endswith(_METRICS) and not is_local(headers, peer)


def _harden(scope: Scope, answer: MutableHeaders) -> None:
    answer.update({**_HEADERS, "Content-Security-Policy": content_security_policy()})
    if scope["scheme"] == "https":
        answer["Strict-Transport-Security"] = _HSTS
    _harden_cookies(answer, secure=scope["scheme"] == "https")
    if _MEDIA in scope["path"]:
        # Pictures of people, on computers that people share.
        answer["Cache-Control"] = "no-store"


def _harden_cookies(answer: MutableHeaders, *, secure: bool) -> None:
    cookies = answer.getlist("set-cookie")
    if not cookies:
        return
    del answer["set-cookie"]
    seconds = round(shared.configuration().log_in_hours * 3600)
    for cookie in cookies:
        kept = _COOKIE_AGE.sub(f"Max-Age={seconds}", cookie)
        missing = secure and "; secure" not in kept.lower()
        answer.append("set-cookie", f"{kept}; Secure" if missing else kept)


def _follow_login(scope: Scope, headers: Headers, answer: MutableHeaders) -> None:
    """Keep the page's language over a log-in, and tell the page where the log-in failed.

    Streamlit sends users back to the bare page, whatever came of it.
    """
    if scope["path"].endswith(_LOGIN):
        chosen = _asked_language(headers.get("referer", ""))
        if chosen is not None:
            answer.append(
                "Set-Cookie",
                f"{_LANGUAGE_COOKIE}={chosen}; Max-Age={_LANGUAGE_SECONDS}; Path=/; HttpOnly; "
                "SameSite=Lax",
            )
    elif scope["path"].endswith(_CALLBACK) and "location" in answer:
        said = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        cookies = answer.getlist("set-cookie")
        entered = any(c.startswith(_USER_COOKIE) and "max-age=0" not in c.lower() for c in cookies)
        marks: dict[str, str] = {}
        # One by one as the server does it: others on this host may have cookies of any name.
        language = cookie_parser(headers.get("cookie", "")).get(_LANGUAGE_COOKIE)
        if language in LANGUAGES:
            marks[shared.LANGUAGE_PARAMETER] = language
        if not entered and said.keys() & {"error", "code"}:
            marks[LOGIN_PARAMETER] = LOGIN_FAILED
        if marks:
            answer["Location"] = f"{answer['location']}?{urlencode(marks)}"


def _return_from_login(scope: Scope, headers: Headers, message: Message) -> None:
    """Send a user back to the page, and tell it, where the provider could not even be asked.

    Streamlit would leave them before two words without a way back.
    """
    path: str = scope["path"]
    if not path.endswith(_LOGIN) or message["status"] < _BAD_REQUEST:
        return
    marks = {LOGIN_PARAMETER: LOGIN_FAILED}
    chosen = _asked_language(headers.get("referer", ""))
    if chosen is not None:
        marks = {shared.LANGUAGE_PARAMETER: chosen, **marks}
    message["status"] = _SEE_OTHER
    answer = MutableHeaders(scope=message)
    answer["Location"] = f"{path.removesuffix(_LOGIN)}/?{urlencode(marks)}"


def _asked_language(address: str) -> Language | None:
    """The language that the address of a page asks for; None where it asks for none of ours."""
    try:
        asked = parse_qs(urlsplit(address).query)
    except ValueError:  # whoever sends it may call anything an address
        return None
    chosen = asked.get(shared.LANGUAGE_PARAMETER, [""])[0]
    return next((language for language in LANGUAGES if language == chosen), None)


def _language(accepted: str) -> Language:
    """The first of a browser's languages that is one of ours; English where none is."""
    wanted = [part.partition(";")[0].strip() for part in accepted.split(",")]
    found = (best_language(name) for name in wanted if name[:2].lower() in LANGUAGES)
    return next(found, "en")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
