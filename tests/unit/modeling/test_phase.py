"""What happens in which epoch, and the line that tells of it."""

import pytest
from pydantic import ValidationError

from skin_lesion.modeling.checkpoints import Progress
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.phase import Phase, Stage
from skin_lesion.modeling.progress_line import progress_line, seconds_left
from skin_lesion.settings import FinetuneConfig, SizeStage

FULL = (96, 128)
HALF = SizeStage(share=0.4, height=48, width=64)
MORE = SizeStage(share=0.3, height=72, width=96)


def phase(first_epoch: int = 0, patience: int | None = None, **config: object) -> Phase:
    return Phase(
        name="finetune",
        description="",
        first_epoch=first_epoch,
        config=FinetuneConfig(**config),
        image_size=FULL,
        free_blocks=lambda epoch: min(3, epoch - first_epoch + 1),
        train_batchnorm=True,
        keep_best=True,
        patience=patience,
    )


def record(epoch: int, seconds: float = 60.0, **metrics: float) -> EpochRecord:
    figures = dict.fromkeys(
        ("loss", "accuracy", "val_loss", "val_accuracy", "val_balanced_accuracy"), 0.5
    )
    return EpochRecord(
        epoch=epoch,
        learning_rate=1e-3,
        seconds=seconds,
        images_per_second=123.4,
        metrics={**figures, "val_macro_f1": 0.25, **metrics},
    )


def progress(*records: EpochRecord) -> Progress:
    made = Progress()
    for one in records:
        made = made.advance(one)
    return made


def test_pictures_grow_by_their_shares_and_end_at_full_size() -> None:
    sizes = [phase(2, epochs=10, sizes=(HALF, MORE)).size(epoch) for epoch in range(2, 12)]
    assert sizes == [(48, 64)] * 4 + [(72, 96)] * 3 + [FULL] * 3


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_the_last_epoch_is_at_full_size_however_few_there_are(epochs: int) -> None:
    most = SizeStage(share=0.99, height=48, width=64)
    sizes = [phase(epochs=epochs, sizes=(most,)).size(epoch) for epoch in range(epochs)]
    assert sizes == [(48, 64)] * (epochs - 1) + [FULL]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((HALF, HALF.model_copy(update={"share": 0.6, "height": 72})), "add up to 1"),
        ((MORE, HALF), "72x96 to 48x64; pictures may only grow"),
        ((HALF, HALF), "48x64 to 48x64; pictures may only grow"),
    ],
)
def test_sizes_that_leave_no_full_size_or_shrink_are_refused(
    sizes: tuple[SizeStage, ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        FinetuneConfig(sizes=sizes)


def test_mixing_rests_in_the_last_epochs() -> None:
    one = phase(3, epochs=6, unmixed_epochs=2)
    assert [one.mixes(epoch) for epoch in range(3, 9)] == [True] * 4 + [False] * 2


def test_an_optimizer_is_as_old_as_its_free_blocks_whatever_the_size() -> None:
    one = phase(1, epochs=10, sizes=(HALF,))
    assert [one.freed_at(epoch) for epoch in range(1, 8)] == [1, 2, 3, 3, 3, 3, 3]
    assert one.stage(4) == Stage(3, (48, 64))
    assert one.stage(5) == Stage(3, FULL)


def test_the_time_left_counts_with_the_pixels_to_come() -> None:
    one = phase(epochs=5, sizes=(HALF,))  # two epochs of a quarter of the pixels
    assert seconds_left(one, progress(record(0, 10.0))) == pytest.approx(10 + 3 * 40)
    half_way = progress(record(0, 10.0), record(1, 10.0), record(2, 52.0))
    assert seconds_left(one, half_way) == pytest.approx(2 * (40 + 40 + 52) / 3)


def test_the_time_left_goes_by_the_last_epochs() -> None:
    one = phase(epochs=20)
    slow_then_fast = [record(0, 1000.0)] + [record(epoch, 10.0) for epoch in range(1, 6)]
    assert seconds_left(one, progress(*slow_then_fast)) == pytest.approx(14 * 10)


def test_the_line_says_what_a_person_wants_to_know() -> None:
    one = phase(8, epochs=4)
    line = progress_line(one, progress(record(8, val_macro_f1=0.5, val_melanoma_auc=0.875)))
    assert line == (
        "finetune  9/12  loss 0.500 | validation loss 0.500  accuracy 0.500  macro F1 0.500*  "
        "melanoma AUC 0.875 | 123.4 images/s  3 min left"
    )
    assert line.isprintable()
    later = progress(record(8, val_macro_f1=0.5), record(9, 3600.0))
    line = progress_line(one, later)
    assert "macro F1 0.250   " in line, "the star is for the best so far"
    assert "melanoma AUC -" in line, "where validation has none"
    assert line.endswith("1 h 01 min left")


def test_patience_counts_from_the_first_epoch_at_full_size() -> None:
    growing = phase(epochs=10, patience=3, sizes=(HALF,))
    best_early = progress(record(0, val_macro_f1=0.9), *(record(e) for e in range(1, 7)))
    assert not growing.exhausted(best_early), "epochs 4 to 6 are two after the first at full size"
    assert growing.exhausted(best_early.advance(record(7)))
    assert phase(epochs=10, patience=3).exhausted(
        progress(record(0, val_macro_f1=0.9), *(record(e) for e in range(1, 4)))
    )
