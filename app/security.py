"""Who may ask: API keys, bearer tokens, and what is open to this machine alone."""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from skin_lesion.settings import ServeConfig

KEYS_VARIABLE = "SKIN_LESION_API_KEYS"
KEY_HEADER = "x-api-key"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_COMMENT = re.compile(r"(?:^|\s)#")
_LEAST_CHARACTERS = 32
_RANDOM_BYTES = 32


@dataclass(frozen=True)
class Client:
    """Who asks.

    Attributes:
        user: His name, or that of his key.
        role: In what role; never blank.
        identified: Whether he proved who he is.
    """

    user: str
    role: str
    identified: bool = True


ANYONE = Client("anonymous", "unidentified", identified=False)


class RefusedError(Exception):
    """A request that is turned away; the message is for whoever sent it.

    Attributes:
        status: HTTP status.
        headers: Of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class TokenVerifier(Protocol):
    """Checks bearer tokens."""

    def verify(self, token: str) -> Client:
        """The holder of a token.

        Raises:
            RefusedError: The token is not accepted, or cannot be checked now.
        """


class ApiKeys:
    """Keys by the name of their holder, kept as checksums only.

    A key is 32 random bytes, so one round of SHA-256 is as good as any slower function: there is
    nothing to guess.
    """

    def __init__(self, digests: Mapping[str, bytes]) -> None:
        """Take the checksums over.

        Args:
            digests: SHA-256 of each key, by the name of its holder.
        """
        self._digests = dict(digests)

    @classmethod
    def read(cls, *texts: str) -> "ApiKeys":
        """Read keys from texts.

        Args:
            texts: `NAME:KEY` or `NAME:sha256:CHECKSUM` each, parted by commas or line ends; `#`
                begins a comment, but not inside of a key.

        Raises:
            ValueError: An entry is none; the message names its holder, never the key.
        """
        digests: dict[str, bytes] = {}
        for text in texts:
            lines = (_COMMENT.split(line, maxsplit=1)[0] for line in text.splitlines())
            entries = (entry.strip() for line in lines for entry in line.split(","))
            for number, entry in enumerate(filter(None, entries), start=1):
                name, digest = _parsed(entry, number)
                if name in digests:
                    raise ValueError(f"two API keys are called {name!r}; give each its own name")
                digests[name] = digest
        return cls(digests)

    def __bool__(self) -> bool:
        return bool(self._digests)

    def holder(self, key: str) -> str | None:
        """Name of the holder of a key; None where nobody holds it.

        Every checksum is compared to its end, so that the time taken tells nothing.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def new_key(name: str) -> tuple[str, str]:
    """A fresh key, and the line that makes a server accept it without knowing it.

    Raises:
        ValueError: `name` cannot be the name of a key's holder.
    """
    _check_name(name)
    key = secrets.token_urlsafe(_RANDOM_BYTES)
    return key, f"{name}:sha256:{hashlib.sha256(key.encode()).hexdigest()}"


class Guard:
    """Tells who asks, and turns away who may not."""

    def __init__(
        self, keys: ApiKeys, tokens: TokenVerifier | None = None, *, insecure: bool = False
    ) -> None:
        """Say what is accepted.

        Args:
            keys: API keys; may be empty.
            tokens: Checks bearer tokens; None accepts none.
            insecure: Where there is neither, whether other machines may ask as well.
        """
        self._keys = keys
        self._tokens = tokens
        self._insecure = insecure

    @property
    def is_open(self) -> bool:
        """Whether nobody has to say who he is."""
        return not self._keys and self._tokens is None

    def schemes(self) -> dict[str, dict[str, str]]:
        """How to identify oneself, as OpenAPI describes it."""
        found = {}
        if self._keys:
            found["api_key"] = {"type": "apiKey", "in": "header", "name": KEY_HEADER.upper()}
        if self._tokens is not None:
            found["bearer"] = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        return found

    def check_address(self, host: str) -> None:
        """Refuse to listen where strangers could ask.

        Raises:
            ValueError: Everyone could ask, and nobody said that this is meant.
        """
        if self.is_open and not self._insecure and not is_loopback(host):
            raise ValueError(
                f"{host} is reached from other machines, and nobody would have to identify himself: "
                f"set {KEYS_VARIABLE}, name a file with --api-keys or an issuer with --oidc-issuer; "
                "or say --insecure if everyone on that network may ask"
            )

    def identify(self, headers: Mapping[str, str], peer: str | None) -> Client:
        """Who sent a request. May wait for the issuer's keys, so not for the event loop.

        Args:
            headers: Of the request, names in lower case.
            peer: Address it came from; None where that is unknown.

        Raises:
            RefusedError: He may not ask, or who he is cannot be checked.
        """
        if self.is_open:
            if not self._insecure:
                _check_is_local(headers, peer)
            return ANYONE
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if key := headers.get(KEY_HEADER):
            if holder := self._keys.holder(key):
                return Client(holder, "api-key")
            raise self._unidentified("this API key is not accepted")
        if self._tokens is not None and scheme.lower() == "bearer" and token.strip():
            return self._tokens.verify(token.strip())
        raise self._unidentified("say who you are")

    def _unidentified(self, message: str) -> RefusedError:
        ways = [f"an API key in the header {KEY_HEADER.upper()}"] if self._keys else []
        ways += ["a token in the header Authorization: Bearer"] if self._tokens else []
        challenge = "Bearer" if self._tokens else "ApiKey"
        return RefusedError(
            401, f"{message}: send {' or '.join(ways)}", {"WWW-Authenticate": challenge}
        )


