"""The parts of the recipe inside the two phases: what is judged and kept, and how pictures grow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from skin_lesion.data.loader import TrainingBatches
from skin_lesion.labels import LABELS
from skin_lesion.modeling import learner
from skin_lesion.modeling.classifier import build_classifier
from skin_lesion.modeling.epochs import validation_metrics
from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.train import (
    FROZEN_WARMUP,
    WHOLE_WARMUP,
    RunContext,
    TrainedPhase,
    TrainingData,
    train_finetune,
    train_warmup,
)
from skin_lesion.settings import (
    AugmentConfig,
    BackboneConfig,
    FinetuneConfig,
    SizeStage,
    WarmupConfig,
)

from .conftest import MakeData
from .published_weights import published_weights

TINY = {"name": "mobilenet", "feature_layer": "conv_pw_2_relu"}
SCRATCH = BackboneConfig(weights="none", batchnorm_momentum=0.8, **TINY)
AVERAGED = {"ema_decay": 0.9, "ema_every": 1}
HALF = SizeStage(share=0.5, height=32, width=32)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> BackboneConfig:
    path = published_weights("mobilenet", tmp_path_factory.mktemp("weights") / "m.weights.h5")
    return BackboneConfig(weights="path", path=str(path), **TINY)


def judged_again(phase: TrainedPhase, data: TrainingData) -> dict[str, float]:
    """Validation figures of the model that was kept."""
    model = keras.saving.load_model(phase.model.path, compile=False)
    rows = data.split.indices("val")
    labels = (
        data.split.rows["dx"].map({label: i for i, label in enumerate(LABELS)}).to_numpy()[rows]
    )
    logits = model.predict(np.asarray(data.images.open()[rows]), verbose=0)
    return validation_metrics(logits, labels)


def watch(monkeypatch: pytest.MonkeyPatch, see: Callable[[TrainingBatches], None]) -> None:
    """Have every epoch's batches seen before they are learnt from."""
    real = learner.train_epoch

    def spy(
        trainer: keras.Model, batches: TrainingBatches, workers: int, **others: Any
    ) -> dict[str, float]:
        see(batches)
        return real(trainer, batches, workers, **others)

    monkeypatch.setattr(learner, "train_epoch", spy)


def test_an_epoch_is_judged_by_the_average_and_the_average_is_kept(make_data: MakeData) -> None:
    data = make_data()
    config = WarmupConfig(epochs=2, learning_rate=5e-3, batch_size=8, **AVERAGED)
    averaged = train_warmup(data, SCRATCH, config)
    plain = train_warmup(data, SCRATCH, config.model_copy(update={"ema_decay": None}))
    for phase in (averaged, plain):
        recorded = phase.history.records[-1].metrics
        assert judged_again(phase, data)["val_loss"] == pytest.approx(
            recorded["val_loss"], rel=1e-4
        )
    for a, b in zip(averaged.history.records, plain.history.records, strict=True):
        assert a.metrics["loss"] == pytest.approx(b.metrics["loss"], rel=1e-3), "no step changes"
    heads = [
        keras.saving.load_model(x.model.path, compile=False).get_layer("logits").get_weights()[0]
        for x in (averaged, plain)
    ]
    assert np.abs(heads[0] - heads[1]).max() > 1e-3


