"""Keep the figures of real runs, and write them and the benchmarks' into the READMEs.

    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml   # keeps the last run
    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml --run NAME_OR_ID
    python benchmarks/results_table.py --record CONFIG --baseline FILE      # compares it as well
    python benchmarks/results_table.py            # READMEs from benchmarks/results/ham10000_*.json
    python benchmarks/results_table.py --check    # fails where a README is not up to date

No figure in the READMEs is typed by hand. `--record` wants the environment of `activate.sh`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from recording import ROOT, Comparison, Recorded, record

RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
# What this project set out from states these figures, and no others.
PUBLISHED = {"accuracy": 0.737, "macro_f1": 0.636, "weighted_f1": 0.762}


class Benchmark(BaseModel):
    """What the table shows of `benchmarks/results/<benchmark>.json`, or of one comparison in it.

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
        dirty: What follows the commit where files differed from it.
        totals: Heading of the first table.
        baseline: Heading of the column of one baseline.
        published: What stands below the table about the published figures.
        compared: The same about the baselines.
        rows: (field of the report, words).
        classes: Heading of the table of classes.
        uncalibrated: What stands for the calibration errors where no calibration was better.
        evidence_head: Heading of the table of evidence.
        evidence: (name in the record, words).
        benchmarks: Heading of the table of benchmarks.
        ratios: What each benchmark compares, and whether it wants `≤` or `≥` its bound, by its name;
            `file.part` is one of several comparisons of a benchmark.
    """

    readme: str
    none: str
    repeat: str
    run: str
    dirty: str
    totals: tuple[str, str, str, str]
    baseline: str
    published: str
    compared: str
    rows: tuple[tuple[str, str], ...]
    classes: tuple[str, ...]
    uncalibrated: str
    evidence_head: tuple[str, str, str]
    evidence: tuple[tuple[str, str], ...]
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
    dirty="with uncommitted changes",
    totals=("", "Validation", "Test", "Published"),
    baseline="Baseline, {epochs} epochs, {minutes:.0f} min",
    published=(
        "Published: what this project set out from, an EfficientNetB4 at 380 × 380 pixels trained "
        "for 4.5 hours on an A100. Its test is another one: a split by image, not stated to keep "
        "the pictures of a lesion together."
    ),
    compared=(
        "±: standard error, from {resamples} bootstrap resamples of the lesion groups. ✓: ours is no "
        "worse than that baseline within one standard error; ✗: worse by more. The baselines ({what}) "
        "were tested on splits of their own: {splits}."
    ),
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
    uncalibrated="Calibration error (ECE); no calibration did better than the plain softmax",
    evidence_head=("On the test split, everything frozen on validation", "Figure", "95 % interval"),
    evidence=(
        ("lesions.melanoma_auc", "Melanoma AUC, one picture a lesion"),
        ("lesions.malignant_auc", "Malignant AUC, one picture a lesion"),
        ("lesions.balanced_accuracy", "Balanced accuracy, one picture a lesion"),
        ("lesions.macro_f1", "Macro F1, one picture a lesion"),
        (
            "melanoma_sensitivity_95.sensitivity",
            "Melanoma, frozen for 95 % sensitivity: sensitivity (lesions)",
        ),
        ("melanoma_sensitivity_95.specificity", "… specificity (lesions)"),
        ("melanoma_sensitivity_95.ppv", "… PPV at this prevalence (images)"),
        ("melanoma_sensitivity_95.npv", "… NPV (images)"),
        (
            "malignant_sensitivity_95.sensitivity",
            "Malignant, frozen for 95 % sensitivity: sensitivity (lesions)",
        ),
        ("malignant_sensitivity_95.specificity", "… specificity (lesions)"),
        ("ece_before", "Calibration error (ECE) before calibration"),
        ("ece", "… after calibration"),
        ("sets.coverage", "Prediction sets (90 %): hold the true class"),
        ("sets.mean_size", "… mean number of classes"),
        ("refused", "Pictures refused as “cannot assess”"),
        ("outliers.auroc", "AUROC against crops of photographs without a lesion"),
        ("deletion.better", "Melanomas whose heat-map beats random deletion"),
    ),
    benchmarks=("Benchmark", "Median ratio", "Wanted", "Repeat it with"),
    ratios={
        "ingest": ("Time of ingestion / a bare loop that does the same to each image", "≤"),
        "train_input": ("Training images/s through the loader / on one constant batch", "≥"),
        "train_loop.throughput_96x128": (
            "Images/s of the training loop / of the bare one on a constant batch, 96 × 128",
            "≥",
        ),
        "train_loop.throughput_150x200": ("… 150 × 200", "≥"),
        "train_loop.checkpoint_96x128": (
            "Time of a checkpoint / of learning from 7,010 images, 96 × 128",
            "≤",
        ),
        "train_loop.checkpoint_150x200": ("… 150 × 200", "≤"),
        "train_loop.memory": ("Peak memory of training on 100,150 images / on 10,015", "≤"),
        "cached_run": ("Time of a fully cached run / a two-step ZenML pipeline", "≤"),
        "intervals": ("Time of all figures in 2,000 resamples / some of them by a loop", "≤"),
        "latency.bare": ("Time of the Predictor / decoding and the bare network", "≤"),
        "latency.heat_map": ("Time of the Predictor with a heat-map / without", "≤"),
        "latency.tf_function": ("Time of a compiled `tf.function` / the Predictor", "≥"),
        "latency.eager": ("Time of the Keras model called directly / the Predictor", "≥"),
        "batch": ("Pictures/s of a process a core / cores × one process on one thread", "≥"),
        "batch_ray": ("Pictures/s of two Ray workers / one", "≥"),
        "serving": ("Time of an answer over HTTP / of the same model behind a pipe", "≤"),
        "dashboard.mobilenet_160_later_reading": (
            "Dashboard: time of a reading with its heat-map / of a forward pass, MobileNet 160",
            "≤",
        ),
        "dashboard.efficientnet_b4_380_later_reading": (
            "Dashboard: time of a reading with its heat-map / of a forward pass, EfficientNetB4 380",
            "≤",
        ),
        "dashboard.mobilenet_160_clients": (
            "Dashboard: 95th percentile of 20 clients at once / median of one alone",
            "≤",
        ),
        "dashboard.mobilenet_160_memory": (
            "Dashboard: memory after 1,000 readings / after the first 200",
            "≤",
        ),
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
    dirty="con cambios sin confirmar",
    totals=("", "Validación", "Prueba", "Publicado"),
    baseline="Referencia, {epochs} épocas, {minutes:.0f} min",
    published=(
        "Publicado: aquello de lo que partió este proyecto, una EfficientNetB4 de 380 × 380 píxeles "
        "entrenada 4.5 horas en una A100. Su prueba es otra: una partición por imagen, de la que no "
        "se dice que mantenga juntas las fotos de una lesión."
    ),
    compared=(
        "±: error estándar, de {resamples} remuestreos bootstrap de los grupos de lesiones. ✓: la "
        "cifra no es peor que la de esa referencia dentro de un error estándar; ✗: es peor por más. Las "
        "referencias («{what}») se probaron en particiones propias: «{splits}»."
    ),
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
    uncalibrated="Error de calibración (ECE); ninguna calibración superó al softmax simple",
    evidence_head=(
        "En la partición de prueba, todo fijado en validación",
        "Cifra",
        "Intervalo del 95 %",
    ),
    evidence=(
        ("lesions.melanoma_auc", "AUC de melanoma, una imagen por lesión"),
        ("lesions.malignant_auc", "AUC de malignidad, una imagen por lesión"),
        ("lesions.balanced_accuracy", "Exactitud equilibrada, una imagen por lesión"),
        ("lesions.macro_f1", "F1 macro, una imagen por lesión"),
        (
            "melanoma_sensitivity_95.sensitivity",
            "Melanoma, fijado para una sensibilidad del 95 %: sensibilidad (lesiones)",
        ),
        ("melanoma_sensitivity_95.specificity", "… especificidad (lesiones)"),
        ("melanoma_sensitivity_95.ppv", "… VPP con esta prevalencia (imágenes)"),
        ("melanoma_sensitivity_95.npv", "… VPN (imágenes)"),
        (
            "malignant_sensitivity_95.sensitivity",
            "Maligno, fijado para una sensibilidad del 95 %: sensibilidad (lesiones)",
        ),
        ("malignant_sensitivity_95.specificity", "… especificidad (lesiones)"),
        ("ece_before", "Error de calibración (ECE) antes de calibrar"),
        ("ece", "… después de calibrar"),
        ("sets.coverage", "Conjuntos de predicción (90 %): contienen la clase verdadera"),
        ("sets.mean_size", "… número medio de clases"),
        ("refused", "Imágenes rechazadas como «no se puede valorar»"),
        ("outliers.auroc", "AUROC frente a recortes de fotografías sin lesión"),
        ("deletion.better", "Melanomas cuyo mapa de calor supera el borrado al azar"),
    ),
    benchmarks=("Medición", "Razón mediana", "Se pide", "Se repite con"),
    ratios={
        "ingest": ("Tiempo de la ingesta / un bucle simple que hace lo mismo a cada imagen", "≤"),
        "train_input": ("Imágenes/s al entrenar con el cargador / con un lote constante", "≥"),
        "train_loop.throughput_96x128": (
            "Imágenes/s del bucle de entrenamiento / del desnudo con un lote constante, 96 × 128",
            "≥",
        ),
        "train_loop.throughput_150x200": ("… 150 × 200", "≥"),
        "train_loop.checkpoint_96x128": (
            "Tiempo de un punto de control / de aprender de 7010 imágenes, 96 × 128",
            "≤",
        ),
        "train_loop.checkpoint_150x200": ("… 150 × 200", "≤"),
        "train_loop.memory": ("Memoria máxima al entrenar con 100 150 imágenes / con 10 015", "≤"),
        "cached_run": ("Tiempo de una ejecución en caché / un flujo de ZenML de dos pasos", "≤"),
        "intervals": ("Tiempo de todas las cifras en 2000 remuestreos / algunas con un bucle", "≤"),
        "latency.bare": ("Tiempo del Predictor / decodificar y la red sola", "≤"),
        "latency.heat_map": ("Tiempo del Predictor con mapa de calor / sin él", "≤"),
        "latency.tf_function": ("Tiempo de una `tf.function` compilada / el Predictor", "≥"),
        "latency.eager": ("Tiempo del modelo Keras llamado sin más / el Predictor", "≥"),
        "batch": ("Imágenes/s de un proceso por núcleo / núcleos × un proceso de un hilo", "≥"),
        "batch_ray": ("Imágenes/s de dos trabajadores de Ray / uno", "≥"),
        "serving": ("Tiempo de una respuesta por HTTP / del mismo modelo tras una tubería", "≤"),
        "dashboard.mobilenet_160_later_reading": (
            "Panel: tiempo de una lectura con su mapa / de un paso de la red, MobileNet 160",
            "≤",
        ),
        "dashboard.efficientnet_b4_380_later_reading": (
            "Panel: tiempo de una lectura con su mapa / de un paso de la red, EfficientNetB4 380",
            "≤",
        ),
        "dashboard.mobilenet_160_clients": (
            "Panel: percentil 95 de 20 clientes a la vez / mediana de uno solo",
            "≤",
        ),
        "dashboard.mobilenet_160_memory": (
            "Panel: memoria tras 1000 lecturas / tras las primeras 200",
            "≤",
        ),
    },
)


def number(value: float | None) -> str:
    """A figure with three decimals; a dash where it is not defined."""
    return "–" if value is None else f"{value:.3f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table with its figures to the right."""
    rule = ("---", *("---:" for _ in head[1:]))
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def totals(result: Recorded, language: Language) -> list[str]:
    """Figures over all classes beside the published and the baselines', and what these are."""
    val, test, compared = result.report["val"], result.report["test"], result.comparison
    runs = compared.baselines.runs if compared else ()
    head = [
        *language.totals,
        *(language.baseline.format(epochs=b.fine_tune_epochs, minutes=b.minutes) for b in runs),
    ]
    rows = []
    for name, words in language.rows:
        error = compared.standard_errors.get(name) if compared else None
        rows.append(
            [
                words,
                number(val[name]),
                number(test[name]) if error is None else f"{number(test[name])} ± {error:.3f}",
                number(PUBLISHED.get(name)),
                *(verdict(compared, i, name) for i in range(len(runs)) if compared),
            ]
        )
    lines = [*table(head, rows), "", language.published]
    if compared:
        splits = "; ".join(dict.fromkeys(run.split for run in runs))
        about = language.compared.format(
            resamples=compared.resamples, what=compared.baselines.what, splits=splits
        )
        lines += ["", about]
    return lines


