"""The two phases: what learns, what is kept, and what happens when they are interrupted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from skin_lesion.data.loader import TrainingBatches
from skin_lesion.modeling.checkpoints import CheckpointStore
from skin_lesion.modeling.classifier import (
    build_classifier,
    build_trainer,
    set_trainable_blocks,
)
from skin_lesion.modeling.epochs import compile_trainer, train_epoch, validation_metrics
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.train import (
    SCRATCH_WARMUP,
    RunContext,
    TrainingDivergedError,
    WarmupModel,
    train_finetune,
    train_warmup,
)
from skin_lesion.settings import AugmentConfig, BackboneConfig, FinetuneConfig, WarmupConfig

from .conftest import MakeData
from .published_weights import published_weights

TINY = {"name": "mobilenet", "feature_layer": "conv_pw_2_relu"}
SCRATCH = BackboneConfig(weights="none", batchnorm_momentum=0.8, **TINY)
GENTLE = AugmentConfig(mix_probability=0.0, rotation=10, brightness=0, saturation=0)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> BackboneConfig:
    path = published_weights("mobilenet", tmp_path_factory.mktemp("weights") / "m.weights.h5")
    return BackboneConfig(weights="path", path=str(path), **TINY)


def backbone_weights(path: Path) -> list[np.ndarray]:
    model = keras.saving.load_model(path, compile=False)
    return [w for x in model.layers if x.name != "logits" for w in x.get_weights()]


def test_warmup_leaves_backbone_and_batchnorm_statistics_untouched(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    data = make_data()
    one = train_warmup(data, pretrained, WarmupConfig(epochs=1, learning_rate=0.1, batch_size=8))
    two = train_warmup(data, pretrained, WarmupConfig(epochs=3, learning_rate=0.1, batch_size=8))
    for a, b in zip(
        backbone_weights(one.model.path), backbone_weights(two.model.path), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    heads = [
        keras.saving.load_model(x.model.path, compile=False).get_layer("logits").get_weights()[0]
        for x in (one, two)
    ]
    assert not np.allclose(*heads), "the head learns"


def test_without_pretrained_weights_the_whole_network_learns_and_is_named_so(
    make_data: MakeData,
) -> None:
    phase = train_warmup(make_data(), SCRATCH, WarmupConfig(epochs=1, batch_size=8))
    assert phase.history.description == SCRATCH_WARMUP
    model = keras.saving.load_model(phase.model.path, compile=False)
    batchnorm = model.get_layer("conv1_bn")
    assert not np.allclose(batchnorm.moving_mean, 0), "its BatchNorm gathers statistics"
    assert phase.model.pretrained_on == "nothing"


def test_scratch_training_learns_an_easy_task(make_data: MakeData) -> None:
    data = make_data(per_class=16, policy=GENTLE)
    warm = train_warmup(data, SCRATCH, WarmupConfig(epochs=8, learning_rate=5e-3, batch_size=16))
    tuned = train_finetune(
        data, warm.model, FinetuneConfig(epochs=8, learning_rate=2e-3, batch_size=16)
    )
    best = max(r.metrics["val_macro_f1"] for r in tuned.history.records)
    assert best >= 0.7
    assert tuned.history.records[0].epoch == 8, "both phases share one axis of epochs"


def test_training_figures_are_means_over_the_epoch(make_data: MakeData) -> None:
    """At a rate too small to change anything, each batch can be judged again afterwards."""
    data = make_data(per_class=10)
    classifier = build_classifier(SCRATCH, data.image_size)
    set_trainable_blocks(classifier, SCRATCH.name, 0, train_batchnorm=False)
    trainer = build_trainer(classifier)
    compile_trainer(trainer, WarmupConfig(learning_rate=1e-12), steps_per_epoch=1)
    batches = TrainingBatches(data.images, data.split, data.plan, batch_size=8)
    found = train_epoch(trainer, batches, workers=1)
    losses = [trainer.test_on_batch(*batches[i], return_dict=True) for i in range(len(batches))]
    assert len({round(loss["loss"], 4) for loss in losses}) > 1, "batches differ"
    for name in ("loss", "accuracy"):
        assert found[name] == pytest.approx(np.mean([loss[name] for loss in losses]), rel=1e-4)


def test_finetuning_keeps_the_weights_of_the_best_epoch(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    config = FinetuneConfig(epochs=6, learning_rate=0.05, unfreeze_epochs=2, batch_size=8)
    tuned = train_finetune(data, warm.model, config)
    scores = {r.epoch: r.metrics["val_macro_f1"] for r in tuned.history.records}
    assert scores[tuned.history.best_epoch] == max(scores.values())
    model = keras.saving.load_model(tuned.model.path, compile=False)
    rows = data.split.indices("val")
    labels = np.array([0, 1, 2, 3, 4, 5, 6] * 2)
    logits = model.predict(np.asarray(data.images.open()[rows]), verbose=0)
    found = validation_metrics(logits, labels)["val_macro_f1"]
    assert found == pytest.approx(max(scores.values()))


def test_patience_stops_training(pretrained: BackboneConfig, make_data: MakeData) -> None:
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    # A rate this small changes no prediction, so no epoch is better than the first.
    config = FinetuneConfig(epochs=9, learning_rate=1e-12, patience=2, batch_size=8)
    history = train_finetune(data, warm.model, config).history
    assert len(history.records) == 3
    assert history.stopped_early


def test_progressive_unfreezing_frees_more_with_each_epoch(
    pretrained: BackboneConfig, make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skin_lesion.modeling import learner

    freed: list[int] = []
    real = learner.set_trainable_blocks

    def spy(model: keras.Model, name: str, blocks: int, *, train_batchnorm: bool) -> None:
        freed.append(blocks)
        real(model, name, blocks, train_batchnorm=train_batchnorm)

    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    monkeypatch.setattr(learner, "set_trainable_blocks", spy)
    config = FinetuneConfig(epochs=4, unfreeze_epochs=3, batch_size=8)
    train_finetune(data, warm.model, config)
    assert freed == [1, 2, 3], "conv1, block 1 and block 2, the nearest to the output first"


def test_too_many_frozen_blocks_are_refused(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    with pytest.raises(ValueError, match="frozen_blocks is 3, but mobilenet has only 3 blocks"):
        train_finetune(data, warm.model, FinetuneConfig(epochs=1, frozen_blocks=3))


def test_diverging_loss_stops_with_advice(
    make_data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    real = TrainingBatches.__getitem__

    def poisoned(self: TrainingBatches, index: int):
        inputs, targets, weights = real(self, index)
        return inputs, targets, weights * np.float32("nan")

    monkeypatch.setattr(TrainingBatches, "__getitem__", poisoned)
    with pytest.raises(TrainingDivergedError, match="lower learning_rate"):
        train_warmup(data, SCRATCH, WarmupConfig(epochs=1, batch_size=8))


class KilledError(Exception):
    """Stands for whatever ends a process."""


def test_interrupted_training_goes_on_and_ends_where_the_uninterrupted_one_does(
    pretrained: BackboneConfig, make_data: MakeData, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    data = make_data()
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8))
    config = FinetuneConfig(
        epochs=5, learning_rate=1e-3, unfreeze_epochs=3, batch_size=8, dropout=0.5
    )
    whole = train_finetune(data, warm.model, config)

    def kill(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        train_finetune(data, warm.model, config, RunContext(tmp_path / "c", on_epoch=kill))
    seen: list[int] = []
    context = RunContext(tmp_path / "c", on_epoch=lambda record: seen.append(record.epoch))
    resumed = train_finetune(data, warm.model, config, context)
    assert seen == [1, 2, 3, 4, 5], "epochs finished before are reported again, to the new run"
    for a, b in zip(whole.history.records, resumed.history.records, strict=True):
        # Threads add up floats in any order, so the ends agree closely and not to the bit.
        assert a.metrics["val_loss"] == pytest.approx(b.metrics["val_loss"], rel=1e-3)
        assert a.learning_rate == b.learning_rate


def test_half_written_checkpoint_is_never_read(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data()
    context = RunContext(tmp_path)
    config = WarmupConfig(epochs=1, batch_size=8)
    train_warmup(data, SCRATCH, config, context)
    (phase,) = tmp_path.glob("*/warmup")
    (phase / "7.partial").mkdir()
    (phase / "7.partial" / "progress.json").write_text("{")
    assert len(train_warmup(data, SCRATCH, config, context).history.records) == 1


def test_whatever_decides_the_outcome_keeps_a_checkpoint_from_being_resumed(
    make_data: MakeData, tmp_path: Path
) -> None:
    data, context = make_data(), RunContext(tmp_path / "checkpoints")
    config = WarmupConfig(epochs=1, batch_size=8)
    train_warmup(data, SCRATCH, config, context)
    relabelled = data.split.rows.assign(dx=data.split.rows["dx"].to_numpy()[::-1])
    others = [
        (data, SCRATCH, config.model_copy(update={"learning_rate": 1e-2}), context),
        (data, SCRATCH.model_copy(update={"batchnorm_momentum": 0.7}), config, context),
        (replace(data, split=replace(data.split, rows=relabelled)), SCRATCH, config, context),
        (data, SCRATCH, config, replace(context, code_version="other")),
    ]
    for count, other in enumerate(others, start=2):
        train_warmup(*other)
        assert len(list((tmp_path / "checkpoints").iterdir())) == count
    train_warmup(data, SCRATCH, config.model_copy(update={"workers": 0}), context)
    assert len(list((tmp_path / "checkpoints").iterdir())) == 5, "threads decide nothing"


def test_a_fine_tuning_is_resumed_only_by_one_of_the_same_network_and_start(
    pretrained: BackboneConfig, make_data: MakeData, tmp_path: Path
) -> None:
    """Of what follows, the weights of a frozen first phase show neither the one nor the other."""
    data, config = make_data(), FinetuneConfig(epochs=1, batch_size=8)
    first = RunContext(code_version="first")
    warm = train_warmup(data, pretrained, WarmupConfig(epochs=1, batch_size=8), first).model
    copied = tmp_path / "copied.h5"
    copied.write_bytes(Path(str(pretrained.path)).read_bytes())

    def of(**network: Any) -> WarmupModel:
        return replace(warm, backbone=pretrained.model_copy(update=network))

    trained: list[int] = []
    context = RunContext(
        tmp_path / "c", "second", on_epoch=lambda record: trained.append(record.epoch)
    )
    others = [
        (warm, config),
        (of(batchnorm_momentum=0.5), config),
        (replace(warm, epochs=2), config),
        (warm, config.model_copy(update={"learning_rate": 1e-2})),
    ]
    for count, (start, wanted) in enumerate(others, start=1):
        tuned = train_finetune(data, start, wanted, context)
        assert len(list((tmp_path / "c").glob("*/finetune"))) == count
    assert trained == [1, 1, 2, 1], "epochs are counted on from those before"
    assert tuned.model.trained_by == ("first", "second")
    train_finetune(data, of(path=str(copied)), config, context)
    assert len(list((tmp_path / "c").glob("*/finetune"))) == 4, "where a file lies decides nothing"


def test_a_finished_training_is_repeated_only_where_that_is_asked_for(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skin_lesion.modeling import learner

    trained: list[int] = []
    real = learner.train_epoch

    def spy(
        trainer: keras.Model, batches: TrainingBatches, workers: int, **others: Any
    ) -> dict[str, float]:
        trained.append(batches.epoch)
        return real(trainer, batches, workers, **others)

    monkeypatch.setattr(learner, "train_epoch", spy)
    data, context = make_data(), RunContext(tmp_path / "checkpoints")
    config = WarmupConfig(epochs=2, batch_size=8)
    afresh = replace(context, afresh=True)
    train_warmup(data, SCRATCH, config, context)
    train_warmup(data, SCRATCH, config, context)
    train_warmup(data, SCRATCH, config, afresh).delivered()
    assert trained == [0, 1], "its model had not arrived, so there was nothing to be had anew"
    train_warmup(data, SCRATCH, config, context)
    assert trained == [0, 1]
    train_warmup(data, SCRATCH, config, afresh)
    assert trained == [0, 1, 0, 1]


def test_a_model_that_was_handed_over_and_never_stored_is_not_trained_anew(
    make_data: MakeData, tmp_path: Path
) -> None:
    """Whoever asks may be killed after it has the model in hand, and before it is in the store."""
    data, config = make_data(), WarmupConfig(epochs=1, batch_size=8)
    took: list[float] = []
    killed, alive = (
        RunContext(
            tmp_path / "c",
            afresh=True,
            receiver=name,
            arrived={"killed": False, "alive": True}.__getitem__,
            on_epoch=lambda record: took.append(record.seconds),
        )
        for name in ("killed", "alive")
    )
    train_warmup(data, SCRATCH, config, killed).delivered()
    train_warmup(data, SCRATCH, config, alive).delivered()
    train_warmup(data, SCRATCH, config, killed).delivered()
    assert took[0] == took[1] != took[2], "the second is out of the first one's checkpoint"
    (store,) = (CheckpointStore(path) for path in (tmp_path / "c").glob("*/warmup"))
    assert store.receiver == "killed"


def test_an_interrupted_training_is_resumed_even_where_a_new_one_is_asked_for(
    make_data: MakeData, tmp_path: Path
) -> None:
    def kill(record: EpochRecord) -> None:
        raise KilledError

    data, config = make_data(), WarmupConfig(epochs=2, batch_size=8)
    with pytest.raises(KilledError):
        train_warmup(data, SCRATCH, config, RunContext(tmp_path / "c", on_epoch=kill))
    seconds: list[float] = []
    context = RunContext(tmp_path / "c", afresh=True, on_epoch=lambda r: seconds.append(r.seconds))
    (checkpoint,) = (tmp_path / "c").glob("*/warmup/0/progress.json")
    before = checkpoint.read_text()
    train_warmup(data, SCRATCH, config, context)
    assert f'"seconds":{seconds[0]}' in before


def test_freed_weights_start_with_steps_no_longer_than_the_rate(
    pretrained: BackboneConfig, make_data: MakeData
) -> None:
    """Adam's first steps are as long as the rate only while its count agrees with its moments."""
    data = make_data()
    classifier = build_classifier(pretrained, data.image_size)
    trainer = build_trainer(classifier)
    batches = TrainingBatches(data.images, data.split, data.plan, batch_size=8)
    config = FinetuneConfig(learning_rate=1e-3, weight_decay=0.0)
    for blocks, first_step in ((1, 0), (2, 500)):
        set_trainable_blocks(classifier, pretrained.name, blocks, train_batchnorm=False)
        compile_trainer(trainer, config, len(batches), first_step)
        before = [w.copy() for w in trainer.get_weights()]
        trainer.train_on_batch(*batches[0])
        changes = [np.abs(a - b).max() for a, b in zip(trainer.get_weights(), before, strict=True)]
        assert 0.5e-3 < max(changes) < 1.01e-3


