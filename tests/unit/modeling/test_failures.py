"""A full disk and used-up memory end a training with what to change; what was finished stays."""

import builtins
import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from skin_lesion.data.loader import TrainingBatches
from skin_lesion.modeling import checkpoints
from skin_lesion.modeling.failures import explained, is_out_of_memory, less_memory, smaller_batch
from skin_lesion.modeling.phase import Phase
from skin_lesion.modeling.train import (
    DiskFullError,
    OutOfMemoryError,
    RunContext,
    TrainedPhase,
    TrainingData,
    TrainingDivergedError,
    train_warmup,
)
from skin_lesion.settings import BackboneConfig, TrainConfig, WarmupConfig

from .conftest import MakeData

TINY = BackboneConfig(name="mobilenet", weights="none", feature_layer="conv_pw_2_relu")
CONFIG = WarmupConfig(epochs=4, learning_rate=1e-3, batch_size=14, ema_decay=0.9)


def phase(**values: Any) -> Phase:
    return Phase(
        name="finetune", description="", first_epoch=0, config=TrainConfig(**values),
        image_size=(96, 128), free_blocks=lambda _: 1, train_batchnorm=True, keep_best=True,
        patience=None,
    )  # fmt: skip


def train(data: TrainingData, context: RunContext) -> TrainedPhase:
    return train_warmup(data, TINY, CONFIG, context)


