"""What surrounds every answer: a number, headers that browsers obey, and one line in the log."""

import json
import logging
import secrets
import time
from datetime import UTC, datetime

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.security import Client

access = logging.getLogger("app.access")
log = logging.getLogger(__name__)

REQUEST_ID = "X-Request-ID"
# There is nothing here to be framed, run, guessed at or kept.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HSTS = "max-age=63072000"
_CLIENT_LEFT = 499  # nginx's number for a client that did not wait


class AccessLog:
    """Middleware that numbers requests, hardens answers, and logs one line of JSON for each.

    The line holds nothing that the client could have put a name into: no address beyond the route,
    no header, no name of a file.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        request_id = secrets.token_hex(8)
        noted: dict[str, object] = {}
        scope.setdefault("state", {}).update(request_id=request_id, noted=noted)
        status = _CLIENT_LEFT

        async def hardened(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update({**_HEADERS, REQUEST_ID: request_id})
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = _HSTS
            await send(message)

        try:
            await self._app(scope, receive, hardened)
        except Exception:
            # What went wrong is for the log, under the request's number; the client gets that.
            log.exception("request %s failed", request_id)
            if status != _CLIENT_LEFT:  # half an answer is out already
                raise
            detail = "something went wrong here; the server's log has it under this request_id"
            body = {"detail": detail, "request_id": request_id}
            await JSONResponse(body, status_code=500)(scope, receive, hardened)
        finally:
            _write(scope, request_id, status, noted, time.perf_counter() - begun)


def _write(
    scope: Scope, request_id: str, status: int, noted: dict[str, object], seconds: float
) -> None:
    route = getattr(scope.get("route"), "path", None)
    client = noted.pop("client", None)
    line = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": request_id,
        "method": scope["method"] if route else "?",
        "route": route,
        "status": status,
        "milliseconds": round(1000 * seconds, 1),
        "peer": scope["client"][0] if scope.get("client") else None,
        "user": client.user if isinstance(client, Client) else None,
        "role": client.role if isinstance(client, Client) else None,
        **noted,
    }
    access.info(json.dumps(line))