def verdict(compared: Comparison, baseline: int, name: str) -> str:
    """A figure of a baseline, and whether ours is no worse."""
    figure = number(compared.baselines.runs[baseline].test.get(name))
    no_worse = compared.no_worse[baseline].get(name)
    return figure if no_worse is None else f"{figure} {'✓' if no_worse else '✗'}"


def evidence(result: Recorded, language: Language) -> list[str]:
    """What a clinician asks for first; nothing where the run was recorded without it."""
    if result.evidence is None:
        return []
    plain = result.report["freezing"]["calibration"]["method"] == "none"
    named = [
        (name, language.uncalibrated if plain and name == "ece" else words)
        for name, words in language.evidence
        if not (plain and name == "ece_before")  # it is the same figure
    ]
    rows = [
        (words, number(found.value), f"{number(found.ci_low)}–{number(found.ci_high)}")
        for name, words in named
        if (found := result.evidence.get(name)) is not None
    ]
    return [*table(language.evidence_head, rows), ""]


def section(result: Recorded, language: Language) -> str:
    """One run in Markdown."""
    report, test = result.report, result.report["test"]
    # `imagenet`, `nothing`, or the checksum of a file.
    pretrained, digest = report["pretrained_on"], report["pretrained_on"].removeprefix("sha256:")
    about = language.run.format(
        backbone=report["backbone"],
        pretrained=f"`sha256:{digest[:12]}…`" if len(digest) == 64 else pretrained,
        images=test["n_images"],
        lesions=test["n_lesions"],
        minutes=result.minutes,
        machine=result.machine,
        commit=f"{result.commit} {language.dirty}" if result.dirty else result.commit,
    )
    classes = [
        (f"`{code}`", str(f["n"]), *(number(f[k]) for k in ("precision", "recall", "f1", "auc")))
        for code, f in test["per_class"].items()
    ]
    return "\n".join(
        [
            f"**`{result.config}`** – {about}",
            "",
            *totals(result, language),
            "",
            *table(language.classes, classes),
            "",
            *evidence(result, language),
            f"{language.repeat} `{result.command}`.",
        ]
    )


