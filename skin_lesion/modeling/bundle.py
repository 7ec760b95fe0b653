"""Everything a served model is: a folder with weights, serving export and contract.

Layout: `model.keras` (Keras, logits out), `serving/model.xml` and `serving/model.bin` (OpenVINO IR,
float32, outputs `logits` and `features`, averaged over views of the picture where the contract says
so, while `model.keras` gives one view), `serving/head.npz` (`kernel` (C, 7) and `bias` (7,) of the
classification layer, for heat-maps), `contract.json`. Evaluation adds `serving/ood.npz` (what the
training pictures look like to the network, to tell pictures that are unlike them),
`serving/seen.npz` (hashes of the pictures that the model has seen, to tell whether others are among
them) and `serving/drift.npz` (what the model said of the validation pictures, to tell whether later
ones differ); a bundle made before such a file was thought of has none, and opens all the same.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from skin_lesion.decisions import Calibrator, Decisions
from skin_lesion.disk import whole_folder
from skin_lesion.labels import LABELS
from skin_lesion.settings import ResizeMode

CONTRACT_VERSION = 1
OOD_FILE = "serving/ood.npz"
SEEN_FILE = "serving/seen.npz"
DRIFT_FILE = "serving/drift.npz"
CORE_FILES: tuple[str, ...] = ("contract.json", "model.keras")
SERVING_FILES: tuple[str, ...] = ("serving/model.xml", "serving/model.bin", "serving/head.npz")
# What evaluation adds, each where it has something to add.
EVALUATION_FILES: tuple[str, ...] = (OOD_FILE, SEEN_FILE, DRIFT_FILE)
_COPY = "a copy of the model's bundle (temporary files lie where TMPDIR says)"


class Saveable(Protocol):
    """What can be written as a file of a bundle."""

    def save(self, path: Path) -> None:
        """Write the file."""


class ContractError(ValueError):
    """A contract that this version of the library cannot serve."""


class EnsembleMember(BaseModel):
    """One of several networks that answer together.

    Attributes:
        fold: Number of the fold of the training lesions that chose its weights and that it never
            learnt from, counted from 1.
        training_run_id: MLflow run that trained it; None outside a tracked run.
        split_hash: Hash of that fold's own split.
        epoch_kept: Epoch whose weights were kept, counted from 1 over both phases.
        val_macro_f1: Macro F1 on its fold, by which that epoch was chosen.
        alone_macro_f1: Macro F1 of this network alone on the validation split, which no member has
            seen and which decided nothing of it: beside that of the ensemble it tells what the
            others add. None where it was not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fold: int
    training_run_id: str | None
    split_hash: str
    epoch_kept: int
    val_macro_f1: float
    alone_macro_f1: float | None = None


