"""What the dashboard does between its start and its first visitor, so that nobody waits for it."""

import gc
import logging

from app import desk as shared

log = logging.getLogger(__name__)


def warm() -> None:
    """Begin to load the model, import what the pages need, and open the audit log.

    What goes wrong is logged here, and told to users when they come.
    """
    if shared.entrance().fault is not None:
        return  # nobody will come
    shared.model_store()
    from app.views import batch, evidence, history, read, registry  # noqa: F401
    from skin_lesion.audit import AuditError

    try:
        shared.audit_log()
    except (AuditError, ValueError) as error:
        log.error("the audit log cannot be used: %s", error)
    # What was imported stays: collections of garbage need not look through it ever again.
    gc.collect()
    gc.freeze()
