"""Keep the figures of real runs, and write them and the benchmarks' into the READMEs.

    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml   # keeps the last run
    python benchmarks/results_table.py --record configs/ham10000_cpu.yaml --run NAME_OR_ID
    python benchmarks/results_table.py --record CONFIG --baseline FILE      # compares it as well
    python benchmarks/results_table.py            # READMEs from benchmarks/results/
    python benchmarks/results_table.py --check    # fails where a README is not up to date

No figure in the READMEs is typed by hand. `--record` wants the environment of `activate.sh`.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from recording import ROOT, Comparison, Recorded, record
from results_words import ENGLISH, SPANISH, Language
from seeds import Seeds
from seeds_table import seeds_table

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
    seeded: Sequence[Seeds] = (),
) -> str:
    """The text of a README with its results section replaced.

    Args:
        readme: Its text.
        results: Single runs.
        benchmarks: By name.
        language: Of this README.
        seeded: Configurations trained with several seeds, which come first.

    Raises:
        ValueError: The two markers are not there, each once and in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before:
        raise ValueError(
            f"{language.readme} has to hold {BEGIN} and, below it, {END}, each exactly once"
        )
    parts = [seeds_table(found, language.seeds) for found in seeded]
    parts += [section(result, language) for result in results] or [language.none]
    if benchmarks:
        parts.append(benchmark_table(benchmarks, language))
    body = "\n\n".join(parts)
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def recorded() -> list[Recorded]:
    """Every run kept so far, by name."""
    paths = sorted(RESULTS.glob("ham10000_*.json"))
    return [Recorded.model_validate_json(path.read_text(encoding="utf-8")) for path in paths]


def several_seeds() -> list[Seeds]:
    """Every configuration that two seeds or more were recorded of, by name."""
    found = [
        Seeds.model_validate_json(path.read_text(encoding="utf-8"))
        for path in sorted(RESULTS.glob("seeds_*.json"))
    ]
    return [one for one in found if len(one.seeds) > 1]


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
        new = filled(old, recorded(), measured(), language, several_seeds())
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
