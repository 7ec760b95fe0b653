import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skin_lesion.decisions import softmax
from skin_lesion.evaluation import plots
from skin_lesion.evaluation.curves import training_curves
from skin_lesion.evaluation.metrics import measure
from skin_lesion.modeling.history import EpochRecord, History


def history(phase: str, epochs: int, first: int = 0, metrics: tuple[str, ...] = ()) -> History:
    names = metrics or ("loss", "val_loss", "accuracy", "val_accuracy", "val_macro_f1")
    return History(
        phase=phase,
        description="a description long enough to run over the edge of the picture " * 3,
        records=tuple(
            EpochRecord(
                epoch=first + i, learning_rate=1e-3 / (i + 1), seconds=1.0,
                images_per_second=9.0, metrics=dict.fromkeys(names, 0.5 / (i + 1)),
            )
            for i in range(epochs)
        ),
        best_epoch=first + epochs - 1,
        trainable_parameters=1,
    )  # fmt: skip


def size(png: bytes) -> tuple[int, int]:
    return Image.open(BytesIO(png)).size


def test_a_split_without_some_classes_is_drawn():
    logits = np.random.default_rng(0).normal(size=(30, 7))
    truth = np.arange(30) % 4
    figures = measure(
        logits, truth, np.arange(30).astype(object), temperature=1.0, bins=5, purpose="test"
    )
    for picture in (
        plots.confusion_matrix(figures),
        plots.roc_curves(truth, softmax(logits), figures),
        plots.per_class_bars(figures),
        plots.reliability_diagram(logits, truth, 1.0, 5),
    ):
        assert min(size(picture)) > 400


def test_each_phase_has_its_curves():
    curves = training_curves([history("warmup", 3), history("finetune", 1, first=3)])
    assert list(curves) == ["warmup_curves", "finetune_curves"]
    assert all(min(size(picture)) > 400 for picture in curves.values())


def test_metrics_that_were_not_recorded_are_left_out():
    assert training_curves([history("warmup", 2, metrics=("loss",))])["warmup_curves"]


def test_the_same_history_gives_the_same_picture():
    first, again = (training_curves([history("warmup", 3)]) for _ in range(2))
    assert first == again


def test_a_phase_without_epochs_has_no_curves():
    with pytest.raises(ValueError, match="warmup"):
        training_curves([history("warmup", 0)])


def test_drawing_leaves_the_global_state_of_matplotlib_alone(root: Path):
    code = (
        "import sys\n"
        "from skin_lesion.evaluation import plots\n"
        "import numpy as np\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.reliability_diagram(np.eye(7), np.arange(7), 1.0, 3)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)