def read_keys(config: ServeConfig, environment: Mapping[str, str] = os.environ) -> ApiKeys:
    """The keys of the environment and of the file.

    Raises:
        OSError: The file cannot be read.
        ValueError: An entry is no key.
    """
    texts = [environment.get(KEYS_VARIABLE, "")]
    if config.keys_file is not None:
        texts.append(Path(config.keys_file).read_text(encoding="utf-8"))
        if not ApiKeys.read(texts[-1]):
            # An empty file would open the service to everyone, which nobody who names one wants.
            raise ValueError(f"{config.keys_file} holds no API key; make one with --new-key NAME")
    return ApiKeys.read(*texts)


def check_tls(config: ServeConfig) -> None:
    """Try certificate and key out, before anything listens.

    Raises:
        ValueError: They cannot be read, or do not belong together.
    """
    certificate, key = config.tls_certificate, config.tls_key
    if certificate is None or key is None:
        return
    for path in (certificate, key):
        if not Path(path).is_file():
            raise ValueError(f"{path} is no file; TLS needs a certificate and its private key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except OSError as error:
        raise ValueError(
            f"TLS cannot be spoken with the certificate {certificate} and the key {key} ({error}); "
            "expected PEM files that belong together"
        ) from error


def is_loopback(host: str | None) -> bool:
    """Whether an address is reached from this machine alone."""
    if host is None:
        return False
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _check_is_local(headers: Mapping[str, str], peer: str | None) -> None:
    """Turn away other machines, and the pages of strangers that a browser on this one shows."""
    if not is_loopback(peer):
        raise RefusedError(403, "without API keys or tokens this service answers its machine alone")
    # A page can make its own name point here, or send a form here: the browser then names the page.
    if not is_loopback(_host(f"//{headers.get('host', '')}")):
        raise RefusedError(403, "the header Host has to name this machine: localhost or 127.0.0.1")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise RefusedError(403, "pages of other sites may not ask")


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _parsed(entry: str, number: int) -> tuple[str, bytes]:
    name, colon, key = entry.partition(":")
    if not colon:
        raise ValueError(f"API key {number} has no name; expected NAME:KEY or NAME:sha256:CHECKSUM")
    _check_name(name)
    if found := _DIGEST.fullmatch(key):
        return name, bytes.fromhex(found[1])
    if key.startswith("sha256:"):
        raise ValueError(
            f"the checksum of API key {name!r} is none; expected 64 lower-case hexadecimal digits"
        )
    if len(key) < _LEAST_CHARACTERS:
        raise ValueError(
            f"the API key of {name!r} has {len(key)} characters; expected {_LEAST_CHARACTERS} or "
            "more: make one with skin-lesion serve --new-key NAME"
        )
    return name, hashlib.sha256(key.encode()).digest()


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        # Not repeated: it may be half of a key that was written without a name.
        raise ValueError(
            "the holder of an API key has a name of up to 64 letters, digits and . _ @ -; "
            "got something else before the colon"
        )
