"""Bearer tokens of an OpenID Connect issuer, checked against the keys it publishes."""

import threading
import time
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from app.security import Client, RefusedError, is_loopback
from skin_lesion.settings import OidcConfig

_LONGEST_TOKEN = 16 * 1024
_LONGEST_NAME = 200
# After a failure the issuer is left alone for so long: to wait for it at each request would tie up
# every thread.
_BREATHER_SECONDS = 5.0


class OidcVerifier:
    """Accepts the tokens that one issuer signed for one audience."""

    def __init__(self, config: OidcConfig) -> None:
        """Take the issuer down; nothing is fetched yet.

        Raises:
            ValueError: An address is not safe to fetch keys from.
        """
        for address in (config.issuer, config.jwks_url):
            if address is not None:
                _check_address(address)
        self._config = config
        self._keys: jwt.PyJWKClient | None = None
        self._lock = threading.Lock()
        self._failed_at: float | None = None

    def verify(self, token: str) -> Client:
        """The holder of a token.

        Raises:
            RefusedError: 401, the token is not accepted; 403, its holder lacks the role; 503, the
                issuer's keys cannot be fetched.
        """
        config = self._config
        if len(token) > _LONGEST_TOKEN:
            raise _not_accepted("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            # Before any key is asked for: a stranger must not make this server call the issuer.
            if header.get("alg") not in config.algorithms or not header.get("kid"):
                raise _not_accepted("its signature is of a kind that is not accepted")
            claims = jwt.decode(
                token,
                self._key(header["kid"]),
                algorithms=list(config.algorithms),
                audience=config.audience,
                issuer=config.issuer,
                leeway=config.leeway_seconds,
                options={"require": ["exp", "iss", "aud", config.user_claim]},
            )
        except jwt.PyJWKClientConnectionError as error:
            self._failed_at = time.monotonic()
            raise _not_checkable() from error
        except jwt.PyJWTError as error:
            raise _not_accepted(_why(error)) from error
        return self._holder(claims)

    def _key(self, key_id: str) -> jwt.PyJWK:
        failed = self._failed_at
        if failed is not None and time.monotonic() - failed < _BREATHER_SECONDS:
            raise _not_checkable()
        key = self._client().get_signing_key(key_id)
        self._failed_at = None
        return key

    def _client(self) -> jwt.PyJWKClient:
        with self._lock:
            if self._keys is None:
                config = self._config
                self._keys = jwt.PyJWKClient(
                    config.jwks_url or self._discovered(),
                    lifespan=config.keys_seconds,
                    timeout=config.timeout_seconds,
                )
            return self._keys

    def _discovered(self) -> str:
        """Where the issuer's discovery document says that its keys lie."""
        config = self._config
        address = f"{config.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            answer = requests.get(address, timeout=config.timeout_seconds, allow_redirects=False)
            answer.raise_for_status()
            document = answer.json()
            found = str(document["jwks_uri"])
            if document["issuer"] != config.issuer:
                raise ValueError(f"{address} is of issuer {document['issuer']!r}")
            _check_address(found)
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise jwt.PyJWKClientConnectionError(f"{address}: {error}") from error
        return found

    def _holder(self, claims: dict[str, Any]) -> Client:
        config = self._config
        user = claims[config.user_claim]
        if not isinstance(user, str) or not 0 < len(user) <= _LONGEST_NAME:
            raise _not_accepted("it does not name its holder")
        found = claims.get(config.role_claim)
        roles = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        if config.required_role is not None and config.required_role not in roles:
            raise RefusedError(403, f"the role {config.required_role!r} is needed")
        role = config.required_role or (str(roles[0]) if roles else "bearer")
        if not (user.isprintable() and role.isprintable() and len(role) <= _LONGEST_NAME):
            raise _not_accepted("it names its holder in characters that no log takes")
        return Client(user, role)


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError(
            f"{address} is not safe to fetch keys from; expected https (or http on this machine)"
        )


def _not_accepted(why: str) -> RefusedError:
    return RefusedError(
        401,
        f"this token is not accepted: {why}",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _not_checkable() -> RefusedError:
    return RefusedError(
        503,
        "tokens cannot be checked now: the issuer's keys are out of reach",
        {"Retry-After": "5"},
    )


def _why(error: jwt.PyJWTError) -> str:
    """What is wrong with a token, in words that give nothing away."""
    match error:
        case jwt.ExpiredSignatureError():
            return "it has expired"
        case jwt.ImmatureSignatureError():
            return "it is not valid yet"
        case jwt.InvalidAudienceError():
            return "it was made for another audience"
        case jwt.InvalidIssuerError():
            return "it was made by another issuer"
        case jwt.MissingRequiredClaimError():
            return "it lacks a claim"
        case _:
            return "its signature cannot be confirmed"
