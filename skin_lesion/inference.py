"""From image bytes to a prediction: the one path that evaluation, registry, batch and app share.

Runs on OpenVINO and imports neither TensorFlow nor Keras.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.images import ImageError, PixelSpec, read_picture, read_pixels, resize
from skin_lesion.decisions import Confidence, Decisions, malignant_probability
from skin_lesion.explain.gradcam import Heat, class_activation
from skin_lesion.labels import LABEL_INDEX, LABELS, NUM_CLASSES
from skin_lesion.modeling.bundle import Contract, ModelBundle
from skin_lesion.ood import UNLIKE_TRAINING, OodReference
from skin_lesion.ood import score as ood_scores
from skin_lesion.quality import judge, measure

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest

Status = Literal["ok", "unreadable", "cannot_assess"]


@dataclass(frozen=True)
class Outputs:
    """What the serving export says of N pictures.

    Attributes:
        logits: Shape (N, 7), not yet calibrated.
        pooled: Last feature map averaged over its positions, shape (N, C): what the classification
            layer sees.
        features: Last feature map, shape (N, h, w, C); None where it was not asked for.
    """

    logits: NDArray[np.float32]
    pooled: NDArray[np.float32]
    features: NDArray[np.float32] | None = None


class ServingModel:
    """The OpenVINO export of a bundle, compiled once; may be called from many threads at a time."""

    def __init__(
        self, compiled: "CompiledModel", kernel: NDArray[np.float32], contract: Contract
    ) -> None:
        """Wrap a compiled model; use `load` to make one from a bundle.

        Args:
            compiled: Takes uint8 (N, H, W, 3), gives outputs named `logits` and `features`.
            kernel: Weights of the classification layer, shape (C, 7).
            contract: What the model promises.
        """
        self.contract = contract
        self.kernel = kernel
        self._compiled = compiled
        # An infer request holds the buffers of one forward pass, so no two threads may share one.
        self._requests = threading.local()

    @classmethod
    def load(cls, bundle: ModelBundle) -> "ServingModel":
        """Compile a bundle's export for this CPU, in float32 on every machine.

        Raises:
            ValueError: The bundle's labels are not ours, or its export does not keep the contract.
        """
        from openvino import Core

        contract = bundle.contract
        if contract.labels != LABELS:
            raise ValueError(f"{bundle.path} predicts {contract.labels}; expected {LABELS}")
        # The hint matters: newer CPUs would silently compute in bfloat16 and give other figures.
        compiled = Core().compile_model(
            bundle.serving_path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        names = {name for output in compiled.outputs for name in output.get_names()}
        shape = list(compiled.input(0).get_partial_shape())[1:]
        expected = (contract.input_height, contract.input_width, 3)
        if not {"logits", "features"} <= names or any(
            dimension != size for dimension, size in zip(shape, expected, strict=True)
        ):
            raise ValueError(
                f"{bundle.serving_path} takes (N, {shape}) and gives {sorted(names)}; "
                f"expected (N, {expected}) and outputs logits, features: export the model anew"
            )
        with np.load(bundle.serving_path.with_name("head.npz"), allow_pickle=False) as head:
            kernel = head["kernel"].astype(np.float32)
        if kernel.shape[1:] != (NUM_CLASSES,):
            raise ValueError(f"head.npz holds a kernel {kernel.shape}; expected (C, {NUM_CLASSES})")
        return cls(compiled, kernel, contract)

    def run(
        self, pixels: NDArray[np.uint8], batch_size: int = 16, with_features: bool = False
    ) -> Outputs:
        """One forward pass over N pictures, a batch at a time.

        Args:
            pixels: RGB, shape (N, H, W, 3), 0 to 255, H and W as in the contract. A memory-mapped
                array is read batch by batch.
            batch_size: Pictures at a time; it bounds memory and changes no result.
            with_features: Whether to return the feature maps too, which take much more memory.

        Raises:
            ValueError: Wrong shape or type, or the model gave numbers that are not finite.
        """
        expected = (self.contract.input_height, self.contract.input_width, 3)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            raise ValueError(
                f"got {pixels.dtype} pixels of shape {pixels.shape}; expected uint8 (N, "
                f"{', '.join(map(str, expected))}) from skin_lesion.data.images.read_pixels"
            )
        logits = np.empty((len(pixels), NUM_CLASSES), np.float32)
        pooled = np.empty((len(pixels), len(self.kernel)), np.float32)
        maps: list[NDArray[np.float32]] = []
        for rows in _batches(len(pixels), batch_size):
            result = self._request().infer([np.ascontiguousarray(pixels[rows])])
            logits[rows] = result["logits"]
            pooled[rows] = result["features"].mean(axis=(1, 2))
            if with_features:
                maps.append(result["features"])
        if not np.isfinite(logits).all():
            raise ValueError("the model gave logits that are not finite; its weights are broken")
        if not with_features:
            return Outputs(logits, pooled)
        if not maps:
            raise ValueError("got no pictures; feature maps need at least one")
        return Outputs(logits, pooled, np.concatenate(maps))

    def _request(self) -> "InferRequest":
        if not hasattr(self._requests, "value"):
            self._requests.value = self._compiled.create_infer_request()
        request: InferRequest = self._requests.value
        return request


@dataclass(frozen=True)
class Prediction:
    """The answer for one picture.

    Attributes:
        status: `ok`; `unreadable` where the bytes are no usable picture; `cannot_assess` where the
            picture is readable but must not be judged.
        reason: Why not: a code of `ImageError.reason`, of `skin_lesion.quality.QUALITY_REASONS`, or
            `unlike_training`; None where the status is `ok`.
        probabilities: Calibrated probability of each class; like all that follows None unless the
            status is `ok`.
        prediction: Code of the most probable class.
        malignant_probability: Summed probability of the malignant classes.
        confidence: How sure the model is; it says nothing about danger.
        prediction_set: Classes that remain possible at the model's error rate.
        verdicts: Whether the picture counts as suspicious at each operating point, by its name.
    """

    status: Status
    reason: str | None = None
    probabilities: Mapping[str, float] | None = None
    prediction: str | None = None
    malignant_probability: float | None = None
    confidence: Confidence | None = None
    prediction_set: tuple[str, ...] | None = None
    verdicts: Mapping[str, bool] | None = None


@dataclass(frozen=True)
class HeatMap:
    """Where a picture speaks for a class; not evidence that the answer is right.

    Attributes:
        pixels: What the model saw, RGB, shape (H, W, 3).
        heat: Shape (h, w), 0 to 1; `skin_lesion.explain.gradcam.overlay` lays it over the pixels.
    """

    pixels: NDArray[np.uint8]
    heat: Heat


class Predictor:
    """Answers for encoded pictures, in order, whatever the bytes hold; may be shared by threads."""

    def __init__(self, bundle: ModelBundle, batch_size: int = 16) -> None:
        """Load a bundle.

        Args:
            bundle: The model.
            batch_size: Pictures decoded and judged at a time; it bounds memory.
        """
        self.contract = bundle.contract
        self._decisions = bundle.contract.decisions or Decisions(
            calibrator=bundle.contract.calibrator
        )
        self._model = ServingModel.load(bundle)
        self._reference = OodReference.load(bundle.ood_path) if bundle.ood_path else None
        self._batch_size = batch_size
        self._spec = PixelSpec(
            height=self.contract.input_height,
            width=self.contract.input_width,
            resize_mode=self.contract.resize_mode,
            source_height=self.contract.source_height,
            source_width=self.contract.source_width,
        )

    def predict(self, pictures: Sequence[bytes]) -> list[Prediction]:
        """Judge encoded pictures.

        Args:
            pictures: Contents of image files.

        Returns:
            One answer for each, in order. A file that cannot be read gets the status `unreadable`
            and disturbs no other.
        """
        answers: list[Prediction] = []
        for rows in _batches(len(pictures), self._batch_size):
            answers += self._predict_batch(pictures[rows])
        return answers

    def heat_map(self, picture: bytes, label: str) -> HeatMap:
        """Where a picture speaks for a class.

        Args:
            picture: Contents of an image file.
            label: Code of the class, which need not be the predicted one.

        Raises:
            ImageError: The picture cannot be read.
            ValueError: No such class.
        """
        if label not in LABEL_INDEX:
            raise ValueError(f"no class is called {label!r}; expected one of {', '.join(LABELS)}")
        pixels = read_pixels(picture, self._spec)
        features = self._model.run(pixels[None], with_features=True).features
        assert features is not None  # asked for above
        return HeatMap(
            pixels, class_activation(features[0], self._model.kernel, LABEL_INDEX[label])
        )

    def _predict_batch(self, pictures: Sequence[bytes]) -> list[Prediction]:
        answers: list[Prediction | None] = []
        fit: list[NDArray[np.uint8]] = []
        for picture in pictures:
            try:
                decoded = read_picture(picture, self._spec)
            except ImageError as error:
                answers.append(Prediction("unreadable", reason=error.reason))
                continue
            pixels = np.asarray(resize(decoded.image, self._spec))
            quality = measure(pixels, decoded.height, decoded.width)
            flaw = judge(quality, self._decisions.quality)
            answers.append(Prediction("cannot_assess", reason=flaw) if flaw else None)
            if flaw is None:
                fit.append(pixels)
        judged = self._judge(np.stack(fit)) if fit else iter(())
        return [next(judged) if answer is None else answer for answer in answers]

    def _judge(self, pixels: NDArray[np.uint8]) -> Iterator[Prediction]:
        outputs = self._model.run(pixels, self._batch_size)
        decisions = self._decisions
        probabilities = decisions.calibrator.probabilities(outputs.logits)
        malignant = malignant_probability(probabilities)
        verdicts = {
            point.name: point.positive(probabilities) for point in decisions.operating_points
        }
        bands, sets = decisions.confidence, decisions.prediction_sets
        unlike = self._unlike_training(outputs)
        for i, row in enumerate(probabilities):
            if unlike[i]:
                yield Prediction("cannot_assess", reason=UNLIKE_TRAINING)
                continue
            yield Prediction(
                status="ok",
                probabilities=dict(zip(LABELS, row.tolist(), strict=True)),
                prediction=LABELS[int(row.argmax())],
                malignant_probability=float(malignant[i]),
                confidence=bands.band(float(row.max())) if bands else None,
                prediction_set=sets.labels(row[None])[0] if sets else None,
                verdicts={name: bool(positive[i]) for name, positive in verdicts.items()},
            )

    def _unlike_training(self, outputs: Outputs) -> NDArray[np.bool_]:
        gate = self._decisions.ood
        if gate is None:
            return np.zeros(len(outputs.logits), bool)
        scores = ood_scores(
            gate.score, outputs.logits, outputs.pooled, self._reference, gate.neighbours
        )
        unlike: NDArray[np.bool_] = scores > gate.threshold
        return unlike


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, start + size)
