"""What is kept of a batch on its way, so that the same command goes on where it was stopped.

Layout of the hidden folder `.batch` inside the output: `job.json` (what is scored with what),
`inputs.parquet` (the listing, a row group for each shard), `parts/` (the rows of each finished
shard), `scratch/` (the model, while it is used), `lock`. Each file is there whole or not at all.
Nothing counts without `job.json`, which is written after the listing; a part counts only with the
rows of its shard and the name of its job.
"""

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

import skin_lesion
from skin_lesion.batch.files import locked, write_text, write_whole
from skin_lesion.batch.inputs import Listing
from skin_lesion.batch.result import PAGE, SUMMARY, TABLES, ModelIdentity
from skin_lesion.batch.shard import Row, Task
from skin_lesion.prediction_table import COLUMN_KINDS, COLUMNS
from skin_lesion.settings import BatchConfig

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

HIDDEN = ".batch"
ROW, FILE, DETAIL = "row", "file", "detail"
_JOB_KEY = b"skin_lesion.job"
_FORMAT = 1


class Job(BaseModel):
    """What is scored with what.

    Attributes:
        layout: Version of this folder's layout.
        library: Version of the library.
        columns: Columns of the table.
        model: Which model.
        source: Where the pictures are.
        source_fingerprint: Of their listing.
        inputs: How many.
        left_out: Files of the source that do not count as pictures.
        shard_size: How many make a shard.
        max_file_bytes: Larger pictures are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: int = _FORMAT
    library: str = skin_lesion.__version__
    columns: tuple[str, ...] = COLUMNS
    model: ModelIdentity
    source: str
    source_fingerprint: str
    inputs: int
    left_out: int
    shard_size: int
    max_file_bytes: int

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.inputs // self.shard_size)

    @property
    def key(self) -> str:
        """SHA-256 of all that decides about the table."""
        deciding = [self.layout, self.library, self.columns, self.model.bundle_hash]
        text = json.dumps([*deciding, self.source_fingerprint, self.max_file_bytes])
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "Job") -> list[str]:
        """In which ways `other` is another job, in words."""
        found = []
        if self.model.bundle_hash != other.model.bundle_hash:
            found.append(f"the model was {self.model} and now is {other.model}")
        if self.source_fingerprint != other.source_fingerprint:
            found.append(
                f"the source was {self.source} with {self.inputs} pictures and now is "
                f"{other.source} with {other.inputs}"
                + ("; some of them changed" if self.inputs == other.inputs else "")
            )
        if self.max_file_bytes != other.max_file_bytes:
            found.append(
                f"max_file_bytes was {self.max_file_bytes} and now is {other.max_file_bytes}"
            )
        if (self.layout, self.library, self.columns) != (
            other.layout,
            other.library,
            other.columns,
        ):
            found.append(
                f"the library was {self.library} and now is {other.library}, with other columns"
                if self.columns != other.columns
                else f"the library was {self.library} and now is {other.library}"
            )
        return found


@dataclass(frozen=True)
class State:
    """The state of a batch in an output folder.

    Attributes:
        output: The output folder.
    """

    output: Path

    @property
    def _folder(self) -> Path:
        return self.output / HIDDEN

    @property
    def _parts(self) -> Path:
        return self._folder / "parts"

    @property
    def _inputs(self) -> Path:
        return self._folder / "inputs.parquet"

    def check(self) -> None:
        """Refuse a folder that is not for results, before any work is done; makes nothing.

        Raises:
            FileExistsError: The folder holds something else.
            NotADirectoryError: It is a file.
        """
        if not self.output.exists():
            return
        if not self.output.is_dir():
            raise NotADirectoryError(f"{self.output} is a file; name a folder for the results")
        if not self._folder.is_dir() and any(self.output.iterdir()):
            raise FileExistsError(
                f"{self.output} holds other files and no batch; name a new folder for the results"
            )

    @contextmanager
    def locked(self) -> Iterator[Path]:
        """Keep every other process out of the folder, which is made where it is missing.

        Where no job was begun by the end of the block, nothing is left of it.

        Yields:
            A folder for what is needed on the way, empty at first and gone afterwards.

        Raises:
            RuntimeError: Another process works in it.
        """
        self.check()
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / "lock", str(self.output)):
            scratch = self._folder / "scratch"
            shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                if not (self._folder / "job.json").exists():
                    shutil.rmtree(self._folder)
                    with contextlib.suppress(OSError):  # there were results before
                        self.output.rmdir()

    def begin(self, listing: Listing, model: ModelIdentity, config: BatchConfig) -> Job:
        """Go on with the job of this folder, or begin it.

        Args:
            listing: What is to be scored.
            model: With which model.
            config: Size of the shards of a new job; whether another job is discarded.

        Returns:
            The job as it was begun: a version or shard size that it was begun with stays.

        Raises:
            ValueError: The folder holds another job, which is not to be discarded.
        """
        asked = Job(
            model=model,
            source=listing.source,
            source_fingerprint=listing.fingerprint,
            inputs=len(listing.inputs),
            left_out=listing.left_out,
            shard_size=config.shard_size,
            max_file_bytes=config.max_file_bytes,
        )
        begun = self._begun()
        if begun is not None:
            differences = begun.differences(asked)
            if not differences:
                return begun
            if config.on_change == "refuse":
                raise ValueError(
                    f"{self.output} was begun otherwise: {'; '.join(differences)}. Name another "
                    "folder, ask for what it was begun with, or discard it with --afresh "
                    "(on_change: afresh)"
                )
            log.warning("%s is begun afresh: %s", self.output, "; ".join(differences))
        self._clear()
        write_whole(self._inputs, lambda path: _write_inputs(path, listing, config.shard_size))
        write_text(self._folder / "job.json", asked.model_dump_json(indent=2) + "\n")
        return asked

    def missing(self, job: Job) -> list[int]:
        """Shards without a part that counts."""
        return [shard for shard in range(job.shards) if not self._counts(shard, job)]

    def tasks(self, job: Job, shards: Sequence[int]) -> Iterator[Task]:
        """What there is to do for some shards, read when it is asked for."""
        import pyarrow.parquet as pq

        with pq.ParquetFile(self._inputs) as file:
            for shard in shards:
                texts = file.read_row_group(shard).column("input").to_pylist()
                yield Task(shard, shard * job.shard_size, tuple(texts))

    def write(self, job: Job, shard: int, rows: Sequence[Row]) -> None:
        """Keep the rows of a shard.

        Raises:
            ValueError: They are not the rows of that shard.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        first, count = shard * job.shard_size, self._rows_of(shard, job)
        if [row[ROW] for row in rows] != list(range(first, first + count)):
            raise ValueError(
                f"shard {shard} got {len(rows)} rows; expected {count} from {first} on"
            )
        table = pa.Table.from_pylist(list(rows), schema=schema(job))
        write_whole(
            self._part(shard), lambda path: pq.write_table(table, path, write_page_checksum=True)
        )

    def read(self, job: Job) -> "Iterator[pa.Table]":
        """The rows of every shard, in order.

        Raises:
            ValueError: A part is missing or broken; a broken one is removed, so that the next call
                of the whole batch makes it anew.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for shard in range(job.shards):
            path = self._part(shard)
            if not self._counts(shard, job):
                raise ValueError(f"{path} is missing or broken; start the same again")
            try:
                part = pq.read_table(path, schema=schema(job), page_checksum_verification=True)
            except (pa.ArrowException, OSError) as error:
                path.unlink(missing_ok=True)
                raise ValueError(
                    f"{path} was damaged after it was written, and is removed "
                    f"({' '.join(str(error).split())}); start the same again, which makes it anew"
                ) from error
            yield part

    def _part(self, shard: int) -> Path:
        return self._parts / f"{shard:06d}.parquet"

    @staticmethod
    def _rows_of(shard: int, job: Job) -> int:
        return min(job.shard_size, job.inputs - shard * job.shard_size)

    def _counts(self, shard: int, job: Job) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self._part(shard)
        try:
            with pq.ParquetFile(path) as file:
                found = file.schema_arrow.metadata or {}
                rows = file.metadata.num_rows
        except FileNotFoundError:
            return False
        except (pa.ArrowException, OSError) as error:
            log.warning("%s is broken and made anew: %s", path, error)
            return False
        return found.get(_JOB_KEY) == job.key.encode() and rows == self._rows_of(shard, job)

    def _begun(self) -> Job | None:
        try:
            text = (self._folder / "job.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            return Job.model_validate_json(text)
        except ValidationError as error:
            raise ValueError(
                f"{self._folder / 'job.json'} was written by another version of the library or "
                f"damaged; remove {self.output} or name another folder ({error.error_count()} "
                "values are wrong)"
            ) from error

    def _clear(self) -> None:
        """Remove what another job left: first what makes it count."""
        (self._folder / "job.json").unlink(missing_ok=True)
        for name in (SUMMARY, PAGE, *TABLES):
            (self.output / name).unlink(missing_ok=True)
        if self._parts.exists():
            shutil.rmtree(self._parts)
        self._parts.mkdir()


def schema(job: Job) -> "pa.Schema":
    """Columns and types of the table, with the name of the job."""
    import pyarrow as pa

    types: dict[str, Any] = {"number": pa.float64(), "text": pa.string(), "flag": pa.bool_()}
    return pa.schema(
        [
            pa.field(ROW, pa.int64(), nullable=False),
            pa.field(FILE, pa.string(), nullable=False),
            *(pa.field(name, types[kind]) for name, kind in COLUMN_KINDS.items()),
            pa.field(DETAIL, pa.string()),
        ],
        metadata={_JOB_KEY: job.key.encode()},
    )


def _write_inputs(path: Path, listing: Listing, shard_size: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = pa.schema([pa.field("input", pa.string(), nullable=False)])
    with pq.ParquetWriter(path, columns) as writer:
        for start in range(0, len(listing.inputs), shard_size):
            texts = [each.to_json() for each in listing.inputs[start : start + shard_size]]
            writer.write_table(pa.table([texts], schema=columns), row_group_size=len(texts))