def test_the_schedule_goes_on_where_blocks_are_freed(make_data: MakeData) -> None:
    data = make_data()
    trainer = build_trainer(build_classifier(SCRATCH, data.image_size))
    config = FinetuneConfig(
        epochs=10, learning_rate=1e-3, rise_epochs=2, final_learning_rate_share=0.1
    )
    rates = {}
    for epoch in (0, 1, 2, 6, 10):
        compile_trainer(trainer, config, 10, first_step=10 * epoch)
        rates[epoch] = float(trainer.optimizer.learning_rate)
    assert rates[0] == pytest.approx(0)
    assert rates[1] == pytest.approx(5e-4)
    assert rates[2] == pytest.approx(1e-3)
    assert rates[6] == pytest.approx(0.55e-3)
    assert rates[10] == pytest.approx(1e-4)


def test_training_from_scratch_rises_over_its_first_phase(make_data: MakeData) -> None:
    config = WarmupConfig(epochs=4, learning_rate=1e-3, batch_size=8)
    records = train_warmup(make_data(), SCRATCH, config).history.records
    rates = [record.learning_rate for record in records]
    np.testing.assert_allclose(rates, [0.25e-3, 0.5e-3, 0.75e-3, 1e-3], rtol=1e-5)


def test_xla_is_refused_where_it_cannot_work(make_data: MakeData) -> None:
    config = WarmupConfig(epochs=1, jit_compile=True)
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        train_warmup(make_data(), SCRATCH, config)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_and_is_saved_as_float32(
    precision: str, make_data: MakeData
) -> None:
    config = WarmupConfig(epochs=2, learning_rate=1e-2, batch_size=8, precision=precision)
    phase = train_warmup(make_data(), SCRATCH, config)
    assert all(np.isfinite(record.metrics["loss"]) for record in phase.history.records)
    model = keras.saving.load_model(phase.model.path, compile=False)
    assert {layer.dtype_policy.name for layer in model.layers[1:]} == {"float32"}


def test_half_precision_scales_its_loss(make_data: MakeData) -> None:
    data = make_data()
    config = WarmupConfig(precision="mixed_float16")
    trainer = build_trainer(build_classifier(SCRATCH, data.image_size, precision="mixed_float16"))
    compile_trainer(trainer, config, steps_per_epoch=1)
    assert isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)


def test_a_finished_phase_tells_the_same_when_it_is_asked_again(
    pretrained: BackboneConfig, make_data: MakeData, tmp_path: Path
) -> None:
    data, context = make_data(), RunContext(tmp_path / "checkpoints")
    config = WarmupConfig(epochs=1, batch_size=8)
    first = train_warmup(data, pretrained, config, context)
    assert train_warmup(data, pretrained, config, context).history == first.history
