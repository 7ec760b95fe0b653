"""Keep the figures of real runs, and write them and the benchmarks' into the READMEs.

    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml   # keeps the last run
    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml --run NAME_OR_ID
    python benchmarks/results_table.py            # READMEs from benchmarks/results/ham10000_*.json
    python benchmarks/results_table.py --check    # fails where a README is not up to date

No figure in the READMEs is typed by hand. `--record` wants the environment of `activate.sh`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


class Recorded(BaseModel):
    """One real run, as kept in `benchmarks/results/<config>.json`.

    Attributes:
        config: Configuration, relative to the root.
        commit: Commit of the project that ran.
        machine: Processor and number of cores.
        minutes: Wall time of the whole pipeline run, nothing from the cache.
        report: Its `evaluation/report.json`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: str
    commit: str
    machine: str
    minutes: float
    report: dict[str, Any]

    @property
    def command(self) -> str:
        """What repeats the run."""
        return f"make train HAM10000_PATH=... CONFIG={self.config}"


class Benchmark(BaseModel):
    """What the table shows of `benchmarks/results/<benchmark>.json`.

    Attributes:
        median_ratio: Median over the repetitions.
        bound: What it has to keep.
    """

    model_config = ConfigDict(frozen=True)

    median_ratio: float
    bound: float


@dataclass(frozen=True)
class Language:
    """The words around the figures.

    Attributes:
        readme: File that holds the table.
        none: What stands there while nothing has been recorded.
        repeat: What precedes the command.
        run: Sentence about the run.
        totals: Heading of the first table.
        rows: (field of the report, words).
        classes: Heading of the table of classes.
        benchmarks: Heading of the table of benchmarks.
        ratios: What each benchmark compares, and whether it wants `≤` or `≥` its bound, by its name.
    """

    readme: str
    none: str
    repeat: str
    run: str
    totals: tuple[str, str, str]
    rows: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    benchmarks: tuple[str, ...]
    ratios: dict[str, tuple[str, str]]


ENGLISH = Language(
    readme="README.md",
    none="No run on the real images has been recorded yet.",
    repeat="Repeat it with",
    run=(
        "Backbone {backbone}, pretrained on {pretrained}. Test: {images} images of {lesions} lesions, "
        "none of which was seen in training or validation. {minutes:.0f} minutes on {machine}; "
        "commit {commit}."
    ),
    totals=("", "Validation", "Test"),
    rows=(
        ("accuracy", "Accuracy"),
        ("balanced_accuracy", "Balanced accuracy"),
        ("macro_f1", "Macro F1"),
        ("weighted_f1", "Weighted F1"),
        ("macro_auc", "Macro AUC"),
        ("melanoma_auc", "Melanoma AUC"),
        ("malignant_auc", "Malignant AUC"),
        ("ece", "Calibration error (ECE)"),
    ),
    classes=("Class (test)", "Images", "Precision", "Recall", "F1", "AUC"),
    benchmarks=("Benchmark", "Median ratio", "Wanted", "Repeat it with"),
    ratios={
        "ingest": ("Time of ingestion / a bare loop that does the same to each image", "≤"),
        "train_input": ("Training images/s through the loader / on one constant batch", "≥"),
        "cached_run": ("Time of a fully cached run / a two-step ZenML pipeline", "≤"),
    },
)
SPANISH = Language(
    readme="README.es.md",
    none="Todavía no se ha registrado ninguna ejecución con las imágenes reales.",
    repeat="Se repite con",
    run=(
        "Red base {backbone}, preentrenada con {pretrained}. Prueba: {images} imágenes de {lesions} "
        "lesiones, ninguna vista en entrenamiento ni en validación. {minutes:.0f} minutos en "
        "{machine}; commit {commit}."
    ),
    totals=("", "Validación", "Prueba"),
    rows=(
        ("accuracy", "Exactitud"),
        ("balanced_accuracy", "Exactitud equilibrada"),
        ("macro_f1", "F1 macro"),
        ("weighted_f1", "F1 ponderado"),
        ("macro_auc", "AUC macro"),
        ("melanoma_auc", "AUC de melanoma"),
        ("malignant_auc", "AUC de malignidad"),
        ("ece", "Error de calibración (ECE)"),
    ),
    classes=("Clase (prueba)", "Imágenes", "Precisión", "Sensibilidad", "F1", "AUC"),
    benchmarks=("Medición", "Razón mediana", "Se pide", "Se repite con"),
    ratios={
        "ingest": ("Tiempo de la ingesta / un bucle simple que hace lo mismo a cada imagen", "≤"),
        "train_input": ("Imágenes/s al entrenar con el cargador / con un lote constante", "≥"),
        "cached_run": ("Tiempo de una ejecución en caché / un flujo de ZenML de dos pasos", "≤"),
    },
)


def number(value: float | None) -> str:
    """A figure with three decimals; a dash where it is not defined."""
    return "–" if value is None else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with its figures to the right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def section(result: Recorded, language: Language) -> str:
    """One run in Markdown."""
    report, test = result.report, result.report["test"]
    pretrained = report["pretrained_on"]
    about = language.run.format(
        backbone=report["backbone"],
        pretrained=f"`{pretrained[:12]}…`" if len(pretrained) == 64 else pretrained,
        images=test["n_images"],
        lesions=test["n_lesions"],
        minutes=result.minutes,
        machine=result.machine,
        commit=result.commit,
    )
    totals = [
        (words, number(report["val"][name]), number(test[name])) for name, words in language.rows
    ]
    classes = [
        (f"`{code}`", str(f["n"]), *(number(f[k]) for k in ("precision", "recall", "f1", "auc")))
        for code, f in test["per_class"].items()
    ]
    return "\n".join(
        [
            f"**`{result.config}`** – {about}",
            "",
            *table(language.totals, totals),
            "",
            *table(language.classes, classes),
            "",
            f"{language.repeat} `{result.command}`.",
        ]
    )


