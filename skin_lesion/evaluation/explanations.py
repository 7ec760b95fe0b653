"""The evidence that heat-maps mean something: they depend on the weights, and hot cells matter."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skin_lesion.decisions import Calibrator, Probabilities
from skin_lesion.evaluation.deletion import Pixels, deletion_figures, deletion_insertion
from skin_lesion.evaluation.explanation_figures import DeletionFigures, ExplanationFigures
from skin_lesion.evaluation.explanation_plots import (
    ExampleMaps,
    curves_plot,
    example_maps,
    randomisation_plot,
)
from skin_lesion.evaluation.figures import Units
from skin_lesion.evaluation.randomisation import randomisation_figures
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.explain.gradcam import class_activation
from skin_lesion.inference import ServingModel
from skin_lesion.labels import LABEL_INDEX, LABELS
from skin_lesion.modeling.bundle import ModelBundle

Rows = NDArray[np.int64]

_CORRECT, _VARIED = 81, 82


@dataclass(frozen=True)
class Explanations:
    """What was found about the heat-maps.

    Attributes:
        figures: For the report.
        plots: PNG pictures by name: `explanation_randomisation`, `explanation_examples` and, where
            there are such curves, `explanation_deletion`.
    """

    figures: ExplanationFigures
    plots: dict[str, bytes]


def measure_explanations(
    serving: ServingModel,
    keras_bundle: ModelBundle | None,
    pixels: Pixels,
    sample: Sample,
    calibrator: Calibrator,
    *,
    label: str,
    deletion_pictures: int,
    randomisation_pictures: int,
    steps: int,
    repeats: int,
    cascade_repeats: int,
    blur: float,
    deletion_goal: float,
    randomisation_goal: float,
    min_lesions: int,
    resamples: int,
    batch_size: int,
    seed: int,
) -> Explanations:
    """Check the heat-maps of a model on pictures of one split.

    Args:
        serving: The model.
        keras_bundle: The same model for the randomisation of all its weights, which loads Keras;
            None randomises the classification layer alone.
        pixels: All pictures of the sample, RGB, shape (N, H, W, 3); may be memory-mapped.
        sample: What the model says of them.
        calibrator: From logits to the sample's probabilities.
        label: Code of the class whose deletion curves are drawn.
        deletion_pictures: At most so many of its pictures with a right answer, one of each lesion.
        randomisation_pictures: Pictures of all classes, one of each lesion, at most.
        steps: Steps of a deletion curve; at most as many as the feature map has cells.
        repeats: Random orders for each picture.
        cascade_repeats: Randomised models.
        blur: Standard deviation of the blur that hides a cell, as a share of the shorter side.
        deletion_goal: Share asked of pictures whose map beats random order.
        randomisation_goal: Largest rank correlation accepted of a fully randomised model.
        min_lesions: With fewer, deletion figures are indicative and their goal is not judged.
        resamples: Bootstrap resamples.
        batch_size: Pictures at a time.
        seed: Of everything drawn.

    Raises:
        ValueError: No such class, there are no pictures, or they are not those of the sample.
    """
    if label not in LABEL_INDEX:
        raise ValueError(f"no class is called {label!r}; expected one of {', '.join(LABELS)}")
    if not len(sample) or len(pixels) != len(sample):
        raise ValueError(
            f"got {len(pixels)} pictures for a sample of {len(sample)}; expected as many, at least "
            "one"
        )
    varied = varied_pictures(sample, count=randomisation_pictures, seed=seed)
    pictures = np.ascontiguousarray(pixels[varied])
    features = _features(serving, pictures, batch_size)
    predicted = sample.predicted[varied]
    randomisation = randomisation_figures(
        keras_bundle,
        pictures,
        features,
        serving.kernel,
        predicted,
        _resamples(sample.take(varied), resamples, seed),
        repeats=cascade_repeats,
        batch_size=batch_size,
        goal=randomisation_goal,
        seed=seed,
    )
    correct = correct_pictures(sample, LABEL_INDEX[label], seed=seed)
    chosen = correct[:deletion_pictures]
    deletion: DeletionFigures | None = None
    if len(chosen):

        def run(shown: Pixels) -> Probabilities:
            return calibrator.probabilities(serving.run(shown, batch_size).logits)

        explained = np.ascontiguousarray(pixels[chosen])
        index = np.full(len(chosen), LABEL_INDEX[label])
        maps = _features(serving, explained, batch_size)
        heats = [class_activation(one, serving.kernel, LABEL_INDEX[label]) for one in maps]
        curves = deletion_insertion(
            run, explained, heats, index, steps=steps, repeats=repeats, blur=blur, seed=seed
        )
        deletion = deletion_figures(
            curves,
            _resamples(sample.take(chosen), resamples, seed),
            repeats=repeats,
            blur=blur,
            goal=deletion_goal,
            min_lesions=min_lesions,
        )
    figures = ExplanationFigures(
        label=label,
        n_correct_lesions=len(correct),
        randomisation=randomisation,
        deletion=deletion,
        resamples=resamples,
        seed=seed,
    )
    examples = ExampleMaps(
        pictures, features, predicted, tuple(sample.rows["image_id"].iloc[varied])
    )
    return Explanations(figures, _plots(figures, examples, serving.kernel, sample.units))


def correct_pictures(sample: Sample, class_index: int, *, seed: int) -> Rows:
    """Rows of the pictures of a class that were called right, one of each lesion, drawn by lot.

    However many are taken from the front, they are not chosen by how sure the model was.
    """
    right = np.flatnonzero((sample.truth == class_index) & (sample.predicted == class_index))
    return _one_per_lesion(sample, np.random.default_rng([seed, _CORRECT]).permutation(right))


def varied_pictures(sample: Sample, *, count: int, seed: int) -> Rows:
    """Rows of at most `count` pictures, one of each lesion, the classes as even as they can be."""
    order = np.random.default_rng([seed, _VARIED]).permutation(len(sample))
    rows = _one_per_lesion(sample, order)
    # First one of each class, then a second of each, and so on.
    turn = pd.Series(sample.truth[rows]).groupby(sample.truth[rows]).cumcount().to_numpy()
    return rows[np.argsort(turn, kind="stable")][:count]


def _one_per_lesion(sample: Sample, rows: Rows) -> Rows:
    return rows[np.sort(np.unique(sample.groups[rows], return_index=True)[1])]


def _resamples(sample: Sample, count: int, seed: int) -> Resamples:
    return Resamples.over_lesions(sample.groups, count, seed)


def _features(serving: ServingModel, pixels: Pixels, batch_size: int) -> NDArray[np.float32]:
    features = serving.run(pixels, batch_size, with_features=True).features
    assert features is not None  # asked for above
    return features


def _plots(
    figures: ExplanationFigures,
    examples: ExampleMaps,
    kernel: NDArray[np.float32],
    units: Units,
) -> dict[str, bytes]:
    plots = {
        "explanation_randomisation": randomisation_plot(figures.randomisation, units),
        "explanation_examples": example_maps(examples, kernel),
    }
    if figures.deletion is not None:
        plots["explanation_deletion"] = curves_plot(figures.deletion, figures.label, units)
    return plots
