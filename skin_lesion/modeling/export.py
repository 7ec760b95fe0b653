"""From a trained classifier to a bundle: serving export, proof of parity, contract.

The serving export is an OpenVINO IR in float32 with the outputs `logits` and `features`, so that
whoever serves it needs neither TensorFlow nor a gradient. Where answers are to be averaged over
views, the export does so by itself; the Keras model in the bundle stays as it was trained, and gives
one view.
"""

import logging
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.image_array import ImageArray, Pixels
from skin_lesion.data.manifest import Manifest
from skin_lesion.data.split_table import SplitTable
from skin_lesion.disk import whole_folder
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import Contract, EnsembleMember, ModelBundle
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.modeling.views import PLAIN, View, all_views, average_views
from skin_lesion.settings import ExportConfig, ResizeMode

if TYPE_CHECKING:
    from openvino import CompiledModel

log = logging.getLogger(__name__)

PARITY_TOLERANCE = 1e-4  # largest accepted difference of a probability
PARITY_IMAGES = 64
COST_ROUNDS = 9
EVERY_VIEW = "--every-view"


class ExportError(RuntimeError):
    """The serving export failed or does not agree with the model it was made from."""


@dataclass(frozen=True)
class BundleFacts:
    """What the contract states about data and code.

    Attributes:
        resize_mode: How the training pictures were brought to the input size.
        code_version: Version of the library and of its training code, and of other code that a part
            of the model was trained by.
        training_run_id: MLflow run; None outside a tracked run.
        members: Of an ensemble; none for a single network.
        export: What the served network does beyond the trained one.
    """

    resize_mode: ResizeMode
    code_version: str
    training_run_id: str | None
    members: tuple[EnsembleMember, ...] = ()
    export: ExportConfig = field(default_factory=ExportConfig)


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
        DiskFullError: There is no room for it.
    """
    views = (PLAIN,) if facts.export.views == "one" else all_views(*images.shape[1:3])
    # The Keras file twice over, as OpenVINO has it, and a draft of that.
    needed = 4 * trained.path.stat().st_size
    with whole_folder("the bundle of the trained model", target, needed) as folder:
        shutil.copyfile(trained.path, folder / "model.keras")
        all_of_them = len(views) > 1
        _export_elsewhere_unless_tensorflow(folder / "model.keras", folder / "serving", all_of_them)
        rows = split.indices("val")[:PARITY_IMAGES]
        pixels = np.asarray(images.open()[rows])
        difference = parity(folder, pixels, views)
        if not difference <= PARITY_TOLERANCE:
            raise ExportError(
                f"serving export and Keras model differ by {difference:.2e} in a probability; "
                f"at most {PARITY_TOLERANCE:.0e} is accepted"
            )
        if all_of_them:
            log.info(_told_cost(folder, pixels[:1], len(views)))
        provenance, backbone = manifest.provenance, trained.backbone
        contract = Contract(
            input_height=images.shape[1],
            input_width=images.shape[2],
            resize_mode=facts.resize_mode,
            source_height=provenance.source_height,
            source_width=provenance.source_width,
            backbone=backbone.name,
            feature_layer=backbone.feature_layer,
            feature_levels=backbone.feature_levels,
            colour_constancy=backbone.colour_constancy,
            stochastic_depth=backbone.stochastic_depth,
            pretrained_on=trained.pretrained_on,
            data_fingerprint=manifest.fingerprint,
            split_hash=split.split_hash,
            code_version=facts.code_version,
            training_run_id=facts.training_run_id,
            synthetic_only=provenance.synthetic,
            licence=provenance.licence,
            parity_max_abs_difference=difference,
            members=facts.members,
            views=len(views),
        )
        (folder / "contract.json").write_text(contract.model_dump_json(indent=2) + "\n")
    return ModelBundle.open(target)


def export_serving(keras_path: Path, folder: Path, *, every_view: bool = False) -> None:
    """Write `model.xml`, `model.bin` and `head.npz` of a Keras classifier; TensorFlow backend only.

    Args:
        keras_path: A classifier made by `skin_lesion.modeling.classifier.build_classifier`.
        folder: Folder to be made for the three files.
        every_view: Have it average over all views of a picture.
    """
    import keras
    import openvino

    model = keras.saving.load_model(keras_path, compile=False)
    if every_view:
        serving = average_views(model, all_views(*model.input.shape[1:3]))
    else:
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
    # Keras leaves a second name on each output that changes from one export to the next, and OpenVINO
    # calls operations that are no layer's by a running number; without these the same weights give
    # the same file.
    network = openvino.Core().read_model(draft)
    for name in ("logits", "features"):
        network.output(name).tensor.set_names({name})
    for position, operation in enumerate(network.get_ordered_ops()):
        if re.fullmatch(r"[A-Z][A-Za-z]*_\d+", operation.get_friendly_name()):
            operation.set_friendly_name(f"{operation.get_type_name()}.{position}")
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=False)
    del network  # it maps draft.bin
    for leftover in folder.glob("draft.*"):
        leftover.unlink()
    head = model.get_layer("logits")
    kernel, bias = (np.asarray(weight, np.float32) for weight in head.get_weights())
    np.savez(folder / "head.npz", kernel=kernel, bias=bias)


def parity(bundle_folder: Path, pixels: Pixels, views: Sequence[View] = (PLAIN,)) -> float:
    """Largest absolute difference of a probability between serving export and Keras model.

    The Keras model is asked for each view by itself and its logits are averaged, so that averaging
    inside the export is proven too. So is the closed form of the heat-maps: what the classification
    layer makes of the exported features has to be the same probability again.

    Args:
        bundle_folder: Holds `model.keras` and `serving/`.
        pixels: Shape (n, height, width, 3), `uint8`.
        views: That the export averages over.
    """
    import keras

    model = keras.saving.load_model(bundle_folder / "model.keras", compile=False)
    compiled = _compiled(bundle_folder / "serving" / "model.xml")
    with np.load(bundle_folder / "serving" / "head.npz", allow_pickle=False) as head:
        kernel, bias = head["kernel"], head["bias"]
    worst = 0.0
    for start in range(0, len(pixels), 16):
        batch = pixels[start : start + 16]
        logits = [
            keras.ops.convert_to_numpy(model(view.of(batch), training=False)) for view in views
        ]
        found = compiled(batch)
        expected = _softmax(np.mean(logits, axis=0))
        from_features = found[compiled.output("features")].mean(axis=(1, 2)) @ kernel + bias
        for mine in (found[compiled.output("logits")], from_features):
            worst = max(worst, float(np.abs(expected - _softmax(mine)).max()))
    return worst


def _compiled(model_xml: Path) -> "CompiledModel":
    import openvino

    return openvino.Core().compile_model(model_xml, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def _told_cost(bundle_folder: Path, picture: Pixels, views: int) -> str:
    """What averaging costs, measured here: passes over one picture, with and without, in turn.

    It is told and not kept: equal models are to give equal bundles.
    """
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as name:
        plain = Path(name) / "serving"
        _export_elsewhere_unless_tensorflow(bundle_folder / "model.keras", plain, False)
        networks = [
            _compiled(folder / "model.xml") for folder in (bundle_folder / "serving", plain)
        ]
        clock: list[list[float]] = [[], []]
        processor: list[list[float]] = [[], []]
        for round_number in range(COST_ROUNDS + 1):
            for network, elapsed, used in zip(networks, clock, processor, strict=True):
                start, used_before = time.perf_counter(), time.process_time()
                network(picture)
                if round_number:  # the first one warms up
                    elapsed.append(1000 * (time.perf_counter() - start))
                    used.append(time.process_time() - used_before)
        del networks, network  # they may map files of the folder
    averaged, single = map(statistics.median, clock)
    work = statistics.median(processor[0]) / max(statistics.median(processor[1]), 1e-9)
    return (
        f"averaging over {views} views makes a pass of the network take {averaged / single:.1f} times "
        f"as long ({averaged:.1f} instead of {single:.1f} ms for a picture, on this machine as busy as "
        f"it is) and {work:.1f} times the processor time"
    )


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    from scipy.special import softmax

    result: NDArray[np.float64] = softmax(logits.astype(np.float64), axis=1)
    if result.shape[1] != len(LABELS):
        raise ExportError(f"the model has {result.shape[1]} outputs; expected {len(LABELS)}")
    return result


def _export_elsewhere_unless_tensorflow(keras_path: Path, folder: Path, every_view: bool) -> None:
    """Only the TensorFlow backend can write the export; other backends hand it to a child process."""
    import keras

    if keras.backend.backend() == "tensorflow":
        export_serving(keras_path, folder, every_view=every_view)
        return
    arguments = [str(keras_path), str(folder), *([EVERY_VIEW] if every_view else [])]
    finished = subprocess.run(
        [sys.executable, "-m", "skin_lesion.modeling.export", *arguments],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        raise ExportError(f"the serving export failed:\n{finished.stderr[-2000:]}")


if __name__ == "__main__":
    export_serving(Path(sys.argv[1]), Path(sys.argv[2]), every_view=EVERY_VIEW in sys.argv[3:])
