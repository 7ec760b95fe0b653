"""Append-only logs whose rows are chained by their hashes; what the project's logs have in common.

A log names itself in a `Book` and derives from `ChainedLog`. What tampering is found, and what
cannot be, stands in `verification.py`.
"""

from skin_lesion.chain.book import Book
from skin_lesion.chain.database import ChainError
from skin_lesion.chain.log import ChainedLog
from skin_lesion.chain.verification import Fault, Head, Verification

__all__ = ["Book", "ChainError", "ChainedLog", "Fault", "Head", "Verification"]
