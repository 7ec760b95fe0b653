"""Who may come near the dashboard, before anybody is asked who they are.

Without a log-in whoever reaches the dashboard may use it, so it answers this machine alone unless
whoever started it said `--insecure`. A log-in that is configured wrongly opens nothing: then nobody
gets in.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from app.security import is_loopback

# Why somebody is turned away; the words for it are `door.refused.<reason>`.
Reason = Literal["log_in", "address", "elsewhere", "foreign"]

_CALLBACK = "/oauth2callback"
_LEAST_SECRET = 32
_WANTED = ("client_id", "client_secret", "server_metadata_url")
# Who sends one of these is a proxy, and lets in whoever is on its other side.
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


@dataclass(frozen=True)
class Entrance:
    """How the dashboard may be entered; the same for everybody as long as it runs.

    Attributes:
        providers: Who may be asked to log a user in, by the names that `st.login` takes; None is the
            only one of a configuration that has no names. Empty where nobody has to log in.
        insecure: Whether other machines may come in without a log-in.
        fault: Why nobody may enter at all; None where somebody may.
        detail: The same for whoever runs the dashboard; it stands in the log.
    """

    providers: tuple[str | None, ...] = ()
    insecure: bool = False
    fault: Reason | None = None
    detail: str = ""

    def refuses(self, headers: Mapping[str, str], peer: str | None) -> Reason | None:
        """Why a request is turned away; None where it is not.

        Args:
            headers: Of the request, names in lower case.
            peer: Address it came from; None where that is unknown.
        """
        if self.fault is not None:
            return self.fault
        if self.providers or self.insecure or is_local(headers, peer):
            return None
        return "elsewhere"


def entrance(
    auth: Mapping[str, Any] | None, address: str | None, *, insecure: bool, log_in: bool
) -> Entrance:
    """How a dashboard may be entered.

    Args:
        auth: The section `[auth]` of Streamlit's secrets; None where there is none.
        address: What the server listens on; None listens everywhere.
        insecure: Whether other machines may come in without a log-in.
        log_in: Whether there must be a log-in.
    """
    if auth is not None:
        try:
            return Entrance(providers=providers(auth))
        except ValueError as error:
            return Entrance(fault="log_in", detail=str(error))
    if log_in:
        return Entrance(fault="log_in", detail="a log-in is asked for, and no secrets have [auth]")
    if not insecure and not is_loopback(address):
        return Entrance(
            fault="address",
            detail=f"{address or 'every address of this machine'} is reached from other machines, "
            "and nobody would have to log in: configure [auth] (docs/dashboard.md), listen on "
            "127.0.0.1, or say --insecure if everyone on that network may use the dashboard",
        )
    return Entrance(insecure=insecure)


def providers(auth: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Who can log users in, by the section `[auth]` of Streamlit's secrets.

    Raises:
        ValueError: With this nobody could log in, or everybody could forge it. No secret is named.
    """
    redirect = _text(auth, "redirect_uri")
    if not redirect.endswith(_CALLBACK):
        raise ValueError(f"auth.redirect_uri is {redirect!r}; expected an address with {_CALLBACK}")
    _check_address("auth.redirect_uri", redirect)
    if len(_text(auth, "cookie_secret")) < _LEAST_SECRET:
        raise ValueError(
            f"auth.cookie_secret is shorter than {_LEAST_SECRET} characters, and could be guessed; "
            "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
        )
    sections: dict[str | None, Mapping[str, Any]] = {None: auth} if "client_id" in auth else {}
    sections |= {
        key: value
        for key, value in auth.items()
        if isinstance(value, Mapping) and key != "client_kwargs"
    }
    if not sections:
        raise ValueError(f"[auth] names no provider; expected {', '.join(_WANTED)}")
    for name, section in sections.items():
        for key in _WANTED:
            _text(section, key, f"auth.{name}" if name else "auth")
        _check_address("server_metadata_url", section["server_metadata_url"])
    return tuple(sections)


def is_local(headers: Mapping[str, str], peer: str | None) -> bool:
    """Whether a request was made on this machine, by a page of the dashboard's own.

    Args:
        headers: Of the request, names in lower case.
        peer: Address it came from; None where that is unknown.
    """
    if not is_loopback(peer) or any(name in headers for name in _FORWARDED):
        return False
    # A stranger's page can make its own name point to this machine: the browser then names that.
    return is_loopback(_host(f"//{headers.get('host', '')}"))


def is_foreign(headers: Mapping[str, str], allowed: Collection[str] = ()) -> bool:
    """Whether the page of another site makes a request.

    Args:
        headers: Of the request, names in lower case.
        allowed: Origins that may.
    """
    origin = headers.get("origin")
    if origin is None or origin in allowed:
        return False
    try:
        place = urlsplit(origin).netloc
    except ValueError:  # no address at all
        return True
    return place.lower() != headers.get("host", "").lower()


def _text(section: Mapping[str, Any], key: str, path: str = "auth") -> str:
    value = section.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{path}.{key} is missing or empty in the secrets")
    return value


def _check_address(name: str, address: str) -> None:
    scheme, host = urlsplit(address).scheme, _host(address)
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise ValueError(f"{name} is {address!r}; expected https (or http on this machine)")


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
