"""Where answers of a model come from: a scored batch, or the audit log."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skin_lesion.audit.records import model_name
from skin_lesion.batch.result import PREDICTIONS
from skin_lesion.decisions import malignant_probability
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Versions

if TYPE_CHECKING:
    import pandas as pd

    from skin_lesion.audit.records import AuditRow

# Other models of a log that a message lists.
_NAMED = 5


def read_predictions(path: Path) -> "pd.DataFrame":
    """Read a table of predictions.

    Args:
        path: Parquet or CSV file with columns of `skin_lesion.prediction_table`, or the folder of a
            scored batch.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such table.
    """
    import pandas as pd

    file = path / PREDICTIONS if path.is_dir() else path
    if not file.is_file():
        what = (
            f"{path} is a folder without {PREDICTIONS}" if path.is_dir() else f"{path} is no file"
        )
        raise FileNotFoundError(
            f"{what}; name a table of predictions (.parquet or .csv), or the folder that "
            "`skin-lesion batch` wrote"
        )
    try:
        if file.suffix == ".csv":
            # Versions and hashes are names, even where they look like numbers.
            names = {"model_version": "str", "bundle_hash": "str", "contract_hash": "str"}
            return pd.read_csv(file, dtype=names, encoding="utf-8-sig")
        return pd.read_parquet(file)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{file} cannot be read as a table of predictions (.parquet or .csv): {error}"
        ) from error


def from_audit(
    rows: "Iterable[AuditRow]", versions: Versions, *, log: str = "the audit log"
) -> "pd.DataFrame":
    """The readings of one model in an audit log, as a table of predictions.

    The log keeps no measures of the pictures, so answers and refusals alone can be compared.

    Args:
        rows: Rows of the log; feedback and readings of other models are passed over. A version's
            number may be given anew after it was deleted, so the contract has to be the same too.
        versions: Which model is meant.
        log: What to call the rows, for messages.

    Raises:
        LookupError: No row is a reading of that model.
    """
    import pandas as pd

    wanted, others = model_name(versions), set()
    readings = []
    for row in rows:
        if row.is_feedback:
            continue
        if (row.model_version, row.contract_hash) == (wanted, versions.contract):
            readings.append(row)
        else:
            others.add(f"{row.model_version} (contract {row.contract_hash[:12]})")
    if not readings:
        raise LookupError(
            f"{log}: no reading of model {wanted} with the contract {versions.contract[:12]}; there "
            f"are readings of {', '.join(sorted(others)[:_NAMED]) or 'no model'}"
        )
    probabilities = np.array(
        [
            [row.probabilities[label] for label in LABELS]
            if row.probabilities
            else [np.nan] * len(LABELS)
            for row in readings
        ]
    )
    rest = pd.DataFrame(
        [(row.status, row.reason, row.prediction) for row in readings],
        columns=["status", "reason", "prediction"],
    )
    return pd.DataFrame(probabilities, columns=list(LABELS)).assign(
        **{str(name): rest[name] for name in rest},
        malignant_probability=malignant_probability(probabilities),
        model_version=wanted,
        bundle_hash=versions.bundle,
    )
