"""The network, and the two phases that train it."""

import itertools
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from skin_lesion.settings.base import Settings

Phase = Literal["warmup", "finetune"]


class BackboneConfig(Settings):
    """The convolutional network below the classification head.

    Attributes:
        name: One of `skin_lesion.modeling.backbones.BACKBONES`.
        weights: `imagenet` (downloaded once), `none` (random) or `path`: a `.weights.h5` file.
        path: That file; where it is None the environment's `BACKBONE_WEIGHTS` is used.
        sha256: Expected checksum of that file; None accepts any file and records its checksum.
        feature_layer: Cut the backbone at this layer; None keeps all of it.
        feature_levels: Earlier layers whose maps the head sees as well: finer structure beside the
            more abstract kind.
        colour_constancy: The graph's first operation. `shades_of_grey` takes the tint of the light
            out of every picture by its Minkowski mean of order 6 (Finlayson and Trezzi, 2004), in
            training and in every answer; the brightness stays.
        stochastic_depth: Share of the pictures for which the last skip connection of the network is
            all that is left of its block while it trains; earlier blocks have proportionately less.
            None keeps what the network was published with, 0 drops nothing.
        mirror: Address to download from instead of the publisher's.
        batchnorm_momentum: Share that the moving statistics of BatchNorm keep at each step; training
            from scratch in a few hundred steps wants less than the customary 0.99, or inference
            would still use statistics of the random network.
    """

    name: str = "efficientnet_b4"
    weights: Literal["imagenet", "none", "path"] = "imagenet"
    path: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    feature_layer: str | None = None
    feature_levels: tuple[str, ...] = ()
    colour_constancy: Literal["none", "shades_of_grey"] = "none"
    stochastic_depth: float | None = Field(default=None, ge=0.0, lt=1.0)
    mirror: str | None = None
    batchnorm_momentum: float = Field(default=0.99, ge=0.0, lt=1.0)

    @property
    def pretrained(self) -> bool:
        """Whether training starts from learnt weights."""
        return self.weights != "none"

    @model_validator(mode="after")
    def _name_each_layer_once(self) -> Self:
        named = [*self.feature_levels, self.feature_layer]
        twice = sorted({name for name in named if name and named.count(name) > 1})
        if twice:
            raise ValueError(
                f"feature_levels and feature_layer name {', '.join(twice)} more than once; the head "
                "sees each map once"
            )
        return self


class SizeStage(Settings):
    """A part of a phase that trains on smaller pictures.

    Attributes:
        share: Share of the phase's epochs.
        height: Height of the pictures in pixels.
        width: Width of them.
    """

    share: float = Field(gt=0.0, lt=1.0)
    height: int = Field(ge=32)
    width: int = Field(ge=32)


class TrainConfig(Settings):
    """What both training phases share.

    Attributes:
        epochs: Passes over the training images.
        learning_rate: Peak rate.
        final_learning_rate_share: The cosine schedule ends at this share of the peak; 1 keeps the
            rate constant.
        rise_epochs: The rate rises linearly from 0 during this many epochs.
        weight_decay: Decoupled weight decay of AdamW; never applied to biases and BatchNorm.
        batch_size: Images in a step.
        accumulation_steps: Batches whose mean gradient makes one update of the weights.
        ema_decay: Share that the exponential moving average of the weights keeps at each update.
            Epochs are judged by the average, and it is what is kept; None keeps the weights
            themselves.
        ema_every: Updates between two steps of that average, which then makes up for all of them.
        unmixed_epochs: Last epochs of the phase, in which MixUp and CutMix rest, so that training
            ends on pictures as they will be seen.
        sizes: Progressive resizing: smaller pictures first, each for its share of the epochs; the
            rest of the phase trains at full size. Epochs are judged at full size throughout.
        label_smoothing: Probability mass spread evenly over the classes.
        dropout: Rate before the classification layer.
        gradient_clip_norm: Largest global norm of the gradient; None leaves it alone.
        precision: Keras dtype policy of the training computation.
        jit_compile: Compile with XLA: None leaves it to JAX; TensorFlow never does, since it has no
            XLA kernel for the augmentation.
        workers: Loader threads; 0 loads in the training thread.
        devices: Devices of the machine that share each batch: None is one, `all` every one. The
            batch size is that of all together, and a multiple of their number.
    """

    epochs: int = Field(default=30, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0.0)
    final_learning_rate_share: float = Field(default=1.0, ge=0.0, le=1.0)
    rise_epochs: float = Field(default=0.0, ge=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    batch_size: int = Field(default=32, ge=2)
    accumulation_steps: int = Field(default=1, ge=1)
    ema_decay: float | None = Field(default=None, gt=0.0, lt=1.0)
    ema_every: int = Field(default=4, ge=1)
    unmixed_epochs: int = Field(default=0, ge=0)
    sizes: tuple[SizeStage, ...] = ()
    label_smoothing: float = Field(default=0.05, ge=0.0, lt=1.0)
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    gradient_clip_norm: float | None = Field(default=1.0, gt=0.0)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool | None = None
    workers: int = Field(default=1, ge=0)
    devices: Annotated[int, Field(ge=1)] | Literal["all"] | None = None

    @model_validator(mode="after")
    def _grow_to_full_size(self) -> Self:
        total = sum(stage.share for stage in self.sizes)
        if total >= 1.0:
            raise ValueError(
                f"the shares of sizes add up to {total:g}; they have to stay below 1 so that epochs "
                "at full size are left"
            )
        shapes = [(stage.height, stage.width) for stage in self.sizes]
        for (height, width), (taller, wider) in itertools.pairwise(shapes):
            if taller < height or wider < width or (taller, wider) == (height, width):
                raise ValueError(
                    f"sizes goes from {height}x{width} to {taller}x{wider}; pictures may only grow"
                )
        return self


class WarmupConfig(TrainConfig):
    """The first phase.

    With pretrained weights the backbone is frozen and only the head learns. Without them the whole
    network trains at a rising rate, since a frozen random backbone would teach nothing.

    Attributes:
        train_backbone: The whole network learns from the first step, its BatchNorm with it, though
            it has pretrained weights.
    """

    train_backbone: bool = False


class FinetuneConfig(TrainConfig):
    """The second phase.

    Attributes:
        unfreeze_epochs: Progressive unfreezing: blocks are freed from the output towards the input
            in even portions over this many epochs; 0 frees everything at once.
        frozen_blocks: Blocks next to the input that stay frozen throughout.
        train_batchnorm: Whether BatchNorm of unfrozen blocks learns and updates its statistics;
            False keeps it in inference mode.
        layer_rate_decay: Discriminative rates: each block of the backbone learns at this share of
            the rate of the block above it, and the first at this share of the head's; 1 has all of
            them learn at one rate.
        patience: Epochs without a better validation macro F1 before training stops; those on smaller
            pictures do not count.
    """

    epochs: int = Field(default=40, ge=1)
    learning_rate: float = Field(default=3e-6, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    unfreeze_epochs: int = Field(default=10, ge=0)
    frozen_blocks: int = Field(default=0, ge=0)
    train_batchnorm: bool = False
    layer_rate_decay: float = Field(default=1.0, gt=0.0, le=1.0)
    patience: int = Field(default=10, ge=1)
