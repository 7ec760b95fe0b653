"""Enter the looks at the test split that another machine's result tells of into the ledger of this one.

    python benchmarks/enter_looks.py benchmarks/results/gpu.json

`gpu.py --scratch` writes a look into the ledger of the machine that it runs on, which may be borrowed.
Its result has the rows of that ledger. Each that is as it was written becomes a row of the ledger here,
with when it was written there in its reason; one that is here already is left out, so that the command
may be given again.
"""

import argparse
import json
import sys
from pathlib import Path

from skin_lesion.ledger import LedgerError, LookLedger, LookRow, ledger_url


def looks_of(path: Path) -> list[LookRow]:
    """The looks that a result tells of.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no result of `gpu.py --scratch`, or what it tells of is no look.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["from_scratch"]["looks"]
        return [LookLedger.as_row(row) for row in rows]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} tells of no looks ({type(error).__name__}: {error}); expected what "
            "`gpu.py --scratch` wrote"
        ) from error


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, help="what gpu.py --scratch wrote")
    parser.add_argument("--url", help="of the ledger here; else what the environment says")
    options = parser.parse_args()
    try:
        looks = looks_of(options.result)
        ledger = LookLedger.open(ledger_url(options.url))
        for look in looks:
            note = ledger.enter(look)
            print(
                f"row {look.id} of the other ledger: "
                + (
                    "is here already"
                    if note is None
                    else f"row {note.row} here; looks at the same pictures before it: {note.before}"
                )
            )
    except (OSError, ValueError, LedgerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
