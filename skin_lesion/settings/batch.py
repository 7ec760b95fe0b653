"""Many pictures scored at one go."""

from typing import Literal, Self

from pydantic import Field, model_validator

from skin_lesion.settings.base import Settings
from skin_lesion.settings.data import IngestConfig


class BatchConfig(Settings):
    """How many pictures are scored at one go.

    Attributes:
        engine: `serial` works in this process, `processes` on every core of this machine, `ray` on a
            Ray cluster.
        workers: How many work at a time; 0 means one a core, of this machine or of the cluster.
        threads: Inference threads of each worker; 0 shares the cores out evenly among the
            processes of this machine, and means one on a cluster.
        address: Ray cluster to join, such as `10.0.0.7:6379`; None starts one on this machine. Only
            for the engine `ray`.
        on_change: What happens where the output was begun with another model or another source:
            `refuse` stops with the reason, `afresh` discards it and starts again.
        suffixes: Files of a folder, zip or S3 prefix that count as pictures, in lower case; a CSV
            names its pictures itself.
        shard_size: Pictures scored and written at a time: what a kill costs at most, for each
            worker.
        batch_size: Pictures in a forward pass.
        readers: Objects of S3 that each worker fetches at a time.
        max_crashes: Pictures put aside because they bring their worker down; at one more the run
            stops, since then the machine rather than the pictures will be to blame.
        max_file_bytes: A larger encoded picture is refused unread.
        max_archive_bytes: A zip that unpacks to more is refused.
    """

    engine: Literal["serial", "processes", "ray"] = "processes"
    workers: int = Field(default=0, ge=0)
    threads: int = Field(default=0, ge=0)
    address: str | None = None
    on_change: Literal["refuse", "afresh"] = "refuse"
    suffixes: tuple[str, ...] = (
        ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".dcm"
    )  # fmt: skip
    shard_size: int = Field(default=128, ge=1)
    batch_size: int = Field(default=16, ge=1)
    readers: int = Field(default=8, ge=1)
    max_crashes: int = Field(default=10, ge=0)
    max_file_bytes: int = Field(default=IngestConfig().max_file_bytes, ge=1)
    max_archive_bytes: int = Field(default=IngestConfig().max_archive_bytes, ge=1)

    @model_validator(mode="after")
    def _asks_for_one_engine(self) -> Self:
        if self.address is not None and self.engine != "ray":
            raise ValueError(
                f"address is {self.address!r}, but engine is {self.engine!r}; only `ray` has one"
            )
        if not self.suffixes or not all(
            s.startswith(".") and s == s.lower() for s in self.suffixes
        ):
            raise ValueError(
                f"suffixes is {self.suffixes!r}; expected endings such as '.jpg', in lower case"
            )
        return self
