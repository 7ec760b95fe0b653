"""The table of images: what is known of each picture, and which pictures were put aside and why."""

import hashlib
from dataclasses import dataclass, field

import pandas as pd
from pydantic import BaseModel, ConfigDict

from skin_lesion.settings import ResizeMode

IMAGE_COLUMNS: dict[str, str] = {
    "image_id": "str",
    "lesion_id": "str",
    "dx": "str",
    "dx_type": "str",
    "age": "float64",  # years, NaN where unknown
    "sex": "str",  # male, female, unknown
    "localization": "str",
    "sha256": "str",  # of the encoded file
    "phash": "str",  # 64-bit perceptual hash of the source picture, 16 hexadecimal digits
    "width": "int64",  # of the oriented source picture, in pixels
    "height": "int64",
    "brightness": "float64",  # mean grey level, 0 to 255
    "contrast": "float64",  # standard deviation of grey levels
}
QUARANTINE_COLUMNS: tuple[str, ...] = ("image_id", "file", "reason", "detail")


class Provenance(BaseModel):
    """Where a data set came from and under which terms.

    Attributes:
        kind: Kind of source, as in `SourceConfig.kind`.
        name: Human-readable name of the data set.
        licence: Licence of the pictures, as an SPDX-like identifier.
        citation: How to cite it.
        synthetic: True where no picture shows a real patient.
        source_height: Median height of the source pictures in pixels.
        source_width: Median width of the source pictures in pixels.
        resize_mode: How they were brought to the size of the image array; serving does the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str
    licence: str
    citation: str
    synthetic: bool
    source_height: int
    source_width: int
    resize_mode: ResizeMode = "stretch"


@dataclass(frozen=True)
class Manifest:
    """A data set's table.

    Attributes:
        images: One row for each usable image with `IMAGE_COLUMNS`; row i describes row i of the
            image array. The index is 0 to N-1.
        quarantine: One row for each image put aside, with `QUARANTINE_COLUMNS`.
        provenance: Source and terms.
    """

    images: pd.DataFrame
    quarantine: pd.DataFrame
    provenance: Provenance
    _cache: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over ids, lesions, diagnoses and file checksums, whatever the order of the rows."""
        if "fingerprint" not in self._cache:
            rows = sorted(
                self.images[["image_id", "lesion_id", "dx", "sha256"]].itertuples(index=False)
            )
            text = "\n".join("\t".join(map(str, row)) for row in rows)
            self._cache["fingerprint"] = hashlib.sha256(text.encode()).hexdigest()
        return self._cache["fingerprint"]
