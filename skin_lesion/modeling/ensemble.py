"""Several trained classifiers as one network that averages their logits.

Above the last feature map of a member m, of C channels, there are only global average pooling and
one dense layer: `logits_m = mean(A_m) @ W_m + b_m`. The mean of M such members is again of that form,
with the feature maps one behind the other and the dense layers one below the other:

    mean_m(logits_m) = mean([A_1 … A_M]) @ [W_1; …; W_M] / M + mean_m(b_m)

So an ensemble is one classifier with M * C channels. It is exported, served, explained and registered
like any other, and its class activation map, in closed form as before, is the mean of the members'.

Averaging logits is averaging probabilities geometrically: a class that any member holds to be
impossible is unlikely for the ensemble, too.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.split_table import SplitTable
from skin_lesion.labels import LABEL_INDEX, NUM_CLASSES
from skin_lesion.modeling.bundle import EnsembleMember
from skin_lesion.modeling.epochs import validation_metrics
from skin_lesion.modeling.history import History
from skin_lesion.modeling.train import WarmupModel
from skin_lesion.modeling.trained import save_model
from skin_lesion.modeling.weights import PLACES

if TYPE_CHECKING:
    import keras


def join_members(members: Sequence[WarmupModel]) -> WarmupModel:
    """Make one classifier of trained members.

    Args:
        members: At least two, of one backbone and for pictures of one size.

    Returns:
        A handle on a model in a temporary folder of its own. `epochs` are those of all members.

    Raises:
        ValueError: Fewer than two members, or members that do not fit together.
        DiskFullError: There is no room for it.
    """
    if len(members) < 2:
        raise ValueError(f"got {len(members)} members; an ensemble has at least 2")
    first = members[0]
    for number, member in enumerate(members[1:], 2):
        _check_alike(first, member, number)
    joined = build_ensemble([_load(member.path) for member in members])
    workspace = tempfile.TemporaryDirectory(prefix="skin-lesion-")
    path = Path(workspace.name) / "model.keras"
    save_model(joined, path)
    epochs = sum(member.epochs for member in members)
    codes = tuple(code for member in members for code in member.trained_by)
    return WarmupModel(path, first.backbone, first.pretrained_on, epochs, workspace, codes)


def build_ensemble(models: "Sequence[keras.Model]") -> "keras.Model":
    """Put classifiers into one flat graph that averages their logits.

    Args:
        models: Made by `skin_lesion.modeling.classifier.build_classifier`, for pictures of one size.
            They stay as they are.

    Returns:
        A model from `image` (n, height, width, 3) `uint8` to `logits` (n, 7), whose layer `features`
        gives the members' last feature maps one behind the other, (n, h, w, M * C). The layers of
        member i are called as in that member with `_member<i>` behind, so that whoever goes by the
        beginning of a name finds the same block of every member.

    Raises:
        ValueError: The members take pictures of different sizes, or give maps of different sizes.
    """
    import keras

    sizes = {model.input.shape[1:] for model in models}
    if len(sizes) != 1:
        raise ValueError(
            f"members take pictures of {sorted(sizes)}; expected one size (height, width, channels)"
        )
    image = keras.Input(sizes.pop(), dtype="uint8", name="image")
    maps = [_add_member(model, image, number) for number, model in enumerate(models, 1)]
    grids = {tuple(one.shape[1:3]) for one in maps}
    if len(grids) != 1:
        raise ValueError(f"members give feature maps of {sorted(grids)}; expected one size")
    features = keras.layers.Concatenate(name="features", dtype="float32")(maps)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool", dtype="float32")(features)
    head = keras.layers.Dense(NUM_CLASSES, name="logits", dtype="float32")
    ensemble = keras.Model(image, head(pooled), name="classifier")
    head.set_weights(_joined_head([model.get_layer("logits").get_weights() for model in models]))
    return ensemble


def judge_members(
    members: Sequence[WarmupModel], images: ImageArray, split: SplitTable, batch_size: int = 32
) -> tuple[float, ...]:
    """Macro F1 of each member alone on the validation split, which none of them has seen.

    Args:
        members: As for `join_members`.
        images: Pictures of the whole data set.
        split: The outer split.
        batch_size: Pictures at a time; it bounds memory and changes no result.
    """
    rows = split.indices("val")
    labels = np.array([LABEL_INDEX[dx] for dx in split.rows["dx"].to_numpy()[rows]], np.int64)
    pixels = images.open()
    scores = []
    for member in members:
        model = _load(member.path)
        logits = [
            model.predict_on_batch(np.asarray(pixels[rows[start : start + batch_size]]))
            for start in range(0, len(rows), batch_size)
        ]
        scores.append(validation_metrics(np.concatenate(logits), labels)["val_macro_f1"])
    return tuple(scores)


def describe_members(
    histories: Sequence[History], split_hashes: Sequence[str], alone: Sequence[float]
) -> tuple[EnsembleMember, ...]:
    """What a contract states of the members.

    Args:
        histories: The last phase of each member.
        split_hashes: Of the fold of each.
        alone: From `judge_members`.
    """
    return tuple(
        EnsembleMember(
            fold=number,
            training_run_id=history.mlflow_run_id,
            split_hash=split_hash,
            epoch_kept=history.best_epoch + 1,
            val_macro_f1=kept_metrics(history)["val_macro_f1"],
            alone_macro_f1=score,
        )
        for number, (history, split_hash, score) in enumerate(
            zip(histories, split_hashes, alone, strict=True), 1
        )
    )


def kept_metrics(history: History) -> dict[str, float]:
    """Figures of the epoch whose weights were kept."""
    return next(one.metrics for one in history.records if one.epoch == history.best_epoch)


def _load(path: Path) -> "keras.Model":
    import keras

    return keras.saving.load_model(path, compile=False)


def _check_alike(first: WarmupModel, member: WarmupModel, number: int) -> None:
    mine, yours = (
        {**one.backbone.model_dump(exclude=set(PLACES)), "pretrained_on": one.pretrained_on}
        for one in (first, member)
    )
    differing = [name for name in mine if mine[name] != yours[name]]
    if differing:
        told = "; ".join(f"{name} is {yours[name]!r}, not {mine[name]!r}" for name in differing)
        raise ValueError(
            f"member {number} does not fit member 1: {told}. Members of an ensemble are trained "
            "with one configuration"
        )


def _add_member(
    model: "keras.Model", image: "keras.KerasTensor", number: int
) -> "keras.KerasTensor":
    """Copy a member onto the shared pixels, weights included.

    Returns:
        Its last feature map, symbolic (n, h, w, C).
    """
    import keras

    copies: list[tuple[Any, Any]] = []
    body = keras.Model(model.input, model.get_layer("features").output)
    copy = keras.models.clone_model(
        body, input_tensors=image, clone_function=_renamer(number, copies)
    )
    for old, new in copies:
        if isinstance(old, keras.Layer) and old.weights:
            new.set_weights(old.get_weights())
        if isinstance(new, keras.layers.Normalization):
            new.finalize_state()  # it computes with copies of its weights
    return copy.output


def _renamer(number: int, copies: list[tuple[Any, Any]]) -> Callable[[Any], Any]:
    """How an operation of a member is copied; what was copied is put into `copies`."""

    def copy(operation: Any) -> Any:
        config = operation.get_config() | {"name": f"{operation.name}_member{number}"}
        new = type(operation).from_config(config)
        copies.append((operation, new))
        return new

    return copy


def _joined_head(heads: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Kernel (M * C, 7) and bias (7,) of the joint dense layer; computed in double precision."""
    kernels = [np.asarray(kernel, np.float64) / len(heads) for kernel, _ in heads]
    biases = [np.asarray(bias, np.float64) for _, bias in heads]
    return [
        np.concatenate(kernels).astype(np.float32),
        np.mean(biases, axis=0).astype(np.float32),
    ]
