"""Which picture from elsewhere shows what: a table that somebody else made."""

import csv
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skin_lesion.data.archives import SourceError
from skin_lesion.data.manifest import QUARANTINE_COLUMNS
from skin_lesion.data.sources import PICTURE_SUFFIXES
from skin_lesion.labels import LABELS

_IMAGE_NAMES = ("image_id", "image", "isic_id", "image_name", "filename", "file", "path")
_LABEL_NAMES = ("dx", "label", "diagnosis", "class", "target")
_OTHER_NAMES = {
    "lesion_id": ("lesion_id", "lesion"),
    "age": ("age", "age_approx"),
    "sex": ("sex", "gender"),
    "localization": ("localization", "anatom_site_general", "site"),
}
_LABEL_COLUMNS = ["image_id", "lesion_id", "lesion_named", "dx", "age", "sex", "localization"]
# What people and programs write where they know nothing, in lower case.
_NOTHING = ("", "na", "n/a", "nan", "none", "null", "unknown", "-")
_SEXES = {"m": "male", "f": "female", "male": "male", "female": "female"}
_OLDEST = 120  # years
_UNNAMED = "picture:"
_SHOWN = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExternalLabels:
    """Which picture shows what.

    Attributes:
        table: One row for each picture of one of the seven classes: `image_id`, `lesion_id`,
            `lesion_named` (whether the file names its lesion; where it does not, the id is one of
            the picture's own, which no other lesion has), `dx`, `age` (years, NaN where unknown),
            `sex`, `localization`.
        left_out: One row for each picture without a diagnosis, or with one that is mapped to
            nothing, with `QUARANTINE_COLUMNS`.
        path: The file they are from.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame
    path: Path


def read_labels(path: Path, mapping: Mapping[str, str]) -> ExternalLabels:
    """Read which picture shows what.

    Two layouts are understood: a column with the diagnosis (`dx`, `label`, `diagnosis`, `class` or
    `target`), or one column for each class as in the ISIC challenges, above 0 in the true one alone.

    Args:
        path: CSV file with a header. The picture is named, with or without a suffix, by a column
            `image_id`, `image`, `isic_id`, `image_name`, `filename`, `file` or `path`.
        mapping: Other names of diagnoses, in lower case, to class codes; an empty code leaves the
            picture out, since it shows none of the seven classes.

    Raises:
        SourceError: The file is missing or no such table, a line of it names no picture, or it
            holds a diagnosis that is neither a class nor mapped to one.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SourceError(f"{path} cannot be read as a CSV file: {error}") from error
    table = table.rename(columns=lambda name: str(name).strip().lower())
    if table.columns.duplicated().any():
        twice = table.columns[table.columns.duplicated()][0]
        raise SourceError(f"{path} has several columns {twice!r}; leave one of them")
    image = _column(table, _IMAGE_NAMES)
    if image is None:
        raise SourceError(
            f"{path} has the columns {list(table.columns)}; none of them names the picture: "
            f"expected one of {', '.join(_IMAGE_NAMES)}"
        )
    for code in mapping.values():
        if code and code not in LABELS:
            raise SourceError(f"the mapping leads to {code!r}; expected one of {', '.join(LABELS)}")
    frame = pd.DataFrame({"image_id": [image_id_of(name) for name in table[image]]})
    nameless = np.flatnonzero(frame["image_id"] == "")
    if len(nameless):
        raise SourceError(
            f"{path}, line {_line_of(path, int(nameless[0]))}: the column {image!r} holds "
            f"{table[image].iloc[nameless[0]]!r}, which names no picture; name one or leave the line "
            "out"
        )
    frame["found"] = _diagnoses(table, path, mapping)
    frame["dx"] = [mapping.get(dx, dx) for dx in frame["found"]]
    for name, candidates in _OTHER_NAMES.items():
        found = _column(table, candidates)
        values = table[found].str.strip() if found else pd.Series("", table.index, dtype="str")
        frame[name] = values.mask(values.str.lower().isin(_NOTHING), "")
    unknown = sorted(set(frame["dx"]) - {*LABELS, ""})
    if unknown:
        shown = ", ".join(map(repr, unknown[:10]))
        raise SourceError(
            f"{path} holds the diagnoses {shown}, which are none of {', '.join(LABELS)}; map each "
            "to a class, or to nothing to leave its pictures out, as in --map nevus=nv --map scc="
        )
    # Files are found whatever the case of their names.
    repeated = frame.loc[frame["image_id"].str.lower().duplicated(), "image_id"]
    if len(repeated):
        raise SourceError(
            f"{path} labels {repeated.iloc[0]!r} more than once; leave one line for each picture"
        )
    if idle := sorted(set(mapping) - set(frame["found"])):
        logger.warning("%s holds no diagnosis called %s", path, ", ".join(map(repr, idle)))
    none = frame["dx"] == ""
    left_out = put_aside_rows(
        (image_id, "", "left_out", f"its diagnosis {found!r} is mapped to nothing")
        if found
        else (image_id, "", "undiagnosed", "the labels name it without a diagnosis")
        for image_id, found in frame.loc[none, ["image_id", "found"]].itertuples(index=False)
    )
    frame = frame[~none].reset_index(drop=True)
    if frame.empty:
        raise SourceError(f"{path} labels no picture of any of the seven classes")
    _name_lesions(frame, path)
    age = pd.to_numeric(frame["age"], errors="coerce")
    age = age.where(age.between(0, _OLDEST))
    sex = frame["sex"].str.lower().map(_SEXES)
    for name, values in (("age", age), ("sex", sex)):
        strange = frame.loc[(frame[name] != "") & values.isna(), name]
        if len(strange):
            logger.warning(
                "%s holds %d values of %s that are not understood and count as unknown, such as %r",
                path, len(strange), name, strange.iloc[0],
            )  # fmt: skip
    frame["age"], frame["sex"] = age, sex.fillna("unknown")
    frame["localization"] = frame["localization"].str.lower().replace("", "unknown")
    return ExternalLabels(frame[_LABEL_COLUMNS], left_out, path)


