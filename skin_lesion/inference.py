"""From image bytes to a prediction: the one path that registry, batch and app share.

Runs on OpenVINO and imports neither TensorFlow nor Keras.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skin_lesion.data.images import ImageError, PixelSpec, read_picture, read_pixels, resize
from skin_lesion.decisions import Decisions, malignant_probability
from skin_lesion.explain.gradcam import class_activation
from skin_lesion.labels import LABEL_INDEX, LABELS
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.ood import UNLIKE_TRAINING, OodReference
from skin_lesion.ood import score as ood_scores
from skin_lesion.prediction import HeatMap, Prediction, Status, Versions
from skin_lesion.quality import Quality, judge, measure
from skin_lesion.serving_model import Outputs, Precision, ServingModel, batches

__all__ = [
    "PREDICTED",
    "HeatMap",
    "Outputs",
    "Precision",
    "Prediction",
    "Predictor",
    "ServingModel",
    "Status",
    "Versions",
]

PREDICTED = "predicted"


class Predictor:
    """Answers for encoded pictures, in order, whatever the bytes hold; may be shared by threads."""

    def __init__(
        self,
        bundle: ModelBundle,
        batch_size: int = 16,
        *,
        version: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Load a bundle.

        Args:
            bundle: The model.
            batch_size: Pictures decoded and judged at a time; it bounds memory.
            version: What the caller calls this model, such as its number in the registry; every
                answer repeats it.
            threads: Threads of a forward pass; None takes every core.
            precision: Of the computation. The model's thresholds and figures are those of
                `float32`; `skin_lesion.precision` tells what `bfloat16` changes.

        Raises:
            ValueError: The bundle does not keep its contract.
            RuntimeError: This processor has no `bfloat16`.
        """
        self.contract = bundle.contract
        contract = (bundle.path / "contract.json").read_bytes()
        self.versions = Versions(
            bundle.bundle_hash, hashlib.sha256(contract).hexdigest(), version, precision
        )
        self._decisions = bundle.contract.decisions or Decisions(
            calibrator=bundle.contract.calibrator
        )
        self._model = ServingModel.load(bundle, threads, precision)
        self._reference = OodReference.load(bundle.ood_path) if bundle.ood_path else None
        self._batch_size = batch_size
        self._spec = PixelSpec(
            height=self.contract.input_height,
            width=self.contract.input_width,
            resize_mode=self.contract.resize_mode,
            source_height=self.contract.source_height,
            source_width=self.contract.source_width,
        )

    def predict(
        self, pictures: Sequence[bytes], *, heat_map_of: str | None = None
    ) -> list[Prediction]:
        """Judge encoded pictures.

        Args:
            pictures: Contents of image files.
            heat_map_of: Code of the class whose heat-map goes with each answer, or `predicted` for
                that of the most probable class; None makes no heat-maps.

        Returns:
            One answer for each, in order. A file that cannot be read gets the status `unreadable`
            and disturbs no other.

        Raises:
            ValueError: No such class.
        """
        if heat_map_of != PREDICTED:
            _check_class(heat_map_of)
        answers: list[Prediction] = []
        for rows in batches(len(pictures), self._batch_size):
            answers += self._predict_batch(pictures[rows], heat_map_of)
        return answers

    def heat_map(self, picture: bytes, label: str) -> HeatMap:
        """Where a picture speaks for a class, be it assessed or not.

        Args:
            picture: Contents of an image file.
            label: Code of the class, which need not be the predicted one.

        Raises:
            ImageError: The picture cannot be read.
            ValueError: No such class.
        """
        _check_class(label)
        pixels = read_pixels(picture, self._spec)
        features = self._model.run(pixels[None], with_features=True).features
        assert features is not None  # asked for above
        return self._heat_map(pixels, features[0], label)

    def _predict_batch(
        self, pictures: Sequence[bytes], heat_map_of: str | None
    ) -> list[Prediction]:
        answers: list[Prediction | None] = []
        fit: list[_Fit] = []
        for picture in pictures:
            sha256 = hashlib.sha256(picture).hexdigest() if picture else None
            try:
                decoded = read_picture(picture, self._spec)
            except ImageError as error:
                answers.append(
                    Prediction(
                        "unreadable",
                        reason=error.reason,
                        image_sha256=sha256,
                        versions=self.versions,
                    )
                )
                continue
            pixels = np.asarray(resize(decoded.image, self._spec))
            quality = measure(pixels, decoded.height, decoded.width)
            flaw = judge(quality, self._decisions.quality)
            if flaw is None:
                answers.append(None)
                fit.append(_Fit(pixels, quality, sha256, decoded.several_frames))
            else:
                answers.append(
                    Prediction(
                        "cannot_assess",
                        reason=flaw,
                        quality=quality,
                        image_sha256=sha256,
                        versions=self.versions,
                        several_frames=decoded.several_frames,
                    )
                )
        judged = self._judge(fit, heat_map_of) if fit else iter(())
        return [next(judged) if answer is None else answer for answer in answers]

    def _judge(self, fit: Sequence["_Fit"], heat_map_of: str | None) -> Iterator[Prediction]:
        pixels = np.stack([each.pixels for each in fit])
        outputs = self._model.run(pixels, self._batch_size, with_features=heat_map_of is not None)
        decisions = self._decisions
        probabilities = decisions.calibrator.probabilities(outputs.logits)
        malignant = malignant_probability(probabilities)
        verdicts = {
            point.name: point.positive(probabilities) for point in decisions.operating_points
        }
        bands, sets = decisions.confidence, decisions.prediction_sets
        scores = self._ood_scores(outputs)
        reference = self._reference
        distances = None if reference is None else reference.embedding_distances(outputs.pooled)
        for i, (each, row) in enumerate(zip(fit, probabilities, strict=True)):
            score = None if scores is None else float(scores[i])
            unlike = None if score is None else self._is_unlike(score)
            distance = None if distances is None else float(distances[i])
            if unlike:
                yield Prediction(
                    "cannot_assess",
                    reason=UNLIKE_TRAINING,
                    quality=each.quality,
                    ood_score=score,
                    unlike_training=unlike,
                    embedding_distance=distance,
                    image_sha256=each.sha256,
                    versions=self.versions,
                    several_frames=each.several_frames,
                )
                continue
            prediction = LABELS[int(row.argmax())]
            heat_map = None
            if heat_map_of is not None and outputs.features is not None:
                label = prediction if heat_map_of == PREDICTED else heat_map_of
                heat_map = self._heat_map(each.pixels, outputs.features[i], label)
            yield Prediction(
                status="ok",
                probabilities=dict(zip(LABELS, row.tolist(), strict=True)),
                prediction=prediction,
                malignant_probability=float(malignant[i]),
                confidence=bands.band(float(row.max())) if bands else None,
                prediction_set=sets.labels(row[None])[0] if sets else None,
                verdicts={name: bool(positive[i]) for name, positive in verdicts.items()},
                quality=each.quality,
                ood_score=score,
                unlike_training=unlike,
                embedding_distance=distance,
                image_sha256=each.sha256,
                versions=self.versions,
                several_frames=each.several_frames,
                heat_map=heat_map,
            )

    def _ood_scores(self, outputs: Outputs) -> NDArray[np.float64] | None:
        gate = self._decisions.ood
        if gate is None:
            return None
        return ood_scores(
            gate.score, outputs.logits, outputs.pooled, self._reference, gate.neighbours
        )

    def _is_unlike(self, score: float) -> bool:
        gate = self._decisions.ood
        return gate is not None and score > gate.threshold

    def _heat_map(
        self, pixels: NDArray[np.uint8], features: NDArray[np.float32], label: str
    ) -> HeatMap:
        heat = class_activation(features, self._model.kernel, LABEL_INDEX[label])
        return HeatMap(pixels, heat, label)


@dataclass(frozen=True)
class _Fit:
    """A picture that is good enough to be judged.

    Attributes:
        pixels: As the model sees it, shape (H, W, 3).
        quality: Its measures.
        sha256: Of the encoded file.
        several_frames: Whether the file holds more.
    """

    pixels: NDArray[np.uint8]
    quality: Quality
    sha256: str | None
    several_frames: bool


def _check_class(label: str | None) -> None:
    if label is not None and label not in LABEL_INDEX:
        raise ValueError(f"no class is called {label!r}; expected one of {', '.join(LABELS)}")
