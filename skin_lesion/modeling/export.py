"""From a trained classifier to a bundle: serving export, proof of parity, contract.

The serving export is an OpenVINO IR in float32 with the outputs `logits` and `features`, so that
whoever serves it needs neither TensorFlow nor a gradient.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray, Pixels
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import Contract, EnsembleMember, ModelBundle
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.settings import ResizeMode

PARITY_TOLERANCE = 1e-4  # largest accepted difference of a probability
PARITY_IMAGES = 64


class ExportError(RuntimeError):
    """The serving export failed or does not agree with the model it was made from."""


@dataclass(frozen=True)
class BundleFacts:
    """What the contract states about data and code.

    Attributes:
        resize_mode: How the training pictures were brought to the input size.
        code_version: Version of the library and of its training code.
        training_run_id: MLflow run; None outside a tracked run.
        members: Of an ensemble; none for a single network.
    """

    resize_mode: ResizeMode
    code_version: str
    training_run_id: str | None
    members: tuple[EnsembleMember, ...] = ()


def make_bundle(
    trained: WarmupModel,
    images: ImageArray,
    split: SplitTable,
    manifest: Manifest,
    facts: BundleFacts,
    target: Path,
) -> ModelBundle:
    """Export a trained classifier, prove that the export agrees with it, and write the contract.

    Args:
        trained: The model of the last phase.
        images: Pictures; parity is measured on some of its validation rows.
        split: Which rows those are.
        manifest: Provenance and fingerprint of the data.
        facts: What else the contract states.
        target: Folder to be made; it must not exist. It appears whole or not at all.

    Raises:
        FileExistsError: `target` exists.
        ExportError: The export failed, or a probability differs by more than `PARITY_TOLERANCE`.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists; name a new folder for the bundle")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".bundle-") as name:
        folder = Path(name) / "bundle"
        folder.mkdir()
        shutil.copyfile(trained.path, folder / "model.keras")
        _export_elsewhere_unless_tensorflow(folder / "model.keras", folder / "serving")
        rows = split.indices("val")[:PARITY_IMAGES]
        difference = parity(folder, np.asarray(images.open()[rows]))
        if not difference <= PARITY_TOLERANCE:
            raise ExportError(
                f"serving export and Keras model differ by {difference:.2e} in a probability; "
                f"at most {PARITY_TOLERANCE:.0e} is accepted"
            )
        provenance = manifest.provenance
        contract = Contract(
            input_height=images.shape[1],
            input_width=images.shape[2],
            resize_mode=facts.resize_mode,
            source_height=provenance.source_height,
            source_width=provenance.source_width,
            backbone=trained.backbone.name,
            feature_layer=trained.backbone.feature_layer,
            pretrained_on=trained.pretrained_on,
            data_fingerprint=manifest.fingerprint,
            split_hash=split.split_hash,
            code_version=facts.code_version,
            training_run_id=facts.training_run_id,
            synthetic_only=provenance.synthetic,
            licence=provenance.licence,
            parity_max_abs_difference=difference,
            members=facts.members,
        )
        (folder / "contract.json").write_text(contract.model_dump_json(indent=2) + "\n")
        os.replace(folder, target)
    return ModelBundle.open(target)


def export_serving(keras_path: Path, folder: Path) -> None:
    """Write `model.xml`, `model.bin` and `head.npz` of a Keras classifier; TensorFlow backend only.

    Args:
        keras_path: A classifier made by `skin_lesion.modeling.classifier.build_classifier`.
        folder: Folder to be made for the three files.
    """
    import keras
    import openvino

    model = keras.saving.load_model(keras_path, compile=False)
    serving = keras.Model(
        model.input,
        {
            "logits": model.get_layer("logits").output,
            "features": model.get_layer("features").output,
        },
    )
    folder.mkdir(parents=True)
    draft = folder / "draft.xml"
    serving.export(str(draft), format="openvino", verbose=False)
    # Keras leaves a second name on each output that changes from one export to the next; without
    # it the same weights give the same file.
    network = openvino.Core().read_model(draft)
    for name in ("logits", "features"):
        network.output(name).tensor.set_names({name})
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=False)
    del network  # it maps draft.bin
    for leftover in folder.glob("draft.*"):
        leftover.unlink()
    head = model.get_layer("logits")
    kernel, bias = (np.asarray(weight, np.float32) for weight in head.get_weights())
    np.savez(folder / "head.npz", kernel=kernel, bias=bias)


def parity(bundle_folder: Path, pixels: Pixels) -> float:
    """Largest absolute difference of a probability between serving export and Keras model.

    Args:
        bundle_folder: Holds `model.keras` and `serving/`.
        pixels: Shape (n, height, width, 3), `uint8`.
    """
    import keras
    import openvino

    model = keras.saving.load_model(bundle_folder / "model.keras", compile=False)
    compiled = openvino.Core().compile_model(
        bundle_folder / "serving" / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    worst = 0.0
    for start in range(0, len(pixels), 16):
        batch = pixels[start : start + 16]
        expected = _softmax(keras.ops.convert_to_numpy(model(batch, training=False)))
        found = _softmax(compiled(batch)[compiled.output("logits")])
        worst = max(worst, float(np.abs(expected - found).max()))
    return worst


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    from scipy.special import softmax

    result: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1)
    if result.shape[1] != len(LABELS):
        raise ExportError(f"the model has {result.shape[1]} outputs; expected {len(LABELS)}")
    return result


def _export_elsewhere_unless_tensorflow(keras_path: Path, folder: Path) -> None:
    """Only the TensorFlow backend can write the export; other backends hand it to a child process."""
    import keras

    if keras.backend.backend() == "tensorflow":
        export_serving(keras_path, folder)
        return
    finished = subprocess.run(
        [sys.executable, "-m", "skin_lesion.modeling.export", str(keras_path), str(folder)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ExportError(f"the serving export failed:\n{finished.stderr[-2000:]}")


if __name__ == "__main__":
    export_serving(Path(sys.argv[1]), Path(sys.argv[2]))
