"""The commands of `skin-lesion`, one file each.

A module is named as its command and has `HELP` (one line), `add_arguments(parser)` and
`run(options) -> int`. None imports more than the standard library before `run`, so that
`skin-lesion --help` answers at once. What goes wrong through the user's doing is raised as one of
`EXPECTED_ERRORS`, and reaches the user as one line.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
# In the order in which a user meets them.
NAMES = (
    "setup",
    "results",
    "predict",
    "rerun",
    "tune",
    "evaluate",
    "compare",
    "verify",
    "ledger",
    "promote",
    "rollback",
    "status",
    "batch",
    "drift",
    "audit",
    "serve",
    "dashboard",
)
EXPECTED_ERRORS = (LookupError, ValueError, OSError, RuntimeError)


def load(name: str) -> ModuleType:
    """The module of a command."""
    return import_module(f"{__name__}.{name}")
