"""The rows of `results/ablation.json` as a page of Markdown."""

from collections.abc import Mapping
from typing import Any

from ablation_plan import BASE, Plan

FIGURES = {
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "melanoma_auc": "melanoma AUC",
    "nll": "log loss",
}


def words(plan: Plan, recorded: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        plan: All rows, whether done or not.
        recorded: What `ablation.json` holds.
    """
    rows: Mapping[str, Any] = recorded["rows"]
    head = ["row", "what it asks", *FIGURES.values(), "minutes"]
    lines = [
        "# What each part of the recipe is worth",
        "",
        f"Written by `benchmarks/ablation.py`. The recipe of `{plan.base}` on a small budget, and for "
        "each row one change of it, given in `benchmarks/ablation.yaml`. One lesion-grouped split; "
        "figures are of its **validation** part, at the epoch with the best macro F1, so they are "
        "kinder than a test would be, to all rows alike. The test part was not at hand.",
        "",
        "Below a figure stands the difference from the base with its 95 % interval (2,000 resamples of "
        "the lesions, the same ones for both). **Bold**: the interval leaves out 0. Intervals know of "
        "other lesions, not of other seeds; `other_seed` shows how far a seed alone goes.",
        "",
    ]
    if base := rows.get(BASE):
        size = "×".join(map(str, base["stated"]["image_size"]))
        epochs = sum(
            base["stated"]["recipe"][p]["epochs"] for p in ("warmup_train", "finetune_train")
        )
        lines += [
            f"{base['images']:,} images of {base['lesions']:,} lesions; {epochs} epochs at {size} where "
            "a row says nothing else.",
            "",
        ]
    lines += [_line(head), _line(["---", "---", *("---:" for _ in head[2:])])]
    lines += [_line(_cells(name, rows[name])) for name in plan.rows if name in rows]
    missing = [name for name in plan.rows if name not in rows]
    stale = [
        name for name in rows if name in plan.rows and rows[name]["stated"] != plan.stated(plan.rows[name])
    ]  # fmt: skip
    if missing:
        lines += ["", f"Not trained yet: {', '.join(missing)}."]
    if stale:
        lines += ["", f"Trained with values that have changed since: {', '.join(stale)}."]
    if rows:
        machines = ", ".join(dict.fromkeys(row["machine"] for row in rows.values()))
        commits = ", ".join(dict.fromkeys(_commit(row) for row in rows.values()))
        lines += [
            "",
            f"Machine: {machines}. Commits: {commits}. Minutes are those of the epochs, on a machine "
            "that had other work beside where they differ much for the same budget.",
        ]
    return "\n".join(lines) + "\n"


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    figures = [
        f"{row['figures'][figure]:.3f}"
        if name == BASE
        else f"{row['figures'][figure]:.3f}<br>{_difference(row['against_base'][figure])}"
        for figure in FIGURES
    ]
    return [f"`{name}`", row["asks"], *figures, f"{row['minutes']:.0f}"]


def _difference(found: Mapping[str, float | None]) -> str:
    value, low, high = found["value"], found["ci_low"], found["ci_high"]
    assert value is not None  # all seven classes are in validation
    if low is None or high is None:
        return f"{value:+.3f}"
    text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 or high < 0 else text


def _commit(row: Mapping[str, Any]) -> str:
    return f"{row['commit']}{' with changes' if row['dirty'] else ''}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