def benchmark_table(benchmarks: Mapping[str, Benchmark], language: Language) -> str:
    """The benchmarks in Markdown."""
    rows = [
        (
            language.ratios[name][0],
            shown(benchmark, language.ratios[name][1]),
            f"{language.ratios[name][1]} {benchmark.bound}",
            f"`python benchmarks/{name.partition('.')[0]}.py`",
        )
        for name, benchmark in benchmarks.items()
    ]
    return "\n".join(table(language.benchmarks, rows))


def shown(benchmark: Benchmark, wanted: str) -> str:
    """A ratio; one that misses its bound is marked, and never rounded until it seems to keep it."""
    ratio, bound = benchmark.median_ratio, benchmark.bound
    if ratio <= bound if wanted == "≤" else ratio >= bound:
        return f"{ratio:.2f}"
    return f"{ratio:.4f} ✗" if round(ratio, 2) == round(bound, 2) else f"{ratio:.2f} ✗"


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
    found = {}
    for name in ENGLISH.ratios:
        file, _, part = name.partition(".")
        path = RESULTS / f"{file}.json"
        if path.exists():
            values = json.loads(path.read_text(encoding="utf-8"))
            found[name] = Benchmark.model_validate(values["comparisons"][part] if part else values)
    return found


def main() -> int:
    """Run the command line; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", metavar="CONFIG", help="keep this configuration's run")
    parser.add_argument("--run", metavar="NAME_OR_ID", help="that run (default: the last one)")
    parser.add_argument(
        "--baseline",
        metavar="FILE",
        type=Path,
        help="JSON of runs to compare the recorded one with",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; fail if outdated")
    arguments = parser.parse_args()
    if (arguments.run or arguments.baseline) and not arguments.record:
        parser.error(
            "--run and --baseline belong to --record; name the configuration of the run too"
        )
    if arguments.record:
        result = record(arguments.record, arguments.run, arguments.baseline)
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
