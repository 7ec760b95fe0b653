"""What the model said of its validation pictures: what later batches are held against.

Not of the training pictures, of which it is too sure, nor of the test pictures, which no later use
may touch. It travels in the bundle, without the name of any picture.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import Decisions, malignant_probability
from skin_lesion.drift.features import FEATURES, NONE, watched
from skin_lesion.labels import LABELS
from skin_lesion.ood import UNLIKE_TRAINING, OodReference, score
from skin_lesion.quality import Quality, judge

_NO_ANSWER = ""


@dataclass(frozen=True)
class DriftReference:
    """The watched columns of the validation pictures.

    Attributes:
        table: Columns of `skin_lesion.drift.features.FEATURES`, one row for each picture; a cell is
            missing where a picture had no such value. Numbers are rounded to the precision of
            float32, which is what is saved.
    """

    table: pd.DataFrame

    @classmethod
    def of(cls, table: pd.DataFrame) -> "DriftReference":
        """Take watched columns, in the types that `load` gives."""
        return cls(
            table.astype(
                {
                    name: "float32" if FEATURES[str(name)].kind == "number" else "str"
                    for name in table
                }
            )
        )

    def save(self, path: Path) -> None:
        """Write an `.npz` file, the same bytes for the same table."""
        arrays = {}
        for name in self.table:
            column = self.table[name]
            if FEATURES[str(name)].kind == "number":
                arrays[str(name)] = column.to_numpy(np.float32)
            else:
                arrays[str(name)] = np.array(column.fillna(_NO_ANSWER).tolist(), dtype=np.str_)
        # A file handle: for a path NumPy would add a suffix of its own.
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "DriftReference":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds something else.
        """
        with np.load(path, allow_pickle=False) as file:
            # A later version may watch more.
            columns = {name: file[name] for name in FEATURES if name in file.files}
        if not columns or len({column.shape for column in columns.values()}) != 1:
            raise ValueError(
                f"{path} is no reference of validation pictures; evaluate the model anew"
            )
        table = pd.DataFrame(columns)
        return cls.of(table.mask(table == _NO_ANSWER))


def reference_of(
    logits: NDArray[np.floating],
    features: NDArray[np.float32],
    qualities: Sequence[Quality],
    decisions: Decisions,
    training: OodReference,
) -> DriftReference:
    """Say of N pictures what the served model says of them.

    Args:
        logits: Shape (N, 7).
        features: Pooled features, shape (N, C).
        qualities: Measures of the pictures.
        decisions: As frozen.
        training: The training pictures, as far as the gate needs them.
    """
    gate = decisions.ood
    ood_scores = (
        None if gate is None else score(gate.score, logits, features, training, gate.neighbours)
    )
    embedding_distances = training.embedding_distances(features)
    probabilities = decisions.calibrator.probabilities(logits)
    flaws = [judge(quality, decisions.quality) for quality in qualities]
    unlike = (
        np.zeros(len(logits), bool)
        if gate is None or ood_scores is None
        else ood_scores > gate.threshold
    )
    reasons = [
        flaw or (UNLIKE_TRAINING if far else None) for flaw, far in zip(flaws, unlike, strict=True)
    ]
    answered = np.array([reason is None for reason in reasons])
    looked_at = np.array([flaw is None for flaw in flaws])
    top = probabilities.max(axis=1)
    bands = decisions.confidence
    table = pd.DataFrame(
        {
            "status": np.where(answered, "ok", "cannot_assess"),
            "reason": [reason or NONE for reason in reasons],
            "prediction": _where(answered, [LABELS[i] for i in probabilities.argmax(axis=1)]),
            **(
                {"confidence": _where(answered, [bands.band(float(value)) for value in top])}
                if bands
                else {}
            ),
            **{
                label: np.where(answered, probabilities[:, i], np.nan)
                for i, label in enumerate(LABELS)
            },
            "malignant_probability": np.where(
                answered, malignant_probability(probabilities), np.nan
            ),
            **(
                {} if ood_scores is None else {"ood_score": np.where(looked_at, ood_scores, np.nan)}
            ),
            **(
                {}
                if embedding_distances is None
                else {"embedding_distance": np.where(looked_at, embedding_distances, np.nan)}
            ),
            **{
                f"quality_{name}": [asdict(quality)[name] for quality in qualities]
                for name in asdict(qualities[0])
            },
        }
    )
    return DriftReference.of(watched(table))


def _where(answered: NDArray[np.bool_], words: Sequence[str]) -> list[str | None]:
    return [word if given else None for word, given in zip(words, answered, strict=True)]
