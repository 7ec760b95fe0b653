"""What a data set is and under which terms; claimed only as far as its content bears it out."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from skin_lesion.data.archives import Entry, SourceError, ZipEntry

# A folder of metadata that holds a file of this name was drawn, wherever it was copied to since.
SYNTHETIC_MARKER = "SYNTHETIC.txt"

_SYNTHETIC_IMAGE = re.compile(r"SYN_\d+_\d+")
_HAM10000_IMAGE = re.compile(r"ISIC_\d+")
_HAM10000_LESION = re.compile(r"HAM_\d+")


@dataclass(frozen=True)
class Terms:
    """What a data set is and under which terms.

    Attributes:
        name: Human-readable name.
        licence: SPDX-like identifier; "unknown" where nothing tells it.
        citation: How to cite it.
        synthetic: True where no picture shows a real patient.
    """

    name: str
    licence: str
    citation: str
    synthetic: bool


HAM10000 = Terms(
    name="HAM10000",
    licence="CC-BY-NC-4.0",
    citation=(
        "Tschandl P, Rosendahl C, Kittler H. The HAM10000 dataset, a large collection of "
        "multi-source dermatoscopic images of common pigmented skin lesions. Sci Data 5:180161 "
        "(2018). doi:10.1038/sdata.2018.161"
    ),
    synthetic=False,
)
SYNTHETIC = Terms(
    name="Synthetic lesions",
    licence="Apache-2.0",
    citation="Drawn by skin_lesion.data.synthetic; no picture shows a real patient.",
    synthetic=True,
)
UNKNOWN = Terms(
    name="Unknown data set",
    licence="unknown",
    citation="Unknown: the ids are not those of HAM10000; ask whoever provided the pictures.",
    synthetic=False,
)


def find_terms(
    image_ids: Collection[str],
    lesion_ids: Collection[str],
    metadata: Entry,
    entries: Sequence[Entry],
) -> Terms:
    """Decide what a data set is by its ids and its marker; empty ids are of no picture.

    Args:
        image_ids: Ids of the pictures that are used.
        lesion_ids: Ids of their lesions.
        metadata: The table they are from.
        entries: Every file of the data set.

    Raises:
        SourceError: Real and synthetic data lie together, or it cannot be told which they are.
    """
    used = sorted({image_id for image_id in image_ids if image_id})
    drawn = [image_id for image_id in used if _SYNTHETIC_IMAGE.fullmatch(image_id)]
    markers = [entry for entry in entries if entry.name.rpartition("/")[2] == SYNTHETIC_MARKER]
    beside = [entry for entry in markers if _place(entry) == _place(metadata)]
    if drawn or markers:
        if len(drawn) == len(used) and beside:
            return SYNTHETIC
        raise SourceError(
            f"{len(drawn)} of the {len(used)} pictures that {metadata.name} names have ids of "
            f"synthetic data, and {SYNTHETIC_MARKER} lies "
            f"{_where(markers, beside)}; pictures count as synthetic only if all of them have such "
            "ids and the marker lies beside their metadata. Keep real and synthetic data in "
            "separate folders, each with its own metadata, and give one of them."
        )
    if all(_HAM10000_IMAGE.fullmatch(image_id) for image_id in used) and all(
        _HAM10000_LESION.fullmatch(lesion_id) for lesion_id in lesion_ids if lesion_id
    ):
        return HAM10000
    return UNKNOWN


def _place(entry: Entry) -> tuple[str, str]:
    """The zip and the folder that a file lies in."""
    archive = entry.archive if isinstance(entry, ZipEntry) else ""
    return archive, entry.name.rpartition("/")[0]


def _where(markers: Sequence[Entry], beside: Sequence[Entry]) -> str:
    if beside:
        return "beside them"
    return f"elsewhere ({markers[0].name})" if markers else "nowhere"