class Contract(BaseModel):
    """What a model promises to whoever serves it; `contract.json` in the bundle.

    Fields are appended with a default and never renamed, so that versions of the library that share
    a `contract_version` read each other's bundles.

    Attributes:
        contract_version: Version of this layout.
        labels: Class codes in the order of the outputs.
        input_height: Height of the input in pixels.
        input_width: Width of the input in pixels.
        input_dtype: Type of the input pixels.
        resize_mode: How a picture is brought to that size.
        source_height: Height of the training pictures before that; larger ones are reduced first.
        source_width: Their width.
        backbone: Name of the backbone.
        feature_layer: Layer the backbone was cut at; None where it was kept whole.
        pretrained_on: `imagenet`, the checksum of a weights file, or `nothing`.
        temperature: Logits are divided by it before the softmax, where `decisions` name no other
            way of calibrating.
        data_fingerprint: Fingerprint of the manifest.
        split_hash: Hash of the split.
        code_version: Version of the library and hash of its training code; and of other code that a
            part of the model was trained by, where there is such a part.
        training_run_id: MLflow run that trained it; None outside a tracked run.
        synthetic_only: True where no real picture was seen in training.
        licence: Licence of the training pictures, which binds the use of the model.
        parity_max_abs_difference: Largest difference between the probabilities of the serving
            export and of the Keras model, measured when the bundle was made.
        input_range: Smallest and largest value of a pixel, both included.
        colour_order: Order of the channels.
        decisions: What evaluation froze; None before evaluation.
        members: Networks whose logits the model averages; none where it is a single one.
        feature_levels: Earlier layers whose maps stand beside the last one, averaged down to its
            grid.
        colour_constancy: What the graph does to the colours of a picture first; `none` or
            `shades_of_grey`.
        stochastic_depth: Largest share of pictures for which a block was skipped in training; None
            where the backbone's own was kept. Answers are not concerned.
        views: Mirror images and quarter turns of a picture that the serving export averages over, the
            picture itself included, and passes through the network that an answer takes; 1 is the
            picture alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: int = CONTRACT_VERSION
    labels: tuple[str, ...] = LABELS
    input_height: int
    input_width: int
    input_dtype: str = "uint8"
    resize_mode: ResizeMode
    source_height: int
    source_width: int
    backbone: str
    feature_layer: str | None
    pretrained_on: str
    temperature: float = 1.0
    data_fingerprint: str
    split_hash: str
    code_version: str
    training_run_id: str | None
    synthetic_only: bool
    licence: str
    parity_max_abs_difference: float
    input_range: tuple[int, int] = (0, 255)
    colour_order: str = "RGB"
    decisions: Decisions | None = None
    members: tuple[EnsembleMember, ...] = ()
    feature_levels: tuple[str, ...] = ()
    colour_constancy: str = "none"
    stochastic_depth: float | None = None
    views: int = 1

    @property
    def options(self) -> dict[str, str]:
        """What sets the network apart from its backbone, by name and in words."""
        found = {}
        if self.feature_levels:
            found["Feature levels"] = (
                f"the maps of {', '.join(self.feature_levels)} stand beside the last one, averaged "
                "down to its grid; the heat-map adds up what each level contributes"
            )
        if self.colour_constancy != "none":
            how = {"shades_of_grey": "shades of grey, Minkowski order 6"}
            found["Colour constancy"] = (
                f"{how.get(self.colour_constancy, self.colour_constancy)}: the tint of the light is "
                "taken out of every picture inside the network; quality is judged before that"
            )
        if self.stochastic_depth is not None:
            found["Stochastic depth"] = (
                f"blocks were skipped at rates up to {self.stochastic_depth:g} in training, never in "
                "an answer"
            )
        if self.views > 1:
            found["Views"] = (
                f"every answer is the mean over {self.views} mirror images and turns of the picture, "
                f"at {self.views} times the computation; so is the heat-map, each turned back"
            )
        return found

    @property
    def calibrator(self) -> Calibrator:
        """From logits to probabilities."""
        if self.decisions is not None:
            return self.decisions.calibrator
        return Calibrator(temperature=self.temperature)

    def deciding(self, decisions: Decisions) -> "Contract":
        """The same contract with what evaluation froze."""
        temperature = decisions.calibrator.temperature
        return self.model_copy(update={"decisions": decisions, "temperature": temperature})

    @classmethod
    def read(cls, path: Path) -> "Contract":
        """Read a contract; what a later library appended to it is left out.

        Raises:
            ContractError: Its `contract_version` is newer than this library's.
            pydantic.ValidationError: It is no contract.
        """
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.get("contract_version", CONTRACT_VERSION)
        if version > CONTRACT_VERSION:
            raise ContractError(
                f"{path} has contract_version {version}, and this library reads up to "
                f"{CONTRACT_VERSION}; serve the bundle with the library that made it, or a later one"
            )
        return cls.model_validate({k: v for k, v in values.items() if k in cls.model_fields})


@dataclass(frozen=True)
class ModelBundle:
    """A handle on a bundle's folder; loads nothing by itself.

    Attributes:
        path: The folder.
        contract: Its contract.
    """

    path: Path
    contract: Contract

    @classmethod
    def open(cls, path: Path) -> "ModelBundle":
        """Read the contract of a bundle.

        Raises:
            FileNotFoundError: A file of the bundle is missing.
            ContractError: The contract is newer than this library.
            pydantic.ValidationError: The contract is none.
        """
        for name in (*CORE_FILES, *SERVING_FILES):
            if not (path / name).is_file():
                raise FileNotFoundError(f"{path} is not a model bundle: {name} is missing")
        return cls(path, Contract.read(path / "contract.json"))

    @property
    def keras_path(self) -> Path:
        """The Keras model."""
        return self.path / "model.keras"

    @property
    def serving_path(self) -> Path:
        """Description of the OpenVINO model; its weights lie beside it."""
        return self.path / "serving" / "model.xml"

    @property
    def ood_path(self) -> Path | None:
        """What the training pictures look like to the network; None before evaluation."""
        return self._added(OOD_FILE)

    @property
    def seen_path(self) -> Path | None:
        """Hashes of the pictures that it has seen; None where they were not kept."""
        return self._added(SEEN_FILE)

    @property
    def drift_path(self) -> Path | None:
        """What the model said of the validation pictures; None where that was not kept."""
        return self._added(DRIFT_FILE)

    @property
    def bundle_hash(self) -> str:
        """SHA-256 over the checksums of every file, the contract included."""
        added = [name for name in EVALUATION_FILES if self._added(name)]
        digest = hashlib.sha256()
        for name in sorted([*CORE_FILES, *SERVING_FILES, *added]):
            with (self.path / name).open("rb") as file:
                digest.update(
                    f"{name}\t{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
        return digest.hexdigest()

    def _added(self, name: str) -> Path | None:
        path = self.path / name
        return path if path.is_file() else None

    def with_contract(self, contract: Contract, target: Path) -> "ModelBundle":
        """Copy the bundle to a new folder under another contract; this one stays as it is.

        Args:
            contract: Of the copy.
            target: Folder to be made; it must not exist. It appears whole or not at all.

        Raises:
            FileExistsError: `target` exists.
            DiskFullError: There is no room for it.
        """
        with self._copied_to(target) as folder:
            _write_contract(contract, folder)
        return ModelBundle(target, contract)

    def with_decisions(
        self, decisions: Decisions, files: Mapping[str, Saveable], target: Path
    ) -> "ModelBundle":
        """Copy the bundle to a new folder with what evaluation froze; this one stays as it is.

        Args:
            decisions: Go into the contract.
            files: By name, of `EVALUATION_FILES`; those that are not given are left out.
            target: Folder to be made; it must not exist. It appears whole or not at all.

        Raises:
            ValueError: Evaluation adds no file of such a name.
            FileExistsError: `target` exists.
            DiskFullError: There is no room for it.
        """
        unknown = sorted(set(files) - set(EVALUATION_FILES))
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)} is no file of a bundle; evaluation adds "
                f"{', '.join(EVALUATION_FILES)}"
            )
        deciding = self.contract.deciding(decisions)
        with self._copied_to(target) as folder:
            _write_contract(deciding, folder)
            for name in EVALUATION_FILES:
                (folder / name).unlink(missing_ok=True)  # of an earlier evaluation
            for name, content in files.items():
                content.save(folder / name)
        return ModelBundle(target, deciding)

    @contextmanager
    def _copied_to(self, target: Path) -> Iterator[Path]:
        """A copy to be changed, which becomes `target` once the block is left."""
        needed = sum(path.stat().st_size for path in self.path.rglob("*"))
        with whole_folder(_COPY, target, needed) as folder:
            shutil.copytree(self.path, folder, dirs_exist_ok=True)
            yield folder


def _write_contract(contract: Contract, folder: Path) -> None:
    (folder / "contract.json").write_text(contract.model_dump_json(indent=2) + "\n")
