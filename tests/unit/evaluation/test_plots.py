import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skin_lesion.decisions import softmax
from skin_lesion.evaluation import plots
from skin_lesion.evaluation.curves import training_curves
from skin_lesion.evaluation.metrics import measure
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.labels import LABELS
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
    logits = np.random.default_rng(0).normal(size=(30, 7)).astype(np.float32)
    names = [str(i) for i in range(30)]
    rows = pd.DataFrame(
        {"image_id": names, "lesion_id": names, "group": names,
         "dx": [LABELS[i % 4] for i in range(30)]}
    )  # fmt: skip
    sample = Sample(rows, logits, softmax(logits), np.empty((30, 0), np.float32))
    resamples = Resamples.over_lesions(sample.groups, 50, seed=0)
    figures = measure(sample, resamples, bins=5, purpose="test")
    pictures = plots.draw_split(figures, sample)
    assert set(pictures) == {"confusion_matrix", "roc", "per_class"}
    assert all(min(size(picture)) > 400 for picture in pictures.values())


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
        "assert 'matplotlib' not in sys.modules\n"
        "from skin_lesion.evaluation.style import new_figure, png\n"
        "png(new_figure(2, 2))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=120)
