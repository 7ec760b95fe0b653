"""`skin-lesion dashboard`."""

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.commands import ROOT

if TYPE_CHECKING:
    from skin_lesion.settings import DashboardConfig

HELP = "open the clinicians' dashboard on the model in production"
_SCRIPT = ROOT / "app" / "dashboard.py"
# Where `streamlit run` in the project's folder looks for them, too.
_SECRETS = ROOT / ".streamlit" / "secrets.toml"
_CACHE = ROOT / ".work" / "serving"
_HOST, _PORT = "127.0.0.1", 8501
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MEGABYTE = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; what is not said is left to `DashboardConfig`."""
    parser.add_argument("--host", default=_HOST, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=_PORT, help="port (%(default)s)")
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="let everyone who reaches the address read pictures, without a log-in",
    )
    parser.add_argument(
        "--secrets",
        type=Path,
        metavar="FILE",
        help="with [auth], for the log-in; else .streamlit/secrets.toml of the project, if there",
    )
    parser.add_argument(
        "--role-claim",
        metavar="CLAIM",
        help="of the log-in, that holds the roles; dots lead inside, as in realm_access.roles",
    )
    parser.add_argument("--clinician-role", metavar="ROLE", help="of those who may read pictures")
    parser.add_argument("--engineer-role", metavar="ROLE", help="of those who may promote")
    parser.add_argument(
        "--user-claim",
        action="append",
        metavar="CLAIM",
        help="of the log-in, that names the user; may be said several times, the first counts",
    )
    parser.add_argument(
        "--log-in-hours", type=float, metavar="HOURS", help="before users log in again"
    )
    parser.add_argument(
        "--audit",
        metavar="URL",
        help="database of the audit log; else what SKIN_LESION_AUDIT_URL says, else .work/audit.db",
    )
    parser.add_argument(
        "--keep-pictures", type=Path, metavar="DIR", help="keep the pixels of what is read there"
    )
    parser.add_argument(
        "--cache", type=Path, default=_CACHE, help="for fetched models (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Become the dashboard's server."""
    from skin_lesion.settings import DashboardConfig

    secrets = _secrets(options.secrets)
    config = DashboardConfig.model_validate(_said(options, log_in=secrets is not None))
    _check_address(options, log_in=config.log_in)
    environment = {
        "SKIN_LESION_DASHBOARD": config.model_dump_json(exclude_unset=True),
        # The project need not be installed for the dashboard to be found.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
    }
    words = ["-m", "streamlit", "run", str(_SCRIPT), *_flags(options, config, secrets)]
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *words], {**os.environ, **environment})


def _said(options: argparse.Namespace, *, log_in: bool) -> dict[str, Any]:
    """What the command line says, as `DashboardConfig` has it."""
    said = {
        "insecure": options.insecure or None,
        "log_in": log_in or None,
        "log_in_hours": options.log_in_hours,
        "user_claims": options.user_claim,
        "role_claim": options.role_claim,
        "clinician_role": options.clinician_role,
        "engineer_role": options.engineer_role,
        "audit": options.audit,
        "keep_pictures": _absolute(options.keep_pictures),
        "store": {"cache": _absolute(options.cache)},
    }
    return {name: value for name, value in said.items() if value is not None}


def _secrets(given: Path | None) -> Path | None:
    """The file that configures the log-in; None where nobody logs in.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no TOML, or has no `[auth]` although it was named.
    """
    import tomllib

    if given is None and not _SECRETS.exists():
        return None
    file = (given or _SECRETS).resolve()
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from error
    if isinstance(found.get("auth"), dict):
        return file
    if given is not None:
        raise ValueError(f"{file} has no section [auth]; docs/dashboard.md shows one")
    return None


def _check_address(options: argparse.Namespace, *, log_in: bool) -> None:
    """Refuse to open what other machines would reach without a log-in; the server does so as well."""
    if not 1 <= options.port <= 65535:
        raise ValueError(f"--port is {options.port}; expected 1 to 65535")
    if not log_in and not options.insecure and options.host not in _LOOPBACK:
        raise ValueError(
            f"{options.host} is reached from other machines, and nobody would have to log in: name "
            "a file with [auth] by --secrets (docs/dashboard.md shows one), or say --insecure if "
            "everyone on that network may use the dashboard"
        )


def _flags(
    options: argparse.Namespace, config: "DashboardConfig", secrets: Path | None
) -> list[str]:
    """What Streamlit has to be told."""
    flags = {
        "server.address": options.host,
        "server.port": str(options.port),
        "server.maxUploadSize": str(math.ceil(config.max_file_bytes / _MEGABYTE)),
        # Never the secrets of the folder that the command happens to be run in.
        "secrets.files": str(secrets or _SECRETS),
    }
    return [word for name, value in flags.items() for word in (f"--{name}", value)]


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())
