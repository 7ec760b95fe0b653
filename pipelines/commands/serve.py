"""`skin-lesion serve`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pipelines.commands import ROOT

HELP = "answer pictures over HTTP with the model in production"
_CACHE = ROOT / ".work" / "serving"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What the project's own service heeds, and MLflow's does not.
_OWN = (
    "api_keys", "new_key", "oidc_issuer", "oidc_audience", "oidc_jwks", "oidc_role",
    "tls_certificate", "tls_key", "audit", "cache",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; what is not said is left to `ServeConfig`."""
    parser.add_argument("--host", help="address to listen on; this machine alone where not given")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="let everyone who reaches the address ask, without a key or token",
    )
    parser.add_argument(
        "--mlflow",
        action="store_true",
        help="run MLflow's own model server instead: no keys, no limits, no switch on promotion",
    )
    own = parser.add_argument_group("the REST service")
    own.add_argument("--api-keys", type=Path, metavar="FILE", help="file with one key a line")
    own.add_argument("--new-key", metavar="NAME", help="make a key for NAME, and do not serve")
    own.add_argument("--oidc-issuer", metavar="URL", help="accept bearer tokens of this issuer")
    own.add_argument("--oidc-audience", metavar="NAME", help="that were made for this audience")
    own.add_argument("--oidc-jwks", metavar="URL", help="the issuer's keys, if not by discovery")
    own.add_argument("--oidc-role", metavar="ROLE", help="that hold this role")
    own.add_argument("--tls-certificate", type=Path, metavar="FILE", help="speak HTTPS")
    own.add_argument("--tls-key", type=Path, metavar="FILE", help="private key of the certificate")
    own.add_argument(
        "--audit",
        metavar="URL",
        help="database of the audit log; also by the environment's SKIN_LESION_AUDIT_URL",
    )
    own.add_argument("--cache", type=Path, help=f"for fetched models ({_CACHE})")


def run(options: argparse.Namespace) -> int:
    """Become the server."""
    if options.mlflow:
        _refuse_for_mlflow(options)
        _serve_by_mlflow(options)
    if options.new_key is not None:
        _become(["-m", "app", "--new-key", options.new_key], {})
    from skin_lesion.settings import ServeConfig

    config = ServeConfig.model_validate(_said(options))
    _become(["-m", "app"], {"SKIN_LESION_SERVE": config.model_dump_json(exclude_unset=True)})


def _said(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line says, as `ServeConfig` has it."""
    both = options.oidc_issuer is not None and options.oidc_audience is not None
    if not both and any(
        vars(options)[name] is not None for name in _OWN if name.startswith("oidc_")
    ):
        raise ValueError(
            "--oidc-issuer and --oidc-audience belong together, and the other --oidc options to "
            "both; got some of them without both of these"
        )
    oidc = {
        "issuer": options.oidc_issuer,
        "audience": options.oidc_audience,
        "jwks_url": options.oidc_jwks,
        "required_role": options.oidc_role,
    }
    said = {
        "host": options.host,
        "port": options.port,
        "insecure": options.insecure or None,
        "keys_file": _absolute(options.api_keys),
        "tls_certificate": _absolute(options.tls_certificate),
        "tls_key": _absolute(options.tls_key),
        "audit": options.audit,
        "store": {"cache": _absolute(options.cache or _CACHE)},
        "oidc": {k: v for k, v in oidc.items() if v is not None} or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _refuse_for_mlflow(options: argparse.Namespace) -> None:
    """Raise where somebody asks for what MLflow's server would pass over, such as keys."""
    unheeded = [f"--{name.replace('_', '-')}" for name in _OWN if vars(options)[name] is not None]
    if unheeded:
        raise ValueError(
            f"MLflow's server knows nothing of {', '.join(unheeded)}; leave --mlflow out to have it, "
            "or leave these out"
        )


def _serve_by_mlflow(options: argparse.Namespace) -> NoReturn:
    """Run MLflow's model server on the model in production."""
    from skin_lesion.registry import MODEL_NAME, PRODUCTION_ALIAS, champion
    from skin_lesion.settings import ServeConfig

    defaults = ServeConfig()
    host, port = options.host or defaults.host, options.port or defaults.port
    if host not in _LOOPBACK and not options.insecure:
        raise ValueError(
            f"{host} is reached from other machines, and MLflow's server asks nobody who he is: "
            "leave --mlflow out to use keys or tokens, or say --insecure if everyone may ask"
        )
    if champion() is None:
        raise LookupError(
            f"no version of {MODEL_NAME} is in production; name one with: skin-lesion promote VERSION"
        )
    words = ["models", "serve", "--model-uri", f"models:/{MODEL_NAME}@{PRODUCTION_ALIAS}"]
    # MLflow finds its server on the path, which has the environment's programs only once activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    _become(
        ["-m", "mlflow", *words, "--env-manager", "local", "--host", host, "--port", str(port)],
        {"PATH": path, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"},
    )


def _become(words: Sequence[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by another Python program, which gets its signals and its status."""
    # The project need not be installed for the program to be found.
    folders = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    found = {"PYTHONPATH": os.pathsep.join(filter(None, folders))}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *words], {**os.environ, **found, **environment})


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())
