"""Where the audit log is."""

from pathlib import Path

from skin_lesion.audit.schema import BOOK, URL_VARIABLE, AuditError
from skin_lesion.chain.database import log_url

__all__ = ["URL_VARIABLE", "AuditError", "audit_url"]


def audit_url(given: str | None, root: Path) -> str:
    """Where the audit log is.

    Args:
        given: What the user said; None asks the environment's `SKIN_LESION_AUDIT_URL`.
        root: The project's root; where nobody said anything the log is `.work/audit.db` in it.
    """
    return log_url(BOOK, given, root)
