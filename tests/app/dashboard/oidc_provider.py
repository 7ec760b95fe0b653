"""An OpenID Connect provider on this machine, for tests that log in with a real browser.

    with running_provider() as provider:
        secrets = tmp_path / "secrets.toml"
        secrets.write_text(provider.secrets("http://127.0.0.1:8501"))
        # start the dashboard with: skin-lesion dashboard --port 8501 --secrets <secrets>

Whoever presses the dashboard's button "Log in" gets a page of this provider: a field `#user`, a
field `#role` (the value of the claim `roles`, several parted by commas, none where it is empty),
and two buttons, `#accept` and `#deny`. With Playwright:

    page.fill("#user", "dr.perez@example.org")
    page.fill("#role", "clinician")
    page.click("#accept")        # or "#deny": the log-in fails, and the dashboard has to say so

What a test may turn, while it runs:

    provider.claims = {"realm_access": {"roles": ["engineer"]}}   # into every token, over the form
    provider.age = 3600.0         # tokens that were made so many seconds ago, still valid
    provider.breaks_tokens = True # the token endpoint fails, after the user was sent back

`provider.asked` lists the paths that were requested. `python -m tests.app.dashboard.oidc_provider`
runs one to try the dashboard by hand, and prints the secrets for http://127.0.0.1:8501.
"""

import base64
import hashlib
import json
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import urlencode

import jwt
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

CLIENT_ID = "skin-lesion-dashboard"
CLIENT_SECRET = "a secret between the provider and the dashboard"  # of no other use
_KEY_ID = "one"
_PAGE = """<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Test provider</title><h1>Who are you?</h1>
<form method="post" action="/decide?{query}">
<label>User <input id="user" name="user" value="dr.perez@example.org"></label>
<label>Role <input id="role" name="role" value="clinician"></label>
<button id="accept" name="decision" value="accept">Log in</button>
<button id="deny" name="decision" value="deny">Deny</button></form></html>"""


@dataclass
class Provider:
    """What the provider is asked for, and says.

    Attributes:
        url: Its issuer.
        claims: Go into every token, over those of the form.
        age: Seconds that have passed since a token was made, when it is handed out.
        lifetime: Seconds from handing a token out until it expires.
        breaks_tokens: Whether the token endpoint fails.
        asked: Paths that were requested.
    """

    url: str
    claims: dict[str, Any] = field(default_factory=dict)
    age: float = 0.0
    lifetime: float = 300.0
    breaks_tokens: bool = False
    asked: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def secrets(self, dashboard: str) -> str:
        """A `secrets.toml` for a dashboard at an address such as `http://127.0.0.1:8501`."""
        return (
            "[auth]\n"
            f'redirect_uri = "{dashboard}/oauth2callback"\n'
            f'cookie_secret = "{secrets.token_hex(32)}"\n'
            f'client_id = "{CLIENT_ID}"\n'
            f'client_secret = "{CLIENT_SECRET}"\n'
            f'server_metadata_url = "{self.url}/.well-known/openid-configuration"\n'
        )

    def token(self, user: str, role: str, nonce: str | None) -> str:
        """An identity token, signed."""
        now = time.time()
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": hashlib.sha256(user.encode()).hexdigest()[:16],
            "email": user,
            "iat": int(now - self.age),
            "exp": int(now + self.lifetime),
            "roles": [name.strip() for name in role.split(",") if name.strip()],
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return jwt.encode(
            claims | self.claims, self.key, algorithm="RS256", headers={"kid": _KEY_ID}
        )


def application(provider: Provider) -> FastAPI:
    """The provider's pages and endpoints."""
    app = FastAPI(openapi_url=None)

    @app.middleware("http")
    async def note(request: Request, go_on: Any) -> Any:
        provider.asked.append(request.url.path)
        return await go_on(request)

    @app.get("/.well-known/openid-configuration")
    def discovery() -> dict[str, Any]:
        return {
            "issuer": provider.url,
            "authorization_endpoint": f"{provider.url}/authorize",
            "token_endpoint": f"{provider.url}/token",
            "jwks_uri": f"{provider.url}/keys",
            "end_session_endpoint": f"{provider.url}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    @app.get("/keys")
    def keys() -> dict[str, Any]:
        public = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(provider.key.public_key()))
        return {"keys": [{**public, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]}

    @app.get("/authorize", response_class=HTMLResponse)
    def authorize(request: Request, client_id: str) -> str:
        if client_id != CLIENT_ID:
            raise HTTPException(400, "no such client")
        return _PAGE.format(query=escape(request.url.query))

    @app.post("/decide")
    def decide(
        redirect_uri: str,
        state: str,
        code_challenge: str,
        nonce: str | None = None,
        user: str = Form(""),
        role: str = Form(""),
        decision: str = Form(),
    ) -> RedirectResponse:
        if decision == "accept":
            code = secrets.token_urlsafe()
            provider.codes[code] = {
                "id_token": provider.token(user, role, nonce),
                "redirect_uri": redirect_uri,
                "challenge": code_challenge,
            }
            said = {"code": code, "state": state}
        else:
            said = {"error": "access_denied", "state": state}
        return RedirectResponse(f"{redirect_uri}?{urlencode(said)}", 303)

    @app.post("/token")
    def token(
        request: Request,
        code: str = Form(),
        redirect_uri: str = Form(),
        code_verifier: str = Form(),
    ) -> JSONResponse:
        if provider.breaks_tokens:
            raise HTTPException(500, "out of order")
        login = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {login}":
            raise HTTPException(401, "no such client")
        given = provider.codes.pop(code, None)  # good for once
        digest = hashlib.sha256(code_verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if given is None or (given["redirect_uri"], given["challenge"]) != (
            redirect_uri,
            challenge,
        ):
            raise HTTPException(400, "no such code")
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(),
                "token_type": "Bearer",
                "expires_in": int(provider.lifetime),
                "id_token": given["id_token"],
            }
        )

    @app.get("/end")
    def end(post_logout_redirect_uri: str) -> RedirectResponse:
        return RedirectResponse(post_logout_redirect_uri, 303)

    return app


@contextmanager
def running_provider(port: int = 0) -> Iterator[Provider]:
    """A provider that runs until the block ends; port 0 takes one that is free."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        server = uvicorn.Server(uvicorn.Config(application(provider), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the provider did not start")
            time.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(10)


if __name__ == "__main__":
    with running_provider(8499) as running:
        sys.stdout.write(running.secrets("http://127.0.0.1:8501"))
        sys.stdout.flush()
        threading.Event().wait()