def test_the_average_survives_changes_of_the_free_blocks(
    pretrained: BackboneConfig,
    make_data: MakeData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is what an average comes to that is kept beside the training and never begins anew."""
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8, **AVERAGED))
    start = keras.saving.load_model(warm.model.path, compile=False).get_weights()
    beside = [np.asarray(array, np.float64) for array in start]
    free: list[int] = []
    updates = 0
    real = learner.train_epoch

    def spy(
        trainer: keras.Model,
        batches: TrainingBatches,
        workers: int,
        after_batch: Callable[[int], None],
    ) -> dict[str, float]:
        def after(number: int) -> None:
            nonlocal updates
            after_batch(number)
            updates += 1
            kept = min(AVERAGED["ema_decay"], (1 + updates) / (10 + updates))
            for average, array in zip(beside, trainer.get_weights(), strict=True):
                average += (array - average) * (1 - kept)

        free.append(len(trainer.trainable_variables))
        return real(trainer, batches, workers, after)

    monkeypatch.setattr(learner, "train_epoch", spy)
    config = FinetuneConfig(
        epochs=4,
        learning_rate=1e-3,
        unfreeze_epochs=3,
        batch_size=8,
        train_batchnorm=True,
        **AVERAGED,
    )
    train_finetune(data, warm.model, config, RunContext(tmp_path / "c"))
    assert free[0] < free[1] < free[2] == free[3]
    assert updates > len(free)
    (newest,) = (tmp_path / "c").glob("*/finetune/4")
    with np.load(newest / "model.npz") as judged, np.load(newest / "learning.npz") as behind:
        off, apart = (
            max(float(np.abs(kept[str(n)] - average).max()) for n, average in enumerate(beside))
            for kept in (judged, behind)
        )
    assert off < 1e-5 < 1e-3 < apart, "it is that average, and no weights that learnt come near it"


@pytest.mark.parametrize("average", [{}, AVERAGED], ids=["weights", "average"])
def test_pictures_grow_and_every_epoch_is_judged_at_full_size(
    average: dict[str, Any], make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    watch(monkeypatch, lambda batches: shapes.append(batches[0][0]["image"].shape[1:3]))
    data = make_data(size=(48, 64))
    config = WarmupConfig(epochs=4, learning_rate=5e-3, batch_size=8, sizes=(HALF,), **average)
    kept = train_warmup(data, SCRATCH, config, RunContext(tmp_path / "c"))
    assert shapes == [(32, 32), (32, 32), (48, 64), (48, 64)]
    recorded = kept.history.records[-1].metrics["val_loss"]
    assert judged_again(kept, data)["val_loss"] == pytest.approx(recorded, rel=1e-4)
    model = keras.saving.load_model(kept.model.path, compile=False)
    assert model.input.shape[1:3] == (48, 64)


class OtherSize(tuple[int, int]):
    """A size that the learner takes for another one, though the pictures are the same."""

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = tuple.__hash__


def test_weights_and_optimizer_go_on_where_the_size_changes(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network built anew for pictures that do not change has to end like one that stays."""
    data = make_data()
    config = WarmupConfig(epochs=4, learning_rate=5e-3, batch_size=8, weight_decay=0.01)
    ends = [train_warmup(data, SCRATCH, config)]
    other, real = OtherSize((32, 32)), Phase.size
    monkeypatch.setattr(learner, "resized", lambda images, size, folder: images)
    monkeypatch.setattr(
        Phase, "size", lambda self, epoch: other if epoch < 2 else real(self, epoch)
    )
    built: list[object] = []
    monkeypatch.setattr(
        learner, "build_classifier", lambda *args: built.append(args[1]) or build_classifier(*args)
    )
    ends.append(train_warmup(data, SCRATCH, config))
    assert built == [other]
    for a, b in zip(*(end.history.records for end in ends), strict=True):
        assert a.metrics["val_loss"] == pytest.approx(b.metrics["val_loss"], rel=1e-3)
        assert a.learning_rate == b.learning_rate


def test_a_size_above_that_of_the_pictures_is_named(make_data: MakeData) -> None:
    config = WarmupConfig(epochs=2, sizes=(HALF.model_copy(update={"height": 64}),))
    with pytest.raises(ValueError, match="32x32 cannot be reduced to 64x32"):
        train_warmup(make_data(), SCRATCH, config)


def test_mixing_is_off_in_the_last_epochs(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixing: list[bool] = []
    watch(monkeypatch, lambda batches: mixing.append(batches.mixing))
    data = make_data(policy=AugmentConfig(mix_probability=1.0))
    train_warmup(data, SCRATCH, WarmupConfig(epochs=3, batch_size=8, unmixed_epochs=1))
    assert mixing == [True, True, False]


def test_a_pretrained_backbone_may_learn_from_the_first_step(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    data = make_data()
    config = WarmupConfig(epochs=1, batch_size=8, learning_rate=1e-3)
    frozen = train_warmup(data, pretrained, config)
    whole = train_warmup(data, pretrained, config.model_copy(update={"train_backbone": True}))
    assert frozen.history.description == FROZEN_WARMUP
    assert whole.history.description == WHOLE_WARMUP
    assert whole.history.trainable_parameters > frozen.history.trainable_parameters
    models = [keras.saving.load_model(x.model.path, compile=False) for x in (frozen, whole)]
    for name in ("conv1", "conv1_bn"):
        for a, b in zip(*(m.get_layer(name).get_weights() for m in models), strict=True):
            assert not np.allclose(a, b, atol=1e-6), f"{name} learns"


def test_discriminative_rates_reach_the_optimizer_of_the_phase(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    """At a decay this steep only the head moves, though every block is free."""
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    config = FinetuneConfig(
        epochs=1, learning_rate=1e-2, unfreeze_epochs=0, layer_rate_decay=1e-6, batch_size=8
    )
    tuned = train_finetune(data, warm.model, config)
    before, after = (
        keras.saving.load_model(model.path, compile=False) for model in (warm.model, tuned.model)
    )
    kernel = [m.get_layer("conv_pw_2").get_weights()[0] for m in (before, after)]
    head = [m.get_layer("logits").get_weights()[0] for m in (before, after)]
    assert np.abs(kernel[0] - kernel[1]).max() < 1e-6
    assert np.abs(head[0] - head[1]).max() > 1e-3


@pytest.mark.parametrize("imbalance", ["balanced_sampling", "focal", "logit_adjustment", "none"])
def test_every_correction_of_imbalance_trains(imbalance: str, make_data: MakeData) -> None:
    data = make_data(policy=AugmentConfig(imbalance=imbalance))
    config = WarmupConfig(epochs=3, learning_rate=5e-3, batch_size=8)
    losses = [r.metrics["loss"] for r in train_warmup(data, SCRATCH, config).history.records]
    assert losses[-1] < losses[0]


def test_melanomas_are_ranked_against_all_other_classes() -> None:
    labels = np.array([4, 4, 0, 5, 6])
    logits = np.zeros((5, 7), np.float32)
    logits[:, 4] = [3, 1, 2, 0, -1]  # of six pairs one is the wrong way round
    assert validation_metrics(logits, labels)["val_melanoma_auc"] == pytest.approx(5 / 6)
    for without in (np.array([0, 1, 2, 3, 5]), np.full(5, 4)):
        assert "val_melanoma_auc" not in validation_metrics(logits, without)
