"""The REST service: the model that it follows, and who may ask."""

from typing import Literal, Self

from pydantic import Field, model_validator

from skin_lesion.settings.base import Settings

# Made with a private key and checked with a public one: no client can forge a token.
SignatureAlgorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class ModelStoreConfig(Settings):
    """How the model in production is followed.

    Attributes:
        cache: Folder for the bundles that were fetched; None takes one of its own, removed at the
            end.
        poll_seconds: Time between two looks at the alias.
        retry_seconds: Time before a version that was refused is tried again, as long as the alias
            still points to it.
        silent_seconds: Time without an answer of the registry after which it is said to be out of
            reach; three looks at least.
        keep: Most bundles left in the cache; the one that is served is never removed.
    """

    cache: str | None = None
    poll_seconds: float = Field(default=5.0, gt=0.0)
    retry_seconds: float = Field(default=60.0, ge=0.0)
    silent_seconds: float = Field(default=60.0, gt=0.0)
    keep: int = Field(default=2, ge=1)


class OidcConfig(Settings):
    """Whose bearer tokens are accepted.

    Attributes:
        issuer: The `iss` of a token, exactly.
        audience: What has to be among its `aud`.
        jwks_url: Where the issuer's keys lie; None asks the issuer's discovery document.
        algorithms: Signatures that are accepted; only ones made with a private key.
        required_role: Role that a token must hold; None asks for none.
        user_claim: Claim that names the user.
        role_claim: Claim that names one role, or a list of them.
        leeway_seconds: How far the issuer's clock may be off.
        timeout_seconds: Longest wait for the issuer's keys.
        keys_seconds: How long fetched keys are believed.
    """

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: str | None = None
    algorithms: tuple[SignatureAlgorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    required_role: str | None = None
    user_claim: str = "sub"
    role_claim: str = "roles"
    leeway_seconds: float = Field(default=30.0, ge=0.0)
    timeout_seconds: float = Field(default=5.0, gt=0.0)
    keys_seconds: float = Field(default=300.0, gt=0.0)


class ServeConfig(Settings):
    """The REST service.

    Attributes:
        host: Address that it listens on.
        port: Port that it listens on.
        insecure: Whether it may listen beyond loopback although nobody has to identify himself.
        tls_certificate: File of the certificate chain; None speaks plain HTTP.
        tls_key: File of its private key.
        keys_file: File with one API key a line; those of the environment count as well.
        oidc: Whose bearer tokens are accepted; None accepts none.
        audit: URL of the audit log's database; None keeps no log.
        max_file_bytes: Largest picture, encoded.
        max_files: Most pictures of one request.
        max_request_bytes: Largest request; `max_concurrent` of these may lie in memory at a time.
        max_concurrent: Most requests at a time, all clients together.
        max_per_client: Most requests of one client at a time.
        threads: Pictures judged at a time; 0 means one a core.
        upload_seconds: Longest that a request may take to arrive.
        predict_seconds: Longest that a request may wait for its answer after that.
        retry_after_seconds: What a client that was turned away is told to wait.
        keep_alive_seconds: How long an idle connection is kept; longer than any client or proxy keeps
            one, since who closes first may close on a request that is on its way.
        drain_seconds: Longest that a server told to stop goes on with the requests it has.
        store: How the model in production is followed.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    insecure: bool = False
    tls_certificate: str | None = None
    tls_key: str | None = None
    keys_file: str | None = None
    oidc: OidcConfig | None = None
    audit: str | None = None
    max_file_bytes: int = Field(default=16 * 2**20, ge=1)
    max_files: int = Field(default=16, ge=1)
    max_request_bytes: int = Field(default=64 * 2**20, ge=1)
    max_concurrent: int = Field(default=16, ge=1)
    max_per_client: int = Field(default=8, ge=1)
    threads: int = Field(default=0, ge=0)
    upload_seconds: float = Field(default=30.0, gt=0.0)
    predict_seconds: float = Field(default=60.0, gt=0.0)
    retry_after_seconds: int = Field(default=2, ge=1)
    keep_alive_seconds: int = Field(default=75, ge=1)
    drain_seconds: int = Field(default=30, ge=1)
    store: ModelStoreConfig = ModelStoreConfig()

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS needs both a certificate and its key; got one of the two")
        return self
