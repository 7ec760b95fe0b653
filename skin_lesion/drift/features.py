"""What is watched, and how it is called.

Everything is a column of `skin_lesion.prediction_table`, so a table of predictions is all that is
needed, whichever engine or page made it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from skin_lesion.labels import LABELS

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["number", "category"]
NONE = "none"


@dataclass(frozen=True)
class Feature:
    """One thing that is watched.

    Attributes:
        kind: Whether it is a number or one of several words.
        title: Plain name with its unit, for a person.
        of: What a change of it may mean.
    """

    kind: Kind
    title: str
    of: str


_PICTURE = "other camera, light, compression or patients"
_ANSWER = "other patients, or a model that no longer fits them"

FEATURES: Mapping[str, Feature] = MappingProxyType(
    {
        "status": Feature("category", "Assessed, refused or unreadable", _PICTURE),
        "reason": Feature("category", "Why pictures were not assessed", _PICTURE),
        "prediction": Feature("category", "Class mix of the answers", _ANSWER),
        "confidence": Feature("category", "Confidence bands", _ANSWER),
        "top_probability": Feature("number", "Top probability", _ANSWER),
        "malignant_probability": Feature("number", "Malignant probability", _ANSWER),
        "ood_score": Feature("number", "Unlikeness to the training pictures", _PICTURE),
        "embedding_distance": Feature("number", "Distance in the network's features", _PICTURE),
        "quality_sharpness": Feature("number", "Sharpness (log10)", _PICTURE),
        "quality_brightness": Feature("number", "Brightness (grey level, 0-255)", _PICTURE),
        "quality_dark_share": Feature("number", "Nearly black pixels (share)", _PICTURE),
        "quality_bright_share": Feature("number", "Nearly white pixels (share)", _PICTURE),
        "quality_contrast": Feature("number", "Contrast (grey levels)", _PICTURE),
        "quality_skin_likeness": Feature("number", "Skin-coloured pixels (share)", _PICTURE),
        "quality_short_side": Feature("number", "Shorter side of the picture (pixels)", _PICTURE),
        "quality_aspect": Feature("number", "Ratio of the sides", _PICTURE),
    }
)


def watched(predictions: "pd.DataFrame") -> "pd.DataFrame":
    """The watched columns of a table of predictions, as far as it has them.

    Args:
        predictions: Columns of `skin_lesion.prediction_table`, all or some; it is not changed.

    Returns:
        One row for each row given. A picture that was not assessed has no answer: its cells are
        missing there, and `none` as the reason of one that was.

    Raises:
        ValueError: The table has none of the columns.
    """
    table = predictions.reset_index(drop=True)
    if set(LABELS) <= set(table.columns):
        table = table.assign(top_probability=table[list(LABELS)].max(axis=1))
    if "reason" in table:
        table = table.assign(reason=table["reason"].astype("object").fillna(NONE).astype("str"))
    kept = [name for name in FEATURES if name in table]
    if not kept:
        raise ValueError(
            f"a table with the columns {list(predictions.columns)[:10]} holds no predictions; "
            f"expected some of {', '.join(FEATURES)}"
        )
    return table[kept]
