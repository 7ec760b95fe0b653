"""Backbone and head as one flat functional graph, from pixels to logits.

The graph scales its pixels itself: every caller feeds `uint8` from 0 to 255 and nobody divides.
"""

from typing import TYPE_CHECKING

from skin_lesion.labels import NUM_CLASSES
from skin_lesion.modeling.backbones import build_backbone, group_blocks
from skin_lesion.settings import BackboneConfig

if TYPE_CHECKING:
    import keras

HEAD_LAYERS = ("levels", "features", "pool", "dropout", "logits")


def build_classifier(
    backbone: BackboneConfig,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    precision: str = "float32",
) -> "keras.Model":
    """Build the classifier with random weights.

    Global average pooling and one dense layer are all there is above the last feature map, so that
    the class activation map is exact in closed form (`skin_lesion.explain.gradcam`).

    Args:
        backbone: Which backbone, where it is cut, and its other options.
        image_size: Height and width of the pictures in pixels.
        dropout: Rate before the classification layer.
        precision: Keras dtype policy of everything but the logits, which are float32.

    Returns:
        A model from `image` (n, height, width, 3) `uint8` to `logits` (n, 7). Its layer `features`
        gives the last feature map, those of earlier levels included.

    Example:
        >>> model = build_classifier(BackboneConfig(name="mobilenet", weights="none"), (96, 128))
        >>> model(np.zeros((1, 96, 128, 3), np.uint8)).shape
        (1, 7)
    """
    import keras

    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        image = keras.Input((*image_size, 3), dtype="uint8", name="image")
        x = build_backbone(backbone, image)
        x = keras.layers.Activation("linear", name="features")(x)
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dropout(dropout, name="dropout")(x)
        logits = keras.layers.Dense(NUM_CLASSES, name="logits", dtype="float32")(x)
        return keras.Model(image, logits, name="classifier")
    finally:
        keras.config.set_dtype_policy(previous)


def build_trainer(classifier: "keras.Model") -> "keras.Model":
    """Put geometry and colour of the augmentation before a classifier, for training alone.

    Returns:
        A model with the inputs that `skin_lesion.data.loader.TrainingBatches` yields. It shares its
        weights with `classifier`.
    """
    import keras

    from skin_lesion.data.pixel_ops import augment

    image = keras.Input(classifier.input.shape[1:], dtype="uint8", name="image")
    geometry = keras.Input((8,), dtype="float32", name="geometry")
    colour = keras.Input((3,), dtype="float32", name="colour")
    pixels = keras.ops.cast(augment(image, geometry, colour), "uint8")
    inputs = {"image": image, "geometry": geometry, "colour": colour}
    return keras.Model(inputs, classifier(pixels), name="trainer")


def backbone_blocks(classifier: "keras.Model", name: str) -> "list[list[keras.layers.Layer]]":
    """Blocks of the backbone inside a classifier, from the output to the input.

    Args:
        classifier: Made by `build_classifier`.
        name: Name of the backbone.
    """
    body = [layer for layer in classifier.layers if layer.name not in HEAD_LAYERS]
    return group_blocks(body, name)


def set_trainable_blocks(
    classifier: "keras.Model", name: str, blocks: int, *, train_batchnorm: bool
) -> None:
    """Free the `blocks` blocks nearest to the output, freeze the others; the head always learns.

    A frozen BatchNorm layer runs in inference mode: Keras neither updates its statistics nor uses
    those of the batch.

    Args:
        classifier: Made by `build_classifier`; changed in place.
        name: Name of the backbone.
        blocks: Number of blocks to free.
        train_batchnorm: Whether BatchNorm inside freed blocks learns, too.
    """
    import keras

    for position, block in enumerate(backbone_blocks(classifier, name)):
        for layer in block:
            is_batchnorm = isinstance(layer, keras.layers.BatchNormalization)
            layer.trainable = position < blocks and (train_batchnorm or not is_batchnorm)