def full_after(count: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the disk be full once so many arrays of checkpoints were written, in the middle of one."""
    real, written = np.savez, []

    def savez(path: Path, **arrays: Any) -> None:
        written.append(path)
        if len(written) > count:
            builtins.open(path, "wb").write(b"PK half of it")  # noqa: SIM115
            raise OSError(code, os.strerror(code))
        real(path, **arrays)

    monkeypatch.setattr(checkpoints.np, "savez", savez)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_last_checkpoint_from_which_the_same_command_goes_on(
    code: int, make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data()
    context = RunContext(tmp_path / "c", elsewhere="set VARIABLE")
    whole = train(data, RunContext(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        full_after(
            2 * 3 + 1, code, patch
        )  # three a checkpoint: in the second file of the third one
        wanted = (
            r"checkpoint of epoch 2 cannot be written.* MiB are needed, .* MiB are free.*"
            r"set VARIABLE; the checkpoint of epoch 1 stays, and the same command goes on"
        )
        with pytest.raises(DiskFullError, match=wanted):
            train(data, context)
    (folder,) = (tmp_path / "c").glob("*/warmup")
    assert "1" in {path.name for path in folder.iterdir()}
    assert not list(folder.glob("*.partial"))
    seen: list[int] = []
    resumed = train(data, replace(context, on_epoch=lambda record: seen.append(record.epoch)))
    assert seen == [0, 1, 2, 3]
    for mine, theirs in zip(resumed.history.records, whole.history.records, strict=True):
        assert mine.metrics["val_loss"] == pytest.approx(theirs.metrics["val_loss"], rel=1e-3)


def test_a_disk_that_is_full_from_the_start_says_that_nothing_was_finished(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_after(0, errno.ENOSPC, monkeypatch)
    with pytest.raises(DiskFullError, match="no epoch of the phase was finished; the same command"):
        train(make_data(), RunContext(tmp_path))


def test_checkpoints_that_are_forgotten_are_gone_at_once_whatever_happens_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = checkpoints.CheckpointStore(tmp_path / "warmup")
    (store.folder / "3").mkdir(parents=True)

    def killed(path: Path, **_: Any) -> None:
        if path.exists():
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.clear()
    assert store.latest() is None


@pytest.mark.parametrize("kept", ["gone", "a file", "no room"])
def test_a_training_that_is_done_does_not_fail_by_the_note_that_it_was_delivered(
    kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = checkpoints.CheckpointStore(tmp_path / "key" / "warmup")
    if kept == "a file":
        store.folder.parent.mkdir()
        store.folder.touch()
    if kept == "no room":
        store.folder.mkdir(parents=True)

        def written(path: Path, *_: Any, **__: Any) -> None:
            path.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

        monkeypatch.setattr(Path, "write_text", written)
    store.mark_delivered("me")
    assert store.receiver is None
    assert store.folder.parent.exists() == (kept != "gone"), "no folder is made for it"
    assert ("would be taken for one" in caplog.text) == (kept != "gone")


def exhausted() -> None:
    """What the backend raises where there is no such memory: 64 TiB."""
    keras.ops.zeros((1 << 22, 1 << 22), "float32")


def test_memory_that_is_used_up_says_what_to_set_and_what_stays(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainingBatches.__getitem__

    def item(self: TrainingBatches, index: int) -> Any:
        if self.epoch == 2:
            exhausted()
        return real(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingBatches, "__getitem__", item)
        wanted = (
            r"warmup ran out of memory \(.*OOM.*\)\. To need less of it, set batch_size to 7 and "
            r"accumulation_steps to 2.*14 images.*mixed_bfloat16.*image_size smaller \(now 32 x 32\).*"
            r"the checkpoint of epoch 1 stays, and the same command goes on from it"
        )
        with pytest.raises(OutOfMemoryError, match=wanted):
            train(make_data(), RunContext(tmp_path))
    assert len(train(make_data(), RunContext(tmp_path)).history.records) == 4


def test_a_loss_that_is_no_number_says_what_to_set_and_what_stays(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TrainingBatches.__getitem__

    def item(self: TrainingBatches, index: int) -> Any:
        inputs, targets, weights = real(self, index)
        return inputs, targets, weights * np.float32("nan" if self.epoch == 2 else 1)

    data, context = make_data(), RunContext(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingBatches, "__getitem__", item)
        wanted = (
            r"warmup cannot go on: loss is nan in epoch 2: lower learning_rate \(now 0\.\d+\).*With "
            r"another value the phase begins anew.*As it is, .*like this again: the checkpoint of epoch "
            r"1 stays, and the same command goes on from it"
        )
        for _ in range(2):  # the same command meets the same again
            with pytest.raises(TrainingDivergedError, match=wanted):
                train(data, context)
    (folder,) = tmp_path.glob("*/warmup")
    assert {path.name for path in folder.iterdir()} <= {"0", "1"}
    before = (folder / "1" / "progress.json").read_text()
    records = train(data, context).history.records
    assert [record.epoch for record in records] == [0, 1, 2, 3]
    assert records[1].model_dump_json() in before, "the good epochs are not trained anew"


def test_two_processes_never_train_the_same_phase_at_once(
    make_data: MakeData, tmp_path: Path
) -> None:
    """The second one would remove the newer checkpoints of the first, since they are not its own."""
    data, context = make_data(), RunContext(tmp_path)
    train(data, context)
    (folder,) = (path for path in tmp_path.glob("*/warmup"))
    before = sorted(path.name for path in folder.iterdir())
    with (
        checkpoints.CheckpointStore(folder).alone(),
        pytest.raises(
            RuntimeError, match=rf"warmup training of {folder.parent} is being worked on"
        ),
    ):
        train(data, context)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert len(train(data, context).history.records) == CONFIG.epochs


def test_a_disk_with_no_room_for_a_folder_is_told_like_any_other(
    make_data: MakeData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(path: Path, *args: Any, **kwargs: Any) -> None:
        if tmp_path / "c" in path.parents:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))
        real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    wanted = (
        "folder of checkpoints cannot be written.*set VARIABLE; no epoch of the phase was finished"
    )
    with pytest.raises(DiskFullError, match=wanted):
        train(make_data(), RunContext(tmp_path / "c", elsewhere="set VARIABLE"))


def raised(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


def of_jax() -> None:
    import jax

    jax.numpy.zeros((1 << 22, 1 << 22), "float32")


def of_a_full_disk() -> None:
    import tensorflow as tf

    raise tf.errors.ResourceExhaustedError(None, None, "/x/file; No space left on device")


def of_a_gpu() -> None:
    import tensorflow as tf

    raise tf.errors.ResourceExhaustedError(None, None, "failed to allocate memory [Op:Mul]")


def of_a_layer() -> None:
    raise RuntimeError(
        "Exception encountered when calling X.\nOOM when allocating tensor with shape[9]"
    )


@pytest.mark.parametrize(
    ("function", "is_memory"),
    [
        (exhausted, True),
        (of_jax, True),
        (of_a_gpu, True),
        (of_a_layer, True),
        (lambda: np.ones(1 << 45), True),
        (of_a_full_disk, False),
        (lambda: [][0], False),
        (lambda: int("no memory"), False),
    ],
)
def test_every_backend_is_understood_and_nothing_else(
    function: Callable[[], object], is_memory: bool
) -> None:
    assert is_out_of_memory(raised(function)) is is_memory


def test_the_line_that_tells_is_quoted_and_not_the_first() -> None:
    error = RuntimeError("Graph execution error:\n\nDetected at node x\nOOM when allocating tensor")
    with (
        pytest.raises(OutOfMemoryError, match=r"memory \(OOM when allocating tensor\)\."),
        explained(phase(), 1, lambda: "it stays", "elsewhere"),
    ):
        raise error


@pytest.mark.parametrize(
    ("size", "devices", "smaller"),
    [(32, 1, 16), (48, 3, 24), (33, 1, 11), (31, 1, None), (2, 1, None), (8, 4, 4), (8, 8, None)],
)
def test_a_smaller_batch_leaves_no_rest_and_can_be_shared(
    size: int, devices: int, smaller: int | None
) -> None:
    assert smaller_batch(size, devices) == smaller


def test_what_is_set_already_is_not_advised() -> None:
    words = less_memory(phase(batch_size=31, precision="mixed_bfloat16"), 1)
    assert words == "set image_size smaller (now 96 x 128)"
