"""A prediction as a flat row: the one layout of CSV, Parquet, JSON and the registered model.

Columns are appended and never renamed. A cell that says nothing is None, and NaN in a table.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction, Versions
from skin_lesion.quality import Quality

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "text", "flag"]
Cell = float | str | bool | None

_QUALITY = tuple(measure.name for measure in fields(Quality))

# Name -> kind of its cells, in the order of the columns.
COLUMN_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(LABELS, "number"),  # calibrated probabilities
        "prediction": "text",
        "malignant_probability": "number",
        "status": "text",
        "reason": "text",
        "confidence": "text",
        "prediction_set": "text",  # codes with a blank between them
        "verdicts": "text",  # a JSON object: name of the operating point -> suspicious or not
        **dict.fromkeys((f"quality_{name}" for name in _QUALITY), "number"),
        "ood_score": "number",
        "unlike_training": "flag",
        "image_sha256": "text",
        "model_version": "text",
        "bundle_hash": "text",
        "contract_hash": "text",
        "several_frames": "flag",
        "precision": "text",
        "embedding_distance": "number",
    }
)
COLUMNS: tuple[str, ...] = tuple(COLUMN_KINDS)
# What pandas keeps each kind in, so that a table has the same types whatever its rows say.
_DTYPES: Mapping[Kind, str] = {"number": "float64", "text": "str", "flag": "boolean"}


def row(prediction: Prediction) -> dict[str, Cell]:
    """One cell for each of `COLUMNS`, in order."""
    probabilities = prediction.probabilities or {}
    quality = {} if prediction.quality is None else asdict(prediction.quality)
    sets, verdicts, versions = prediction.prediction_set, prediction.verdicts, prediction.versions
    return {
        **{label: probabilities.get(label) for label in LABELS},
        "prediction": prediction.prediction,
        "malignant_probability": prediction.malignant_probability,
        "status": prediction.status,
        "reason": prediction.reason,
        "confidence": prediction.confidence,
        "prediction_set": None if sets is None else " ".join(sets),
        "verdicts": None if verdicts is None else json.dumps(dict(verdicts)),
        **{f"quality_{name}": quality.get(name) for name in _QUALITY},
        "ood_score": prediction.ood_score,
        "unlike_training": prediction.unlike_training,
        "image_sha256": prediction.image_sha256,
        **_of_versions(versions),
        "several_frames": prediction.several_frames,
        "precision": None if versions is None else versions.precision,
        "embedding_distance": prediction.embedding_distance,
    }


def nested(prediction: Prediction) -> dict[str, Any]:
    """The same as a JSON object: what belongs together is one member, lists stay lists.

    The heat-map, which is a picture, is left out.
    """
    values = row(prediction)
    return {
        "status": prediction.status,
        "reason": prediction.reason,
        "prediction": prediction.prediction,
        "confidence": prediction.confidence,
        "malignant_probability": prediction.malignant_probability,
        "probabilities": _plain(prediction.probabilities),
        "prediction_set": _listed(prediction.prediction_set),
        "verdicts": _plain(prediction.verdicts),
        "quality": None if prediction.quality is None else asdict(prediction.quality),
        **{name: values[name] for name in COLUMNS[COLUMNS.index("ood_score") :]},
    }


def frame(predictions: Iterable[Prediction], index: Any = None) -> "pd.DataFrame":
    """A table with one row for each prediction, of the same types whatever they say.

    Args:
        predictions: In the order of the rows.
        index: Of the table; None counts from 0.
    """
    import pandas as pd

    table = pd.DataFrame([row(each) for each in predictions], columns=list(COLUMNS), index=index)
    return table.astype({name: _DTYPES[kind] for name, kind in COLUMN_KINDS.items()})


def _of_versions(versions: Versions | None) -> dict[str, Cell]:
    return {
        "model_version": None if versions is None else versions.model,
        "bundle_hash": None if versions is None else versions.bundle,
        "contract_hash": None if versions is None else versions.contract,
    }


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else dict(values)


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
