"""Starts the REST service: `python -m app`, which is what `skin-lesion serve` runs.

The configuration is JSON in the environment's `SKIN_LESION_SERVE`; keys and the URL of the audit log
come from the environment as well, so that no secret stands on a command line.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping

import uvicorn
from fastapi import FastAPI

from app.api import create_app
from app.model_store import ModelStore
from app.oidc import OidcVerifier
from app.security import Guard, check_tls, new_key, read_keys
from skin_lesion.audit import URL_VARIABLE, AuditLog
from skin_lesion.patience import be_quick
from skin_lesion.settings import ServeConfig

CONFIG_VARIABLE = "SKIN_LESION_SERVE"
_LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "bare": {"format": "%(message)s"},
        "full": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
    },
    "handlers": {
        # Lines of JSON for machines go to one stream, words for people to the other.
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "bare",
            "stream": "ext://sys.stdout",
        },
        "words": {"class": "logging.StreamHandler", "formatter": "full"},
    },
    "loggers": {
        "app.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        "app": {"level": "INFO"},
        "uvicorn": {"level": "INFO"},
        # It quotes what it cannot parse.
        "python_multipart": {"level": "ERROR"},
    },
    "root": {"handlers": ["words"], "level": "WARNING"},
}


def build(environment: Mapping[str, str] = os.environ) -> tuple[ServeConfig, FastAPI]:
    """The service that an environment describes.

    Raises:
        ValueError: The configuration is none, would let strangers ask, or names no certificate that
            TLS can be spoken with.
        OSError: A file that it names cannot be read.
        AuditError: The audit log cannot be opened.
    """
    config = ServeConfig.model_validate_json(environment.get(CONFIG_VARIABLE, "{}"))
    tokens = OidcVerifier(config.oidc) if config.oidc else None
    guard = Guard(read_keys(config, environment), tokens, insecure=config.insecure)
    guard.check_address(config.host)
    check_tls(config)
    url = config.audit or environment.get(URL_VARIABLE)
    audit = AuditLog.open(url) if url else None
    return config, create_app(config, ModelStore(config.store), guard, audit)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m app", description=__doc__)
    parser.add_argument("--new-key", metavar="NAME", help="make an API key, and do not serve")
    options = parser.parse_args()
    try:
        if options.new_key is not None:
            key, line = new_key(options.new_key)
            sys.stdout.write(
                f"The key, for {options.new_key} alone; it is shown this once:\n  {key}\n"
                f"The line for the server's file of keys, from which no key can be won:\n  {line}\n"
            )
            return
        config, app = build()
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"skin-lesion serve: {error}") from error
    be_quick(os.environ)
    logging.captureWarnings(True)
    uvicorn.run(
        app,
        host=config.host,
        port=config.port,
        log_config=_LOGS,
        access_log=False,  # the application writes its own, without what clients put into addresses
        server_header=False,
        ssl_certfile=config.tls_certificate,
        ssl_keyfile=config.tls_key,
        timeout_keep_alive=config.keep_alive_seconds,
        timeout_graceful_shutdown=config.drain_seconds,
    )


if __name__ == "__main__":
    main()
