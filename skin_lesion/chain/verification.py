"""Whether the rows of a chained log are those that were written.

Every row holds the hash of the row before it, and its own hash covers that. So a row that was
changed, removed, inserted or moved breaks the chain at that place or right behind it. The database
notes besides where the log ends.

What a chain alone cannot tell: whoever may write the whole database can compute every hash anew from
some row on and set the noted end to match, or cut the last rows off and set it back. Both are found
by a head that was noted elsewhere before, as far as that head reaches: the rows up to it are proven
to be those of that day, and rows added after it are not. No chain tells whether what was written was
true, whether something was never written, or whether the writer's clock was right.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from skin_lesion.chain.rows import GENESIS, row_hash

_HEAD = re.compile(r"([0-9a-f]{64})(?::([0-9]{1,18}))?")


@dataclass(frozen=True)
class Head:
    """Where a log ended at some moment; to be noted where writers of the log cannot reach it.

    Attributes:
        hash: `row_hash` of the last row, `GENESIS` in an empty log.
        rows: How many rows there were; None where whoever noted the head did not say.
    """

    hash: str
    rows: int | None = None

    def __str__(self) -> str:
        """The form that `parse` reads."""
        return self.hash if self.rows is None else f"{self.hash}:{self.rows}"

    @classmethod
    def parse(cls, value: str) -> "Head":
        """Read `HASH` or `HASH:COUNT`.

        Raises:
            ValueError: It is neither.
        """
        found = _HEAD.fullmatch(value.strip())
        if found is None:
            raise ValueError(
                f"the head is {value!r}; expected HASH or HASH:COUNT as the log's command prints it, "
                "with 64 lower-case hexadecimal digits"
            )
        rows = None if found[2] is None else int(found[2])
        if rows is not None and (rows == 0) != (found[1] == GENESIS):
            raise ValueError(f"the head is {value!r}; only an empty log has the hash {GENESIS}")
        return cls(found[1], rows)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a log.

    Attributes:
        id: The first row that is not as it was written, or is missing; None where all rows are in
            order, and something around them is not.
        what: What is wrong, in words.
    """

    id: int | None
    what: str

    def __str__(self) -> str:
        """One line for a person."""
        return self.what if self.id is None else f"row {self.id}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """What looking at every row of a log showed.

    Attributes:
        head: Where the rows end that were found in order.
        fault: The first thing that is wrong; None where nothing is.
        clock_set_back: Rows that were written at an earlier time than the row before them, by the
            writers' clocks. Clocks are set, and those of two machines differ: no fault.
    """

    head: Head
    fault: Fault | None
    clock_set_back: int

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault is None


class _Chain:
    """The rows that were looked at so far; memory does not grow with them."""

    def __init__(self, columns: Sequence[str], noted: Head | None) -> None:
        self._columns = columns
        self.rows = 0
        self.hash = GENESIS
        self.clock_set_back = 0
        self._at = ""
        self._noted = noted
        self.noted_was_seen = noted is None or noted.hash == GENESIS

    def follow(self, row: Mapping[str, object]) -> Fault | None:
        """Look at the next row; it belongs to the chain where there is no fault."""
        expected = self.rows + 1
        if row["id"] != expected:
            if isinstance(row["id"], int) and row["id"] > expected:
                return Fault(expected, f"missing; the next row there is has the id {row['id']}")
            return Fault(expected, f"in its place is a row with the id {row['id']!r}")
        broken = []
        if row["previous_hash"] != self.hash:
            before = f"row {self.rows}" if self.rows else "the beginning of the log"
            broken.append(
                f"does not follow {before}: a row was inserted, removed, moved or replaced here or "
                "just before"
            )
        if not _is_whole(row, self._columns):
            broken.append("its values do not give its row_hash: a value was changed")
        if broken:
            return Fault(expected, "; ".join(broken))
        self.rows, self.hash = expected, str(row["row_hash"])
        if self._noted and self._noted.rows == self.rows and self._noted.hash != self.hash:
            return Fault(
                expected,
                "not the row that the noted head names: this row or one before it was written anew, "
                "with every hash from there on",
            )
        self.noted_was_seen |= self._noted is not None and self._noted.hash == self.hash
        at = str(row["at"])
        self.clock_set_back += at < self._at
        self._at = at
        return None

    def end(self, row_count: int, last_hash: str) -> Fault | None:
        """The rows are at an end; the database notes how many there should be."""
        if self.rows < row_count:
            return Fault(
                self.rows + 1,
                f"missing, and so is every row behind it: the log held {row_count} rows",
            )
        if (self.rows, self.hash) != (row_count, last_hash):
            return Fault(
                None,
                f"the database notes {row_count} rows up to {last_hash}; there are {self.rows} up to "
                f"{self.hash}: the note or the end of the log was written by something else",
            )
        if self._noted and self._noted.rows is not None and self._noted.rows > self.rows:
            return Fault(
                self.rows + 1,
                f"missing, and so is every row behind it: the noted head is of {self._noted.rows} "
                "rows",
            )
        if self._noted and not self.noted_was_seen:
            return Fault(
                None,
                "no row has the hash of the noted head: the rows up to it were removed or written "
                "anew",
            )
        return None


def check_chain(
    rows: Iterable[Mapping[str, object]],
    columns: Sequence[str],
    row_count: int,
    last_hash: str,
    *,
    noted: Head | None = None,
    fallen_fences: Sequence[str] = (),
) -> Verification:
    """Look at every row of a log, in the order of ids, and stop at the first fault.

    Args:
        rows: Cells by column, as the database keeps them.
        columns: Every column that a row has to have.
        row_count: Rows there should be, as the database notes it.
        last_hash: Hash of the last one, as the database notes it.
        noted: A head noted elsewhere; None looks at the log alone.
        fallen_fences: Triggers that no longer protect the log.
    """
    chain = _Chain(columns, noted)
    fault = None
    for row in rows:
        fault = chain.follow(row)
        if fault is not None:
            break
    else:
        fault = chain.end(row_count, last_hash)
    if fault is None and fallen_fences:
        fault = Fault(
            None,
            "every row is in order, but the database no longer protects them: there is no active "
            f"trigger {', '.join(fallen_fences)}",
        )
    return Verification(Head(chain.hash, chain.rows), fault, chain.clock_set_back)


def _is_whole(row: Mapping[str, object], columns: Sequence[str]) -> bool:
    cells = {name: row[name] for name in columns}
    if not all(cell is None or type(cell) in (str, int) for cell in cells.values()):
        return False
    try:
        return row_hash(cells) == cells["row_hash"]  # type: ignore[arg-type]
    except UnicodeEncodeError:
        return False
