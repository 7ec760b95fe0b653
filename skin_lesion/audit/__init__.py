"""The append-only audit log: what was predicted for whom by which model, and what people said of it.

    log = AuditLog.open(audit_url(None, root))
    row = log.record(Entry(user="a.smith", role="dermatologist", prediction=prediction))
    log.feedback(row.id, "a.smith", "dermatologist", "mel", "regression structures at the rim")

It keeps the SHA-256 of a picture, never the picture, unless it was opened with a folder for them.
What tampering it finds, and what it cannot, stands in `skin_lesion/chain/verification.py`.
"""

from functools import partial

from skin_lesion.audit.database import URL_VARIABLE, AuditError, audit_url
from skin_lesion.audit.log import AuditLog
from skin_lesion.audit.queries import Agreement, Reading, Scope
from skin_lesion.audit.records import FEEDBACK_LABELS, OTHER, AuditRow, Entry
from skin_lesion.audit.schema import BOOK
from skin_lesion.chain import table
from skin_lesion.chain.verification import Fault, Head, Verification

write_csv = partial(table.write_csv, BOOK)

__all__ = [
    "FEEDBACK_LABELS",
    "OTHER",
    "URL_VARIABLE",
    "Agreement",
    "AuditError",
    "AuditLog",
    "AuditRow",
    "Entry",
    "Fault",
    "Head",
    "Reading",
    "Scope",
    "Verification",
    "audit_url",
    "write_csv",
]
