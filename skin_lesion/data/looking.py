"""The one door to the test split.

A figure of the test split tells how a model does on pictures that had no say in it. It stops telling
that once models are chosen by it, and nobody can see from a figure how often that was done. So
whoever looks has to say why, and the look is in the ledger before there is anything to see:

- Rows of the test split are given by `look_at_test` alone; `SplitTable.indices` refuses them.
- New figures from answers to test pictures that an earlier look recorded are a look too, which
  `look_at_answers` records. To show what was recorded, as the dashboard does, is none.

Code that trains, searches or watches a training imports nothing of this file, directly or not, and
trials of a search are given pictures without those of the test split; `tests/test_test_split.py` holds
it, and names all who may look.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from skin_lesion.data.split_table import SplitTable

Kind = Literal["pictures", "answers"]


@dataclass(frozen=True)
class LookedAt:
    """The model that a look is at, finished before the look.

    Attributes:
        bundle_hash: Its bundle with every decision frozen: what is registered and served.
        trained_hash: The same as it was trained; tells one set of weights from another.
        name: What people call it, such as `version 3`; None before it is registered.
    """

    bundle_hash: str
    trained_hash: str
    name: str | None = None


@dataclass(frozen=True)
class Purpose:
    """Who looks, and why.

    Attributes:
        tool: What looks, such as `evaluate` or `skin-lesion compare`.
        reason: Why, in one sentence.
        run: Name of the pipeline run that it belongs to; None outside one.
        user: Who wants it; None takes the name of the login.
    """

    tool: str
    reason: str
    run: str | None = None
    user: str | None = None


@dataclass(frozen=True)
class Look:
    """A look that is about to be taken.

    Attributes:
        kind: `pictures`: a model is shown test pictures; `answers`: figures are computed from answers
            to them that were recorded before.
        purpose: Who looks, and why.
        subject: The model.
        against: Hash of the bundle that it is compared with; None where it is compared with none.
        split_hash: Hash of the whole split.
        test_hash: Hash of the test pictures alone, see `pictures_hash`.
        images: How many test pictures.
    """

    kind: Kind
    purpose: Purpose
    subject: LookedAt
    against: str | None
    split_hash: str
    test_hash: str
    images: int


class LookNote(BaseModel):
    """Where a look stands in the ledger, and what came before it.

    Attributes:
        row: Its number among all looks of the ledger, from 1.
        head: Where the ledger ended once it was written, as `HASH:COUNT`: held against it later, this
            shows whether anything up to here was changed or removed since.
        before: Earlier looks at the same test pictures.
        models_before: Other models that they were at, told apart by their trained weights.
        same_model_before: Those of the earlier looks that were at this very model.
        since: When the first look at these test pictures was written down, this one if there was none
            before; UTC. What was seen before that, or by whom keeps another ledger, is not counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: int
    head: str
    before: int
    models_before: int
    same_model_before: int
    since: datetime


class Ledger(Protocol):
    """Where looks are written down; `skin_lesion.ledger` keeps one."""

    def record(self, look: Look) -> LookNote:
        """Write a look down, and return once it is safe."""


@dataclass(frozen=True)
class GivenRows:
    """What was given out at the door.

    Attributes:
        rows: Ascending row numbers of the test pictures, shape (N,).
        note: Of the look in the ledger.
    """

    rows: NDArray[np.int64]
    note: LookNote


def look_at_test(
    split: SplitTable, ledger: Ledger, subject: LookedAt, purpose: Purpose
) -> GivenRows:
    """Write a look at the test pictures down, then give their rows out.

    Args:
        split: Which image belongs where.
        ledger: Where to write.
        subject: The model that will be shown them.
        purpose: Who looks, and why.

    Raises:
        ValueError: There is no test picture, or the purpose has no place in the ledger.
    """
    rows = np.flatnonzero(split.rows["split"].to_numpy() == "test").astype(np.int64)
    ids = split.rows["image_id"].iloc[rows]
    look = Look(
        "pictures",
        purpose,
        subject,
        None,
        split.split_hash,
        pictures_hash(ids),
        _counted(len(rows)),
    )
    return GivenRows(rows, ledger.record(look))


def look_at_answers(
    image_ids: Iterable[str],
    split_hash: str,
    ledger: Ledger,
    subject: LookedAt,
    purpose: Purpose,
    *,
    against: str | None = None,
) -> LookNote:
    """Write down that new figures will be computed from recorded answers to test pictures.

    Args:
        image_ids: Of the test pictures that were answered.
        split_hash: Hash of the split that they are the test of.
        ledger: Where to write.
        subject: The model that answered.
        purpose: Who looks, and why.
        against: Hash of the bundle that it is compared with.

    Raises:
        ValueError: There is no test picture, or the purpose has no place in the ledger.
    """
    ids = list(image_ids)
    look = Look(
        "answers", purpose, subject, against, split_hash, pictures_hash(ids), _counted(len(ids))
    )
    return ledger.record(look)


def pictures_hash(image_ids: Iterable[str]) -> str:
    """SHA-256 over the ids of test pictures, whatever their order.

    Two splits that share out training and validation otherwise, such as the folds of one split, have
    one test split.
    """
    return hashlib.sha256("\n".join(sorted(map(str, image_ids))).encode()).hexdigest()


def _counted(images: int) -> int:
    if not images:
        raise ValueError("the split holds no test picture; there is nothing to look at")
    return images
