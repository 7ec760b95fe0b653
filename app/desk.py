"""What every page of the dashboard is given, and the parts of it that all sessions share."""

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.clinic import access
from app.clinic.access import Entrance
from app.clinic.users import User
from app.once import once
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES, Language, Texts, best_language

# The server listens before these are there, which take longer to import than all the rest.
if TYPE_CHECKING:
    from app.model_store import ModelStore
    from skin_lesion.audit import AuditLog

log = logging.getLogger(__name__)

CONFIG_VARIABLE = "SKIN_LESION_DASHBOARD"
ROOT = Path(__file__).resolve().parents[1]

LANGUAGE_PARAMETER = "lang"
_LANGUAGE = "language"
# A database that does not answer is asked again after so long, and not by every page in turn.
_AUDIT_PATIENCE = 10.0


@dataclass(frozen=True)
class Desk:
    """What a page works with.

    Attributes:
        config: What whoever started the dashboard decided.
        texts: The words of this session's language.
        user: Who sits before it.
        store: The model in production.
        audit: Where readings are written down.
        asks: Asked every few seconds while the page is open; once one says yes, the page is drawn
            anew. What is drawn adds to them.
    """

    config: DashboardConfig
    texts: Texts
    user: User
    store: "ModelStore"
    audit: "AuditLog"
    asks: list[Callable[[], bool]] = field(default_factory=list, compare=False)


@once()
def configuration() -> DashboardConfig:
    """What the environment says.

    Raises:
        ValueError: It says something else than a configuration.
    """
    said = json.loads(os.environ.get(CONFIG_VARIABLE) or "{}")
    said.setdefault("store", {}).setdefault("cache", str(ROOT / ".work" / "serving"))
    return DashboardConfig.model_validate(said)


@once()
def entrance() -> Entrance:
    """How the dashboard may be entered, by its configuration, its address and Streamlit's secrets."""
    config = configuration()
    found = access.entrance(
        _auth_section(),
        st.get_option("server.address"),
        insecure=config.insecure,
        log_in=config.log_in,
    )
    if found.fault is not None:
        log.error("nobody may use the dashboard: %s", found.detail)
    return found


@once()
def model_store() -> "ModelStore":
    """The one store of this process; it begins to load the model at once, in a thread of its own."""
    from app.model_store import ModelStore

    return ModelStore(configuration().store).start()


@once(patience=_AUDIT_PATIENCE)
def audit_log() -> "AuditLog":
    """The one log of this process.

    Raises:
        AuditError: It cannot be opened.
        ValueError: Its URL is none.
    """
    from skin_lesion.audit import AuditLog, audit_url

    config = configuration()
    pictures = Path(config.keep_pictures) if config.keep_pictures else None
    return AuditLog.open(audit_url(config.audit, ROOT), pictures=pictures)


def language() -> Language:
    """The session's language: what its address or its user says, or what the browser prefers."""
    asked: Any = st.query_params.get(LANGUAGE_PARAMETER)
    if asked in LANGUAGES:
        st.session_state[_LANGUAGE] = asked
    chosen: Language | None = st.session_state.get(_LANGUAGE)
    return chosen if chosen in LANGUAGES else best_language(st.context.locale)


def choose_language(chosen: Language) -> None:
    """Keep to a language for the rest of the session, and in the page's address for after it."""
    st.session_state[_LANGUAGE] = chosen
    keep_language()


def keep_language() -> None:
    """Write a chosen language into the page's address; Streamlit drops it between two pages."""
    chosen = st.session_state.get(_LANGUAGE)
    if chosen is not None and st.query_params.get(LANGUAGE_PARAMETER) != chosen:
        st.query_params[LANGUAGE_PARAMETER] = chosen


def _auth_section() -> Mapping[str, Any] | None:
    """The section `[auth]` of Streamlit's secrets; None where there are no secrets or it is not there.

    Secrets that are there and cannot be read are none that can be passed over: they may ask for a
    log-in. They count as an empty section, with which nobody gets in.
    """
    if not st.secrets.load_if_toml_exists():
        there = any(Path(file).exists() for file in st.get_option("secrets.files"))
        return {} if there else None
    if "auth" not in st.secrets:
        return None
    section = st.secrets["auth"]
    return section.to_dict() if hasattr(section, "to_dict") else {}
