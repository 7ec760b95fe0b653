"""What each part of the recipe is worth: short trainings that differ in one thing, judged on validation.

    HAM10000_PATH=... BACKBONE_WEIGHTS=... python benchmarks/ablation.py             # rows not done yet
    HAM10000_PATH=... BACKBONE_WEIGHTS=... python benchmarks/ablation.py --only base --only focal
    python benchmarks/ablation.py --table                                            # words anew

Rows stand in `ablation.yaml`. Each is in `results/ablation.json` and `results/ablation.md` as soon as
it is done, and one that was killed goes on from its last epoch. All are trained on one lesion-grouped
split, without a picture of its test part at hand. A row is compared with the base on the same
resampled lesions, so that what makes a picture hard for both cancels out.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ablation_data import data_at
from ablation_plan import BASE, Plan, Row, read_plan
from ablation_table import words
from numpy.typing import NDArray
from root import ROOT

from skin_lesion.batch.files import write_text
from skin_lesion.checkout import code_state, processor
from skin_lesion.data.augment import make_plan
from skin_lesion.decisions import softmax
from skin_lesion.evaluation.comparison import compare
from skin_lesion.evaluation.sample import Sample
from skin_lesion.modeling.history import EpochRecord
from skin_lesion.modeling.train import (
    RunContext,
    TrainedPhase,
    TrainingData,
    train_finetune,
    train_warmup,
)
from skin_lesion.modeling.views import PLAIN, all_views
from skin_lesion.tuning.data import LearningData

RESULT = ROOT / "benchmarks" / "results" / "ablation.json"
WORK = ROOT / ".work" / "ablation"
SHOWN = ("macro_f1", "balanced_accuracy", "accuracy", "melanoma_auc", "macro_auc", "nll", "ece")
RESAMPLES, BINS, BATCH = 2000, 15, 64


def train(
    plan: Plan, row: Row, data: LearningData, code: str, told: Callable[[EpochRecord], None]
) -> tuple[TrainedPhase, float]:
    """Train what a row says, from its last finished epoch on.

    Returns:
        The second phase, and the minutes of all epochs.
    """
    recipe, seed = plan.recipe(row), plan.training_seed(row)
    known = TrainingData(data.images, data.split, make_plan(data.split, recipe.augment, seed))
    context = RunContext(WORK / "checkpoints", code, on_epoch=told)
    warm = train_warmup(known, recipe.backbone, recipe.warmup_train, context)
    tuned = train_finetune(known, warm.model, recipe.finetune_train, context)
    seconds = sum(r.seconds for r in (*warm.history.records, *tuned.history.records))
    return tuned, seconds / 60


def answers(row: Row, trained: TrainedPhase, data: LearningData) -> NDArray[np.float32]:
    """Logits of the validation pictures, shape (n, 7), the mean over views where a row asks for it."""
    import keras

    model = keras.saving.load_model(trained.model.path, compile=False)
    pixels, rows = data.images.open(), data.split.indices("val")
    views = all_views(*data.images.shape[1:3]) if row.views == "all" else (PLAIN,)
    return np.concatenate(
        [
            np.mean(
                [model.predict_on_batch(view.of(np.asarray(pixels[part]))) for view in views],
                axis=0,
            )
            for part in np.split(rows, range(BATCH, len(rows), BATCH))
        ]
    )


def measure(
    name: str, plan: Plan, logits: NDArray[np.float32], data: LearningData, work: Path
) -> dict[str, Any]:
    """Figures of a row on validation, and its difference from the base.

    Answers are kept beside the checkpoints, so that rows to come find those of the base.

    Raises:
        LookupError: The base's answers are not there.
    """
    kept = work / "answers"
    kept.mkdir(parents=True, exist_ok=True)
    np.save(kept / f"{name}.npy", logits)
    if not (kept / f"{BASE}.npy").exists():
        raise LookupError(f"{kept} has no answers of {BASE!r}; run it first: --only {BASE}")
    rows = data.split.rows.iloc[data.split.indices("val")].reset_index(drop=True)

    def sample(given: NDArray[np.float32]) -> Sample:
        none = np.zeros((len(rows), 1), np.float32)
        return Sample(rows, given, softmax(given), none)

    base = sample(np.load(kept / f"{BASE}.npy"))
    found = compare(base, sample(logits), count=RESAMPLES, seed=plan.seed, bins=BINS)
    return {
        "images": found.n_images,
        "lesions": found.n_lesions,
        "figures": {figure: found.figures[figure].b for figure in SHOWN},
        "against_base": {figure: found.figures[figure].difference.model_dump() for figure in SHOWN},
    }


def done(name: str, plan: Plan, recorded: Mapping[str, Any]) -> bool:
    """Whether a row is recorded with the values that it has now."""
    found = recorded["rows"].get(name)
    return found is not None and found["stated"] == plan.stated(plan.rows[name])


def read(path: Path) -> dict[str, Any]:
    """What was recorded so far."""
    if not path.exists():
        return {"rows": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def write(plan: Plan, recorded: Mapping[str, Any], path: Path) -> None:
    """Write both files, rows in the plan's order; one that the plan has no more is dropped."""
    rows = {name: recorded["rows"][name] for name in plan.rows if name in recorded["rows"]}
    for name, row in rows.items():
        row["asks"] = plan.rows[name].asks
    kept = {**recorded, "rows": rows}
    for target, text in (
        (path, json.dumps(kept, indent=1) + "\n"),
        (path.with_suffix(".md"), words(plan, kept)),
    ):
        write_text(target, text)


def run_row(name: str, plan: Plan) -> dict[str, Any]:
    """Train and measure one row."""
    import keras

    from steps._caching import training_code

    keras.utils.clear_session()
    row = plan.rows[name]
    data = data_at(plan, plan.size(row), WORK / "data")
    load = [round(value, 1) for value in os.getloadavg()]
    cpu = time.process_time()
    state = code_state()

    def told(record: EpochRecord) -> None:
        shown = " ".join(f"{k} {v:.3f}" for k, v in record.metrics.items() if k.startswith("val_"))
        print(f"{name} epoch {record.epoch + 1} {record.seconds:.0f} s {shown}", flush=True)

    trained, minutes = train(plan, row, data, training_code(), told)
    return {
        "stated": plan.stated(row),
        "minutes": round(minutes, 2),
        "processor_minutes": round((time.process_time() - cpu) / 60, 1),
        "load_average": load,
        "machine": processor(),
        "commit": state.commit[:7],
        "dirty": state.dirty,
        "split_hash": data.split.split_hash,
        "kept_epoch": trained.history.best_epoch,
        **measure(name, plan, answers(row, trained, data), data, WORK),
    }


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="ROW", help="these rows alone, and anew")
    parser.add_argument("--table", action="store_true", help="write the table of what is recorded")
    arguments = parser.parse_args()
    plan = read_plan()
    recorded = read(RESULT)
    if unknown := set(arguments.only or ()) - set(plan.rows):
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(plan.rows)}")
    wanted = arguments.only or [name for name in plan.rows if not done(name, plan, recorded)]
    for name in () if arguments.table else wanted:
        recorded["rows"][name] = run_row(name, plan)
        write(plan, recorded, RESULT)
        print(f"{name}: {recorded['rows'][name]['figures']}", flush=True)
    write(plan, recorded, RESULT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
