"""Labelled pictures from elsewhere, on which a finished model is measured.

They are read on the same path as every other picture, reduced to the source size that the model was
trained for, and take part in no fit.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.data.archives import Entry, SourceError
from skin_lesion.data.decoding import Decoded, Limits, Rejection, RowChunk, RowFile, decode_rows
from skin_lesion.data.images import PixelSpec
from skin_lesion.data.manifest import QUARANTINE_COLUMNS
from skin_lesion.data.parallel import map_chunks
from skin_lesion.data.sources import PICTURE_SUFFIXES, list_entries, match_pictures
from skin_lesion.labels import LABELS
from skin_lesion.settings import IngestConfig

_IMAGE_NAMES = ("image_id", "image", "isic_id", "image_name", "filename", "file", "path")
_LABEL_NAMES = ("dx", "label", "diagnosis", "class", "target")
_OTHER_NAMES = {
    "lesion_id": ("lesion_id", "lesion"),
    "age": ("age", "age_approx"),
    "sex": ("sex", "gender"),
    "localization": ("localization", "anatom_site_general", "site"),
}
_CHUNK_PICTURES = 64
_LABEL_COLUMNS = ["image_id", "lesion_id", "dx", "age", "sex", "localization"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExternalLabels:
    """Which picture shows what.

    Attributes:
        table: One row for each picture of one of the seven classes: `image_id`, `lesion_id`, `dx`,
            `age` (years, NaN where unknown), `sex`, `localization`.
        left_out: One row for each picture without a diagnosis, or with one that is mapped to
            nothing, with `QUARANTINE_COLUMNS`.
        path: The file they are from.
    """

    table: pd.DataFrame
    left_out: pd.DataFrame
    path: Path


@dataclass(frozen=True)
class ExternalSet:
    """Labelled pictures at a model's input size.

    Attributes:
        table: One row for each usable picture: `image_id`, `lesion_id`, `dx`, `age`, `sex`,
            `localization`, `sha256` of the file, `width` and `height` of the source. Where no
            lesion is named, each picture counts as a lesion of its own.
        pixels: Shape (N, H, W, 3), RGB.
        put_aside: One row for each picture and each file that is not measured, with
            `QUARANTINE_COLUMNS`: `left_out` by the mapping, `undiagnosed`, `missing`, `unlabelled`,
            `unused` or why it could not be decoded.
    """

    table: pd.DataFrame
    pixels: NDArray[np.uint8]
    put_aside: pd.DataFrame

    @property
    def classes(self) -> tuple[str, ...]:
        """Codes of the classes that occur, in label order."""
        found = set(self.table["dx"])
        return tuple(label for label in LABELS if label in found)


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
        SourceError: The file is missing or no such table, or it holds a diagnosis that is neither
            a class nor mapped to one.
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
    frame = pd.DataFrame({"image_id": [_image_id(name) for name in table[image]]})
    frame["found"] = _diagnoses(table, path, mapping)
    frame["dx"] = [mapping.get(dx, dx) for dx in frame["found"]]
    for name, candidates in _OTHER_NAMES.items():
        found = _column(table, candidates)
        frame[name] = table[found].str.strip() if found else ""
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
    left_out = _put_aside(
        (image_id, "", "left_out", f"its diagnosis {found!r} is mapped to nothing")
        if found
        else (image_id, "", "undiagnosed", "the labels name it without a diagnosis")
        for image_id, found in frame.loc[none, ["image_id", "found"]].itertuples(index=False)
    )
    frame = frame[~none].reset_index(drop=True)
    if frame.empty:
        raise SourceError(f"{path} labels no picture of any of the seven classes")
    frame["lesion_id"] = frame["lesion_id"].where(frame["lesion_id"] != "", frame["image_id"])
    frame["age"] = pd.to_numeric(frame["age"], errors="coerce")
    sex = frame["sex"].str.lower()
    frame["sex"] = sex.where(sex.isin(("male", "female")), "unknown")
    frame["localization"] = frame["localization"].str.lower().replace("", "unknown")
    return ExternalLabels(frame[_LABEL_COLUMNS], left_out, path)


def read_external(
    pictures: Path, labels: ExternalLabels, spec: PixelSpec, limits: IngestConfig, work_dir: Path
) -> ExternalSet:
    """Decode every labelled picture of a folder or zip.

    Args:
        pictures: Folder or zip; a zip is not trusted.
        labels: Made by `read_labels`.
        spec: Input of the model, with the source size it was trained for.
        limits: What is accepted as a picture, and the number of processes.
        work_dir: Where the pixels are kept while they are used.

    Raises:
        SourceError: The folder or zip is missing or not to be trusted, or no picture is usable.
    """
    if not pictures.exists():
        raise SourceError(f"{pictures} does not exist; name the folder or zip with the pictures")
    wanted = labels.table["image_id"]
    listed = list_entries(pictures, limits.max_archive_bytes)
    entries = match_pictures(listed, wanted)
    present = labels.table[wanted.isin(list(entries))].reset_index(drop=True)
    absent = [
        (image_id, "", "missing", "the labels name it, but there is no such file")
        for image_id in wanted
        if image_id not in entries
    ]
    if present.empty:
        raise SourceError(
            f"{pictures} holds none of the {len(wanted)} labelled pictures; the first is called "
            f"{wanted.iloc[0]!r}"
        )
    logger.info("decoding %d pictures", len(present))
    located = [entries[image_id] for image_id in present["image_id"]]
    path = work_dir / "external.npy"
    rows = np.lib.format.open_memmap(
        path, "w+", np.uint8, (len(located), spec.height, spec.width, 3)
    )
    target = RowFile(path, rows.offset)
    accepted = Limits(limits.max_file_bytes, limits.max_pixels)
    found: list[Decoded | Rejection] = []
    work = _Decoding(spec, accepted, target)
    chunks = [
        RowChunk(i, located[i : i + _CHUNK_PICTURES])
        for i in range(0, len(located), _CHUNK_PICTURES)
    ]
    for part in map_chunks(work, chunks, limits.workers):
        found.extend(part)
    rejected = [
        (image_id, entry.name, item.reason, item.detail)
        for image_id, entry, item in zip(present["image_id"], located, found, strict=True)
        if isinstance(item, Rejection)
    ]
    surplus = _surplus(listed, entries, labels, pictures)
    put_aside = pd.concat(
        [_put_aside([*absent, *rejected, *surplus]), labels.left_out], ignore_index=True
    ).sort_values(["reason", "image_id", "file"], ignore_index=True)
    sound = np.array([isinstance(item, Decoded) for item in found])
    if not sound.any():
        raise SourceError(
            f"none of the {len(located)} pictures of {pictures} can be used; the first: "
            f"{rejected[0][1]}: {rejected[0][3]}"
        )
    decoded = [item for item in found if isinstance(item, Decoded)]
    table = present[sound].reset_index(drop=True)
    table = table.assign(
        sha256=[item.sha256 for item in decoded],
        width=[item.width for item in decoded],
        height=[item.height for item in decoded],
    )
    pixels = rows if sound.all() else np.asarray(rows[sound])
    return ExternalSet(table, pixels, put_aside)


@dataclass(frozen=True)
class _Decoding:
    """`decode_rows` with all but the chunk settled; goes to worker processes."""

    spec: PixelSpec
    limits: Limits
    target: RowFile

    def __call__(self, chunk: RowChunk) -> list[Decoded | Rejection]:
        return decode_rows(chunk, self.spec, self.limits, self.target)


def _surplus(
    listed: Sequence[Entry], used: Mapping[str, Entry], labels: ExternalLabels, pictures: Path
) -> Iterator[tuple[str, str, str, str]]:
    """Files that are there and not measured, though nothing is wrong with them."""
    taken = {entry.name for entry in used.values()}
    by_name = {image_id.lower(): entry.name for image_id, entry in used.items()}
    left_out = set(labels.left_out["image_id"].str.lower())
    own = labels.path.resolve()
    for entry in listed:
        image_id = _image_id(entry.name)
        known = image_id.lower()
        # A zip cannot hold the file of labels that was read, whatever its members are called.
        if entry.name in taken or known in left_out or (pictures / entry.name).resolve() == own:
            continue
        if known in by_name:
            yield image_id, entry.name, "unused", f"{by_name[known]} was taken for this name"
        else:
            yield image_id, entry.name, "unlabelled", "no line of the labels names it"


def _put_aside(rows: Iterable[tuple[str, str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(QUARANTINE_COLUMNS), dtype="str")


def _image_id(name: str) -> str:
    """Name of a picture without its folder, and without its suffix if it has one of a picture."""
    base = name.strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = base.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in PICTURE_SUFFIXES else base


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
