"""What every page of the dashboard is given, and the parts of it that all sessions share."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app.clinic.users import User
from app.model_store import ModelStore
from skin_lesion.audit import AuditLog, audit_url
from skin_lesion.settings import DashboardConfig
from skin_lesion.texts import LANGUAGES, Language, Texts, best_language

CONFIG_VARIABLE = "SKIN_LESION_DASHBOARD"
ROOT = Path(__file__).resolve().parents[1]

_LANGUAGE = "language"


@dataclass(frozen=True)
class Desk:
    """What a page works with.

    Attributes:
        config: What whoever started the dashboard decided.
        texts: The words of this session's language.
        user: Who sits before it.
        store: The model in production.
        audit: Where readings are written down.
    """

    config: DashboardConfig
    texts: Texts
    user: User
    store: ModelStore
    audit: AuditLog


@st.cache_resource(show_spinner=False)
def configuration() -> DashboardConfig:
    """What the environment says.

    Raises:
        ValueError: It says something else than a configuration.
    """
    said = json.loads(os.environ.get(CONFIG_VARIABLE) or "{}")
    said.setdefault("store", {}).setdefault("cache", str(ROOT / ".work" / "serving"))
    return DashboardConfig.model_validate(said)


@st.cache_resource(show_spinner=False)
def model_store() -> ModelStore:
    """The one store of this process; it begins to load the model at once, in a thread of its own."""
    return ModelStore(configuration().store).start()


@st.cache_resource(show_spinner=False)
def audit_log() -> AuditLog:
    """The one log of this process.

    Raises:
        AuditError: It cannot be opened.
    """
    config = configuration()
    pictures = Path(config.keep_pictures) if config.keep_pictures else None
    return AuditLog.open(audit_url(config.audit, ROOT), pictures=pictures)


def language() -> Language:
    """The session's language: what its user chose, or what the browser prefers."""
    chosen: Language | None = st.session_state.get(_LANGUAGE)
    return chosen if chosen in LANGUAGES else best_language(st.context.locale)


def choose_language(chosen: Language) -> None:
    """Keep to a language for the rest of the session."""
    st.session_state[_LANGUAGE] = chosen