def put_aside_rows(rows: Iterable[tuple[str, str, str, str]]) -> pd.DataFrame:
    """A table of what is not measured: image id, file, reason and particulars of each."""
    return pd.DataFrame(list(rows), columns=list(QUARANTINE_COLUMNS), dtype="str")


def image_id_of(name: str) -> str:
    """Name of a picture without its folder, and without its suffix if it has one of a picture."""
    base = name.strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in PICTURE_SUFFIXES else base


def lesions_in_conflict(table: pd.DataFrame) -> list[str]:
    """Ids of lesions that carry several diagnoses.

    Args:
        table: Columns `lesion_id` and `dx`.
    """
    diagnoses = table.groupby("lesion_id")["dx"].nunique()
    return [str(lesion) for lesion in diagnoses.index[diagnoses > 1]]


def _name_lesions(frame: pd.DataFrame, path: Path) -> None:
    """Give each picture whose lesion has no name a lesion of its own, in place."""
    frame["lesion_named"] = frame["lesion_id"] != ""
    prefix = _UNNAMED
    while frame["lesion_id"].str.startswith(prefix).any():  # or it could be a real lesion's id
        prefix = f"_{prefix}"
    frame["lesion_id"] = frame["lesion_id"].where(frame["lesion_named"], prefix + frame["image_id"])
    if conflict := lesions_in_conflict(frame):
        logger.warning(
            "%s gives several diagnoses to %d lesions, such as %s",
            path, len(conflict), ", ".join(map(repr, conflict[:_SHOWN])),
        )  # fmt: skip


def _line_of(path: Path, row: int) -> int:
    """Number of the line of a file in which a row of its table ends; pandas skips empty lines."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        ends = (reader.line_num for cells in reader if len(cells) > 1 or "".join(cells).strip())
        return next(end for number, end in enumerate(ends) if number == row + 1)


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _diagnoses(table: pd.DataFrame, path: Path, mapping: Mapping[str, str]) -> list[str]:
    name = _column(table, _LABEL_NAMES)
    if name is not None:
        return [str(dx).strip().lower() for dx in table[name]]
    values = table.apply(pd.to_numeric, errors="coerce")
    classes = [str(column) for column in table if column in LABELS or column in mapping]
    if sum(column in LABELS for column in classes) < 2:
        raise SourceError(
            f"{path} has the columns {list(table.columns)}; none of them holds the diagnosis: "
            f"expected one of {', '.join(_LABEL_NAMES)}, or one column for each class"
        )
    if values[classes].isna().any(axis=None):
        raise SourceError(f"{path} has a cell in {', '.join(classes)} that is no number")
    known = {
        *classes,
        *_IMAGE_NAMES,
        *(other for names in _OTHER_NAMES.values() for other in names),
    }
    others = [str(c) for c in table if c not in known and values[c].isin((0.0, 1.0)).all()]
    if others:
        raise SourceError(
            f"{path} has columns that look like further classes: {', '.join(others)}; map each to a "
            f"class, or to nothing to leave its pictures out, as in --map {others[0]}="
        )
    several = (values[classes] > 0).sum(axis=1) != 1
    if several.any():
        row = int(np.flatnonzero(several)[0])
        raise SourceError(
            f"{path}, line {row + 2}: {int((values[classes].iloc[row] > 0).sum())} of the columns "
            f"{', '.join(classes)} are above 0; expected exactly one for each picture"
        )
    return [str(column) for column in values[classes].idxmax(axis=1)]
