"""Do heat-maps change when what the model has learnt is destroyed?

The sanity check of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018. Weights are
destroyed by shuffling each tensor, which keeps its values and destroys only where they stand. Maps
are compared at the resolution of the feature map.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skin_lesion.evaluation.explanation_figures import RandomisationFigures
from skin_lesion.evaluation.map_likeness import Likeness, joined, likeness
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.explain.gradcam import Heat, hires_cam
from skin_lesion.modeling.backbones import BACKBONES, block_of, group_blocks, spec_of
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.modeling.classifier import HEAD_LAYERS

if TYPE_CHECKING:
    import keras

Classes = NDArray[np.int64]

_HEAD, _CASCADE, _UNRELATED = 61, 62, 63


def head_randomisation(
    features: NDArray[np.float32],
    kernel: NDArray[np.float32],
    class_index: Classes,
    *,
    repeats: int,
    seed: int,
) -> Likeness:
    """Shuffle the classification layer alone; needs no Keras.

    Args:
        features: Last feature maps, shape (N, h, w, C).
        kernel: Weights of the classification layer, shape (C, 7).
        class_index: Class explained in each picture, shape (N,).
        repeats: Shuffles.
        seed: Equal seeds shuffle alike.
    """
    trained = evidence(features, kernel, class_index)
    random = np.random.default_rng([seed, _HEAD])
    return joined(
        [
            likeness("logits", trained, evidence(features, shuffled(kernel, random), class_index))
            for _ in range(repeats)
        ]
    )


def model_randomisation(
    bundle: ModelBundle,
    pixels: NDArray[np.uint8],
    class_index: Classes,
    *,
    repeats: int,
    batch_size: int,
    seed: int,
) -> list[Likeness]:
    """Shuffle the Keras model from the classification layer downwards, one more block at a time.

    Args:
        bundle: The model.
        pixels: RGB, shape (N, H, W, 3); a few dozen will do, for each stage is a forward pass.
        class_index: Class explained in each picture, shape (N,).
        repeats: Cascades; one alone depends much on its luck.
        batch_size: Pictures at a time; it bounds memory and changes no result.
        seed: Equal seeds shuffle alike.

    Returns:
        One for each stage, from `logits` to the block nearest to the picture.
    """
    import keras

    model = keras.models.load_model(bundle.keras_path, compile=False)
    network = keras.Model(model.inputs, model.get_layer("features").output)
    stages = list(cascade_stages(model, bundle.contract.backbone))
    learnt = {layer.name: layer.get_weights() for _, layers in stages for layer in layers}

    def maps() -> list[Heat]:
        features = network.predict(pixels, batch_size=batch_size, verbose=0).astype(np.float32)
        return evidence(features, model.get_layer("logits").get_weights()[0], class_index)

    trained = maps()
    found: list[list[Likeness]] = [[] for _ in stages]
    for repeat in range(repeats):
        random = np.random.default_rng([seed, _CASCADE, repeat])
        for position, (name, layers) in enumerate(stages):
            for layer in layers:
                layer.set_weights([shuffled(weights, random) for weights in layer.get_weights()])
            found[position].append(likeness(name, trained, maps()))
        for _, layers in stages:
            for layer in layers:
                layer.set_weights(learnt[layer.name])
    return [joined(stage) for stage in found]


def cascade_stages(
    model: "keras.Model", backbone: str
) -> "Iterator[tuple[str, list[keras.layers.Layer]]]":
    """What is shuffled at each stage, from the classification layer to the picture.

    Args:
        model: With a layer `logits`.
        backbone: Its name; the layers of an unknown one are stages by themselves.

    Yields:
        Name of the stage and its layers. Scaling of the pixels, which is not learnt, is in none.
    """
    import keras

    yield "logits", [model.get_layer("logits")]
    body = [
        layer
        for layer in model.layers
        if layer.weights
        and layer.name not in HEAD_LAYERS
        and not isinstance(layer, keras.layers.Normalization)
    ]
    if backbone not in BACKBONES:
        yield from ((layer.name, [layer]) for layer in reversed(body))
        return
    family = spec_of(backbone).family
    for block in group_blocks(body, backbone):
        names = (block_of(layer.name, family) for layer in block)
        yield next((name for name in names if name), block[0].name), block


def randomisation_figures(
    bundle: ModelBundle | None,
    pixels: NDArray[np.uint8],
    features: NDArray[np.float32],
    kernel: NDArray[np.float32],
    class_index: Classes,
    resamples: Resamples,
    *,
    repeats: int,
    batch_size: int,
    goal: float,
    seed: int,
) -> RandomisationFigures:
    """The whole check on N pictures.

    Args:
        bundle: For the cascade, which loads Keras; None leaves it out.
        pixels: RGB, shape (N, H, W, 3).
        features: Last feature maps, shape (N, h, w, C).
        kernel: Weights of the classification layer, shape (C, 7).
        class_index: Class explained in each picture, shape (N,).
        resamples: Of these pictures.
        repeats: Randomised models.
        batch_size: Pictures at a time in Keras.
        goal: Largest rank correlation that is accepted of the fully randomised model.
        seed: Of the shuffles.
    """
    head = head_randomisation(features, kernel, class_index, repeats=repeats, seed=seed)
    cascade = (
        model_randomisation(
            bundle, pixels, class_index, repeats=repeats, batch_size=batch_size, seed=seed
        )
        if bundle is not None
        else []
    )
    stages = tuple(stage.figures(resamples) for stage in cascade)
    last = (stages[-1] if stages else head.figures(resamples)).rank_correlation.value
    return RandomisationFigures(
        n_images=len(features),
        n_lesions=resamples.lesions() or 0,
        map_height=features.shape[1],
        map_width=features.shape[2],
        repeats=repeats,
        unrelated=unrelated_pictures(
            features, kernel, class_index, repeats=repeats, seed=seed
        ).figures(resamples),
        head=head.figures(resamples),
        cascade=stages,
        goal=goal,
        reached=None if last is None else last <= goal,
    )


def unrelated_pictures(
    features: NDArray[np.float32],
    kernel: NDArray[np.float32],
    class_index: Classes,
    *,
    repeats: int,
    seed: int,
) -> Likeness:
    """Compare each map with that of another picture, both of the trained model.

    Args:
        features: Last feature maps, shape (N, h, w, C).
        kernel: Weights of the classification layer, shape (C, 7).
        class_index: Class explained in each picture, shape (N,).
        repeats: Times that pictures are paired.
        seed: Of the pairs.
    """
    maps = evidence(features, kernel, class_index)
    if len(maps) < 2:
        nothing = np.full((1, len(maps)), np.nan)
        return Likeness("unrelated pictures", nothing, nothing)
    random = np.random.default_rng([seed, _UNRELATED])
    pairings = []
    for _ in range(repeats):
        circle = random.permutation(len(maps))
        partner = np.empty_like(circle)
        partner[circle] = np.roll(circle, 1)  # nobody meets themselves
        others = [maps[i] for i in partner]
        pairings.append(likeness("unrelated pictures", maps, others))
    return joined(pairings)


def evidence(
    features: NDArray[np.float32], kernel: NDArray[np.float32], class_index: Classes
) -> list[Heat]:
    """Signed evidence for a class of each picture, N maps of shape (h, w)."""
    pairs = zip(features, class_index.tolist(), strict=True)
    return [hires_cam(one, kernel, index) for one, index in pairs]


def shuffled(weights: NDArray[np.floating], random: np.random.Generator) -> NDArray[np.floating]:
    """The same values, each anywhere in the tensor."""
    return random.permutation(weights.ravel()).reshape(weights.shape)