def benchmark_table(benchmarks: Mapping[str, Benchmark], language: Language) -> str:
    """The benchmarks in Markdown."""
    rows = [
        (
            language.ratios[name][0],
            f"{benchmark.median_ratio:.2f}",
            f"{language.ratios[name][1]} {benchmark.bound}",
            f"`python benchmarks/{name}.py`",
        )
        for name, benchmark in benchmarks.items()
    ]
    return "\n".join(table(language.benchmarks, rows))


def filled(
    readme: str,
    results: Sequence[Recorded],
    benchmarks: Mapping[str, Benchmark],
    language: Language,
) -> str:
    """The text of a README with its results section replaced.

    Raises:
        ValueError: The two markers are not there, each once and in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before:
        raise ValueError(
            f"{language.readme} has to hold {BEGIN} and, below it, {END}, each exactly once"
        )
    parts = [section(result, language) for result in results] or [language.none]
    if benchmarks:
        parts.append(benchmark_table(benchmarks, language))
    body = "\n\n".join(parts)
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def recorded() -> list[Recorded]:
    """Every run kept so far, by name."""
    paths = sorted(RESULTS.glob("ham10000_*.json"))
    return [Recorded.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]


def measured() -> dict[str, Benchmark]:
    """Every benchmark measured so far, in the order of the table."""
    paths = {name: RESULTS / f"{name}.json" for name in ENGLISH.ratios}
    return {
        name: Benchmark.model_validate_json(path.read_text(encoding="utf-8"))
        for name, path in paths.items()
        if path.exists()
    }


def processor() -> str:
    """Model and number of cores of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} × {models[0] if models else platform.machine()}"


def states(stated: Any, actual: Any) -> bool:
    """Whether everything that a configuration states holds for a run."""
    if isinstance(stated, Mapping):
        return all(key in actual and states(value, actual[key]) for key, value in stated.items())
    if isinstance(stated, list):
        return list(actual) == stated
    return bool(actual == stated)


def record(config: str, run_name: str | None) -> Recorded:
    """Read a finished pipeline run from ZenML.

    Args:
        config: The configuration that it ran.
        run_name: Name or id of the run; None takes the last one that finished.

    Raises:
        ValueError: The run is not one of this configuration on real images, or it took a step from
            the cache, so that its time says nothing.
    """
    from zenml.client import Client
    from zenml.enums import ExecutionStatus

    if run_name is None:
        runs = Client().list_pipeline_runs(
            pipeline="training_pipeline",
            status=ExecutionStatus.COMPLETED,
            sort_by="desc:created",
            size=1,
        )
        run = Client().get_pipeline_run(runs.items[0].id)
    else:
        run = Client().get_pipeline_run(run_name)
    asked = yaml.safe_load((ROOT / config).read_text(encoding="utf-8"))
    used = {name: step.config.parameters for name, step in run.steps.items()}
    if not states(asked.get("parameters", {}), run.config.parameters) or not all(
        states(step.get("parameters", {}), used[name])
        for name, step in asked.get("steps", {}).items()
    ):
        raise ValueError(f"Run {run.name} did not run {config}: its parameters are others")
    cached = sorted(n for n, step in run.steps.items() if step.status == ExecutionStatus.CACHED)
    if cached:
        raise ValueError(
            f"Run {run.name} took {', '.join(cached)} from the cache; record the run that did the work"
        )
    if run.start_time is None or run.end_time is None:
        raise ValueError(f"Run {run.name} has not finished")
    report = run.steps["evaluate"].outputs["evaluation"][0].load().summary
    if report.synthetic_only:
        raise ValueError(f"Run {run.name} saw synthetic images only; record one on real images")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return Recorded(
        config=config,
        commit=commit,
        machine=processor(),
        minutes=round((run.end_time - run.start_time).total_seconds() / 60, 1),
        report=report.model_dump(mode="json"),
    )


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="CONFIG", help="keep this configuration's run")
    parser.add_argument("--run", metavar="NAME_OR_ID", help="that run (default: the last one)")
    parser.add_argument("--check", action="store_true", help="change nothing; fail if outdated")
    arguments = parser.parse_args()
    if arguments.run and not arguments.record:
        parser.error("--run says which run to --record; name its configuration too")
    if arguments.record:
        result = record(arguments.record, arguments.run)
        target = RESULTS / f"{Path(arguments.record).stem}.json"
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(result.model_dump(), indent=2, ensure_ascii=False)
        target.write_text(text + "\n", encoding="utf-8")
    outdated = []
    for language in (ENGLISH, SPANISH):
        path = ROOT / language.readme
        old = path.read_text(encoding="utf-8")
        new = filled(old, recorded(), measured(), language)
        if new != old:
            outdated.append(language.readme)
            if not arguments.check:
                path.write_text(new, encoding="utf-8")
    if arguments.check and outdated:
        print(f"not up to date: {', '.join(outdated)}; run `make results-table`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
