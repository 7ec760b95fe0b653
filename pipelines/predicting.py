"""Judges files that a person names, and says it as a table, CSV or JSON."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from skin_lesion.batch.model import choose_model
from skin_lesion.inference import PREDICTED, Predictor
from skin_lesion.modeling.bundle import Contract, ModelBundle
from skin_lesion.prediction import HeatMap, Prediction
from skin_lesion.serving_model import Precision
from skin_lesion.settings import IngestConfig

_AT_ONCE = 16
_MOST_CHARACTERS = 60
# What may be wrong with the file that is named; whatever else goes wrong is the machine's fault.
_UNREAD = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ELOOP: "missing",
    errno.ENAMETOOLONG: "missing",
    errno.EACCES: "no_access",
    errno.EPERM: "no_access",
}


@dataclass(frozen=True)
class PredictRequest:
    """What is asked for.

    Attributes:
        files: Pictures.
        model: Version or alias in the registry, or folder of a bundle.
        heat_maps: Folder for heat-maps; None makes none.
        label: Class of the heat-maps; None takes the most probable one of each picture.
        precision: Of the computation.
    """

    files: Sequence[Path]
    model: str
    heat_maps: Path | None = None
    label: str | None = None
    precision: Precision = "float32"


@dataclass(frozen=True)
class Judged:
    """The answer for one file.

    Attributes:
        file: As it was named.
        prediction: The answer; its heat-map was written and dropped.
        heat_map: Where the heat-map was written; None where none was made.
    """

    file: Path
    prediction: Prediction
    heat_map: Path | None = None


@dataclass(frozen=True)
class Answers:
    """All answers.

    Attributes:
        contract: Of the model.
        model: What the model is called.
        judged: In the order of the files.
    """

    contract: Contract
    model: str
    judged: Sequence[Judged]

    @property
    def complete(self) -> bool:
        """Whether every file got an answer."""
        return all(each.prediction.status == "ok" for each in self.judged)


def predict_files(request: PredictRequest) -> Answers:
    """Judge files.

    Args:
        request: What is asked for.

    Raises:
        LookupError: There is no such model.
        ValueError: A file is a folder, there is no such class, or a class was named without a
            folder for heat-maps.
        OSError: The bundle cannot be read, or a heat-map cannot be written.
        RuntimeError: This processor cannot compute in that precision.
    """
    if request.label is not None and request.heat_maps is None:
        raise ValueError("--class names the class of heat-maps; say where to, with --heatmap DIR")
    for file in request.files:
        if _is_folder(file):
            raise ValueError(
                f"{file} is a folder; name its pictures, or score it with `skin-lesion batch`"
            )
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        identity, local = choose_model(request.model, Path(folder))
        bundle = ModelBundle.open(local.path)
        predictor = Predictor(
            bundle, _AT_ONCE, version=identity.version, precision=request.precision
        )
        # Refuses a class that does not exist before anything is written.
        wanted = None if request.heat_maps is None else request.label or PREDICTED
        predictor.predict([], heat_map_of=wanted)
        shelf = None if request.heat_maps is None else _Shelf(request.heat_maps, request.files)
        judged = list(_judge(predictor, request.files, wanted, shelf))
    name = f"version {identity.version}" if identity.version else str(request.model)
    return Answers(bundle.contract, name, judged)


def _is_folder(file: Path) -> bool:
    try:
        return file.is_dir()
    except OSError:
        return False  # why it cannot be read is told when it is read


def _judge(
    predictor: Predictor, files: Sequence[Path], wanted: str | None, shelf: "_Shelf | None"
) -> Iterator[Judged]:
    limit = IngestConfig().max_file_bytes
    for start in range(0, len(files), _AT_ONCE):
        some = files[start : start + _AT_ONCE]
        read = [_read(file, limit) for file in some]
        pictures = [data for data in read if isinstance(data, bytes)]
        answers = iter(predictor.predict(pictures, heat_map_of=wanted))
        for file, data in zip(some, read, strict=True):
            if isinstance(data, str):
                unread = Prediction("unreadable", reason=data, versions=predictor.versions)
                yield Judged(file, unread)
                continue
            answer = next(answers)
            written = None
            if shelf is not None and answer.heat_map is not None:
                written = shelf.put(file, answer.heat_map)
            yield Judged(file, replace(answer, heat_map=None), written)


def _read(file: Path, limit: int) -> bytes | str:
    """Contents of a file, or a code for why there are none."""
    try:
        # Only a regular file has an end: a pipe may keep one waiting for ever.
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            return "not_a_file"
        if about.st_size > limit:
            return "too_large"
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        if error.errno not in _UNREAD:
            raise
        return _UNREAD[error.errno]
    return "too_large" if len(data) > limit else data


@dataclass
class _Shelf:
    """Where heat-maps are written: each under its picture's name, none over a picture.

    Attributes:
        folder: It is made where it is missing.
        pictures: Files that must not be written over.
    """

    folder: Path
    pictures: Sequence[Path]
    _taken: set[Path] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._taken = {file.resolve() for file in self.pictures}

    def put(self, picture: Path, heat_map: HeatMap) -> Path:
        """Write a heat-map over its picture as PNG; it appears whole or not at all.

        Like the picture of a patient that it shows, nobody else may read it.
        """
        from PIL import Image

        from skin_lesion.explain.gradcam import overlay

        target = self._free(picture.stem[:_MOST_CHARACTERS], heat_map.label)
        shown = Image.fromarray(overlay(heat_map.pixels, heat_map.heat))
        descriptor, name = tempfile.mkstemp(dir=self.folder, prefix=".heat-map-", suffix=".png")
        try:
            with os.fdopen(descriptor, "wb") as file:
                shown.save(file, "PNG")
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return target

    def _free(self, stem: str, label: str) -> Path:
        """A name that this run has not used, and that no picture has."""
        number = 1
        while True:
            suffix = "" if number == 1 else f"-{number}"
            target = self.folder / f"{stem}{suffix}.{label}.png"
            if target.resolve() not in self._taken:
                self._taken.add(target.resolve())
                return target
            number += 1
