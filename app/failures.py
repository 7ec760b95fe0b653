"""What a user reads where something went wrong that nobody foresaw."""

import logging
import secrets

import streamlit as st

from app import desk as shared
from skin_lesion.texts import Texts

log = logging.getLogger(__name__)


def tell(error: Exception) -> bool:
    """Write an error into the log under a number, and show the user that number with words.

    Streamlit calls this for whatever a page, a part of it or a button's action raises; what stops or
    reruns a page on purpose is no `Exception`, and does not come here.

    Returns:
        True: Streamlit has nothing to show in addition.
    """
    number = secrets.token_hex(4).upper()
    log.error("failure %s", number, exc_info=error)
    st.error(Texts(shared.language())("frame.failure", number=number), icon=":material/error:")
    return True
