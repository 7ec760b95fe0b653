"""What a study came to, in words, tables and files."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from skin_lesion.tuning.axes import plain
from skin_lesion.tuning.outcomes import Outcome, TrialRow
from skin_lesion.tuning.recipe import changed_config
from skin_lesion.tuning.space import SearchSpace
from skin_lesion.tuning.study import Study

BEST = "best.yaml"


@dataclass(frozen=True)
class StudySummary:
    """What a study came to so far.

    Attributes:
        name: Of the study.
        rows: Every trial, in order.
        best: The finished trial of the highest score; None where none has finished.
        importances: Share of each value in how the scores of finished trials differ; they add up to 1.
            Empty where too few trials have finished.
        space: What is searched.
    """

    name: str
    rows: tuple[TrialRow, ...]
    best: TrialRow | None
    importances: Mapping[str, float]
    space: SearchSpace

    @property
    def counted(self) -> int:
        """Trials that came to an outcome."""
        return sum(row.counts for row in self.rows)

    def text(self) -> str:
        """The outcome for a person."""
        counts = Counter(row.outcome for row in self.rows)
        outcomes = ", ".join(f"{counts[o]} {o}" for o in Outcome if counts[o])
        lines = [f"Study {self.name}: {self.counted} trials ({outcomes or 'none begun'})"]
        if self.best is None or self.best.values is None:
            reason = next((row.reason for row in self.rows if row.reason), "")
            return "\n".join(
                [
                    *lines,
                    "No trial has finished" + (f"; the first reason: {reason}" if reason else ""),
                ]
            )
        wide = max(len(name) for name in self.best.values) + 2
        lines += [
            f"Best on validation: trial {self.best.number}, macro F1 {self.best.score:.4f}",
            *(
                f"  {name:<{wide}}{_short(value):<12}{self._weight(name)}".rstrip()
                for name, value in self.best.values.items()
            ),
        ]
        return "\n".join(lines)

    def table(self) -> str:
        """Every trial as CSV."""
        names = [axis.name for axis in self.space.axes]
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(
            ["trial", "outcome", "val_macro_f1", "epochs", "seconds", "retry_of", *names, "reason"]
        )
        for row in self.rows:
            values = row.values or {}
            writer.writerow(
                [
                    row.number, row.outcome.value, _cell(row.score), row.epochs,
                    "" if row.seconds is None else f"{row.seconds:.1f}", _cell(row.retry_of),
                    *(_cell(plain(values[name])) if name in values else "" for name in names),
                    row.reason,
                ]
            )  # fmt: skip
        return written.getvalue()

    def best_config(self, config: Mapping[str, Any]) -> str:
        """The pipeline's configuration with the best values, as YAML.

        Args:
            config: That the study began with.

        Raises:
            LookupError: No trial has finished.
        """
        if self.best is None or self.best.values is None:
            raise LookupError(f"no trial of study {self.name} has finished; go on with it")
        values = {name: plain(value) for name, value in self.best.values.items()}
        body = yaml.safe_dump(changed_config(config, values), sort_keys=False, allow_unicode=True)
        return (
            f"# Trial {self.best.number} of study {self.name}, the best of {self.counted} trials: macro F1\n"
            f"# {self.best.score:.4f} on validation. It was chosen by that figure, which is therefore too\n"
            "# good; the test split had no part in it.\n"
            f"# Searched: {', '.join(values)}\n"
            f"#   zenml pipeline run pipelines.training.training_pipeline -c {BEST}\n"
            f"{body}"
        )

    def write(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Write table, pictures and, where a trial has finished, the configuration.

        Args:
            folder: Made where it is missing; each file is replaced as a whole.
            config: That the study began with.
        """
        from skin_lesion.tuning.plots import history_picture, importance_picture

        files: dict[str, bytes] = {
            "trials.csv": self.table().encode(),
            "space.yaml": yaml.safe_dump(
                {"space": self.space.described()}, sort_keys=False
            ).encode(),
            "history.png": history_picture(self),
        }
        if self.importances:
            files["importance.json"] = json.dumps(self.importances, indent=2).encode()
            files["importance.png"] = importance_picture(self)
        if self.best is not None:
            files[BEST] = self.best_config(config).encode()
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            partial = folder / f"{name}.partial"
            partial.write_bytes(content)
            os.replace(partial, folder / name)

    def _weight(self, name: str) -> str:
        share = self.importances.get(name)
        return "" if share is None else f"{share:.0%} of what differs between trials"


def summarise(study: Study) -> StudySummary:
    """Look at a study."""
    rows = study.rows()
    finished = [row for row in rows if row.outcome == Outcome.FINISHED and row.score is not None]
    best = max(finished, key=lambda row: (row.score or 0.0, -row.number), default=None)
    return StudySummary(study.folder.name, rows, best, _importances(study, finished), study.space)


def _importances(study: Study, finished: Sequence[TrialRow]) -> dict[str, float]:
    import optuna

    config = study.search.config
    # Of equal scores nothing explains the difference.
    if len(finished) < config.importance_trials or len({row.score for row in finished}) == 1:
        return {}
    # A forest, unlike the default, makes something of as few trials as a night of training allows.
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=config.seed)
    found = optuna.importance.get_param_importances(study.study, evaluator=evaluator)
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(plain(value))


def _cell(value: Any) -> Any:
    return "" if value is None else value
