"""The ledger of every look at the test split: who looked, at what, when and why.

    ledger = LookLedger.open(ledger_url(None))
    found = look_at_test(split, ledger, subject, Purpose("evaluate", "figures of a new model"))

A row is written before the figures exist, and names the bundle that they will be of: by its hash
weights and thresholds were fixed before. What the ledger cannot show: a look by code that goes round
the door, one that was written to another ledger, and what a person made of a figure.
"""

from functools import partial

from skin_lesion.chain import table
from skin_lesion.ledger.log import LookLedger, environments_ledger, ledger_url
from skin_lesion.ledger.records import LookRow, stored
from skin_lesion.ledger.schema import BOOK, URL_VARIABLE, LedgerError

write_csv = partial(table.write_csv, BOOK)

__all__ = [
    "URL_VARIABLE",
    "LedgerError",
    "LookLedger",
    "LookRow",
    "environments_ledger",
    "ledger_url",
    "stored",
    "write_csv",
]
