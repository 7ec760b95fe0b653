"""The results section of the READMEs: made from recorded runs, and from nothing else."""

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skin_lesion.decisions import softmax
from skin_lesion.evaluation.report import EvaluationReport
from skin_lesion.evaluation.summary import ClassFigures, ReportSummary, SplitFigures
from skin_lesion.labels import LABELS
from skin_lesion.modeling.history import EpochRecord, History
from steps._caching import code_version

ROOT = Path(__file__).resolve().parents[1]
README = "# Title\n<!-- results:begin -->\nold\n<!-- results:end -->\nrest\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    # The scripts import each other as Python finds them when it runs one of them.
    sys.path.insert(0, str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location(
        "results_table", ROOT / "benchmarks" / "results_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    sys.path.remove(str(ROOT / "benchmarks"))
    return module


@pytest.fixture(scope="module")
def recording(script: ModuleType) -> ModuleType:
    return sys.modules["recording"]


@pytest.fixture(scope="module")
def baselines(script: ModuleType) -> ModuleType:
    return sys.modules["baselines"]


@pytest.fixture(scope="module")
def finished_run(script: ModuleType) -> ModuleType:
    return sys.modules["finished_run"]


def figures(purpose: str, macro_f1: float, auc: float | None = 0.9) -> SplitFigures:
    one = ClassFigures(precision=0.5, recall=0.25, f1=0.333, auc=auc, n=7)
    return SplitFigures(
        purpose=purpose,
        n_images=49,
        n_lesions=40,
        accuracy=0.8125,
        balanced_accuracy=0.7,
        macro_f1=macro_f1,
        weighted_f1=0.8,
        macro_auc=auc,
        melanoma_auc=0.9,
        malignant_auc=0.91,
        ece=0.02,
        ece_uncalibrated=0.1,
        nll=0.5,
        nll_uncalibrated=0.6,
        brier=0.3,
        brier_uncalibrated=0.31,
        per_class=dict.fromkeys(LABELS, one),
        absent_classes=(),
        confusion=((1,) * 7,) * 7,
        intervals={},
    )


TEMPLATE: list[ReportSummary] = []


@pytest.fixture(autouse=True, scope="module")
def template(small_report: EvaluationReport) -> Iterator[None]:
    """A report as evaluation writes it: a renamed field breaks these tests."""
    TEMPLATE.append(small_report.summary)
    yield
    TEMPLATE.clear()


def summary(**changes: Any) -> ReportSummary:
    values = {
        "pretrained_on": "imagenet",
        "synthetic_only": False,
        "seed": 0,
        "val": figures("selection", macro_f1=0.678),
        "test": figures("test", macro_f1=0.6484),
    }
    return TEMPLATE[0].model_copy(update=values | changes)


def report(**changes: Any) -> dict[str, Any]:
    return summary(**changes).model_dump(mode="json", exclude={"evidence"})


def result(script: ModuleType, **changes: Any) -> Any:
    return script.Recorded(
        config="configs/ham10000_cpu.yaml",
        commit="abc1234",
        machine="2 × CPU",
        minutes=61.4,
        report=report(**changes),
    )


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_the_table_holds_the_figures_and_the_command(script: ModuleType, language: str) -> None:
    text = script.filled(README, [result(script)], {}, getattr(script, language))
    assert "| 0.678 | 0.648 |" in text
    assert "61 min" in text
    assert "`make train HAM10000_PATH=... CONFIG=configs/ham10000_cpu.yaml`" in text
    assert all(f"| `{label}` | 7 | 0.500 | 0.250 | 0.333 | 0.900 |" in text for label in LABELS)
    assert text.startswith("# Title\n")
    assert text.endswith("\nrest\n")
    assert "old" not in text


def test_filling_twice_changes_nothing(script: ModuleType) -> None:
    once = script.filled(README, [result(script)], {}, script.ENGLISH)
    assert script.filled(once, [result(script)], {}, script.ENGLISH) == once


def test_without_a_recorded_run_the_section_says_so(script: ModuleType) -> None:
    assert script.ENGLISH.none in script.filled(README, [], {}, script.ENGLISH)


def test_an_undefined_figure_is_a_dash(script: ModuleType) -> None:
    undefined = result(script, test=figures("test", macro_f1=0.6, auc=None))
    assert "| Macro AUC | 0.900 | – |" in script.filled(README, [undefined], {}, script.ENGLISH)


def test_a_checksum_of_weights_is_shortened(script: ModuleType) -> None:
    """As `weights_fingerprint` writes it."""
    weights = result(script, pretrained_on=f"sha256:{'f' * 64}")
    text = script.filled(README, [weights], {}, script.ENGLISH)
    assert f"pretrained on `sha256:{'f' * 12}…`." in text


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_the_published_figures_stand_beside_ours(script: ModuleType, language: str) -> None:
    text = script.filled(README, [result(script)], {}, getattr(script, language))
    assert "| 0.812 | 0.812 | 0.737 |" in text
    assert "| 0.678 | 0.648 | 0.636 |" in text
    assert "| 0.800 | 0.800 | 0.762 |" in text
    assert all(words in text for words in ("EfficientNetB4", "380 × 380", "A100"))


def test_a_run_recorded_before_commits_were_noted_is_read(script: ModuleType) -> None:
    fields = {"config", "commit", "machine", "minutes", "report"}
    text = result(script).model_dump_json(include=fields)
    read = script.Recorded.model_validate_json(text)
    assert read == result(script)
    assert "commit abc1234." in script.section(read, script.ENGLISH)


def test_uncommitted_changes_are_told(script: ModuleType) -> None:
    dirty = result(script).model_copy(update={"dirty": True})
    assert "commit abc1234 with uncommitted changes." in script.section(dirty, script.ENGLISH)
    assert "abc1234 con cambios sin confirmar." in script.section(dirty, script.SPANISH)


def history(phase: str, seconds: float) -> History:
    epoch = EpochRecord(
        epoch=0, learning_rate=0.1, seconds=seconds, images_per_second=1.0, metrics={}
    )
    return History(
        phase=phase, description=phase, records=(epoch,) * 3, best_epoch=0, trainable_parameters=1
    )


def test_a_resumed_phase_counts_as_long_as_all_of_its_epochs(finished_run: ModuleType) -> None:
    """Each history holds three epochs: a run that resumed did some of them earlier."""
    histories = {
        "warmup_train": history("warmup", 10.0),
        "finetune_train": history("finetune", 20.0),
    }
    took = {"ingest": 5.0, "warmup_train": 33.0, "finetune_train": 15.0}
    assert finished_run.whole_seconds(took, histories) == took | {"finetune_train": 60.0}


def test_the_command_that_repeats_a_run_is_that_of_its_pipeline(recording: ModuleType) -> None:
    facts: dict[str, Any] = {
        "config": "c.yaml", "commit": "abc", "machine": "m", "minutes": 1.0, "report": {},
    }  # fmt: skip
    assert recording.Recorded(**facts).command == "make train HAM10000_PATH=... CONFIG=c.yaml"
    ensemble = recording.Recorded(**facts, pipeline="ensemble_pipeline")
    assert ensemble.command.endswith("pipelines.ensemble.ensemble_pipeline -c c.yaml")


def test_the_evidence_is_that_of_the_report(recording: ModuleType) -> None:
    known = summary()
    found = recording.evidence_of(known)
    evidence = known.evidence
    assert found["ece"] == evidence.calibration.after.ece
    assert found["lesions.macro_f1"] == evidence.discrimination.lesions.estimates["macro_f1"]
    [point] = [
        one for one in evidence.operating_points if one.point.name == "melanoma_sensitivity_95"
    ]
    assert found["melanoma_sensitivity_95.sensitivity"] == point.figures.lesion_sensitivity
    score = known.decisions.ood.score
    assert found["outliers.auroc"] == evidence.refusals.separations[score].auroc["crops"]


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_all_evidence_is_named_and_shown_with_its_interval(
    script: ModuleType, recording: ModuleType, language: str
) -> None:
    words, evidence = getattr(script, language), recording.evidence_of(summary())
    kept = result(script).model_copy(update={"evidence": evidence})
    text = script.section(kept, words)
    known = {name for name, _ in words.evidence}
    # The points for 90 % and for referral are in the report, which has room for them.
    assert {"ece", "outliers.auroc", "deletion.better"} <= known & set(evidence)
    for name, title in words.evidence:
        figure = evidence[name]
        ends = (script.number(figure.ci_low), script.number(figure.ci_high))
        assert f"| {title} | {script.number(figure.value)} | {ends[0]}–{ends[1]} |" in text
    kept.report["freezing"]["calibration"]["method"] = "none"
    text = script.section(kept, words)
    assert words.uncalibrated in text
    assert dict(words.evidence)["ece_before"] not in text


def test_a_model_that_other_code_trained_is_refused(finished_run: ModuleType) -> None:
    finished_run.refuse_other_code("run", code_version())
    with pytest.raises(ValueError, match=r"0\.0\.1\+other.*from the commit that it ran"):
        finished_run.refuse_other_code("run", "0.0.1+other")


BASELINES = {
    "what": "a plain script",
    "runs": [
        {"fine_tune_epochs": 8, "split": "one", "minutes": 28,
         "test": {"n_images": 9, "accuracy": 0.82, "macro_f1": 0.7, "melanoma_auc": 0.9},
         "validation": {"accuracy": 0.1}},
        {"fine_tune_epochs": 12, "split": "two", "minutes": 44,
         "test": {"n_images": 9, "accuracy": 0.8, "macro_f1": 0.6, "melanoma_auc": 0.89}},
    ],
    "note": "not kept",
}  # fmt: skip


def compared(script: ModuleType, recording: ModuleType) -> Any:
    comparison = recording.Comparison(
        baselines=recording.Baselines.model_validate(BASELINES),
        resamples=500,
        standard_errors={"accuracy": 0.01, "macro_f1": 0.02},
        no_worse=({"accuracy": True, "macro_f1": False}, {"accuracy": True, "macro_f1": True}),
    )
    return result(script).model_copy(update={"comparison": comparison})


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_the_baselines_stand_beside_ours_with_a_verdict(
    script: ModuleType, recording: ModuleType, language: str
) -> None:
    kept = compared(script, recording)
    assert script.Recorded.model_validate_json(kept.model_dump_json()) == kept
    text = script.section(kept, getattr(script, language))
    assert "| 0.678 | 0.648 ± 0.020 | 0.636 | 0.700 ✗ | 0.600 ✓ |" in text
    assert "| 0.812 | 0.812 ± 0.010 | 0.737 | 0.820 ✓ | 0.800 ✓ |" in text
    assert "| 0.020 | 0.020 | – | – | – |" in text
    assert ", 28 min |" in text
    assert "a plain script" in text


def predictions(truth: list[int], called: list[int], group: list[int]) -> pd.DataFrame:
    """The first group is in validation, which must not count."""
    logits = 4.0 * np.eye(7)[called]
    rows = pd.DataFrame(logits, columns=[f"logit_{label}" for label in LABELS])
    rows[[f"p_{label}" for label in LABELS]] = softmax(logits)
    rows["image_id"] = [f"i{i}" for i in range(len(truth))]
    rows["dx"] = [LABELS[i] for i in truth]
    rows["lesion_id"] = rows["group"] = [f"g{i}" for i in group]
    rows["split"] = ["val" if i == 0 else "test" for i in group]
    return rows


def test_the_standard_error_counts_lesions_not_images(baselines: ModuleType) -> None:
    """70 lesions, half of them right: the error of a share of 70, though each has ten images."""
    lesions = np.arange(71)
    called = np.where(lesions % 2, lesions % 7, (lesions + 1) % 7)
    groups = np.repeat(lesions, 10)
    rows = predictions(list(groups % 7), list(np.repeat(called, 10)), list(groups))
    known = summary()
    errors = baselines.standard_errors(rows, known, 200)
    assert errors["accuracy"] == pytest.approx((0.25 / 70) ** 0.5, rel=0.2)
    assert set(errors) == set(baselines.COMPARED)
    assert baselines.standard_errors(rows, known, 200) == errors
    undefined = known.model_copy(update={"test": figures("test", macro_f1=0.6, auc=None)})
    assert "macro_auc" not in baselines.standard_errors(rows, undefined, 3)


def test_a_figure_is_no_worse_within_one_standard_error(
    baselines: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {"accuracy": 0.01, "macro_f1": 0.05}
    monkeypatch.setattr(baselines, "standard_errors", lambda *_: errors)
    known = summary()
    given = baselines.Baselines.model_validate(BASELINES)
    comparison = baselines.compare(pd.DataFrame(), known, given)
    # Ours: accuracy 0.8125, macro F1 0.6484.
    assert comparison.no_worse == (
        {"accuracy": True, "macro_f1": False},
        {"accuracy": True, "macro_f1": True},
    )
    assert "note" not in comparison.model_dump()["baselines"]


@pytest.mark.parametrize(
    ("ratio", "wanted", "words"),
    [
        (1.5, "≤", "1.50"),
        (1.5025, "≤", "1.5025 ✗"),
        (1.73, "≤", "1.73 ✗"),
        (1.5, "≥", "1.50"),
        (1.4999, "≥", "1.4999 ✗"),
        (1.3, "≥", "1.30 ✗"),
    ],
)
def test_a_missed_bound_is_marked_and_not_rounded_away(
    script: ModuleType, ratio: float, wanted: str, words: str
) -> None:
    assert script.shown(script.Benchmark(median_ratio=ratio, bound=1.5), wanted) == words


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_every_benchmark_stands_beside_its_bound(script: ModuleType, language: str) -> None:
    words = getattr(script, language)
    benchmarks = {name: script.Benchmark(median_ratio=1.234, bound=1.3) for name in words.ratios}
    text = script.filled(README, [], benchmarks, words)
    assert "| 1.23 | ≤ 1.3 | `python benchmarks/ingest.py` |" in text
    assert "| 1.23 ✗ | ≥ 1.3 | `python benchmarks/train_loop.py` |" in text
    # Several comparisons of one benchmark are several rows.
    assert text.count("`python benchmarks/latency.py`") == 4


def test_the_comparisons_of_one_benchmark_are_read_by_their_names(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "RESULTS", tmp_path)
    comparisons = {
        name: {"what": name, "median_ratio": ratio, "bound": 1.5, "kept": True}
        for name, ratio in (("bare", 1.1), ("heat_map", 1.2), ("tf_function", 1.7), ("eager", 6))
    }
    (tmp_path / "latency.json").write_text(json.dumps({"comparisons": comparisons}))
    (tmp_path / "ingest.json").write_text(json.dumps({"median_ratio": 1.25, "bound": 1.3}))
    found = {name: benchmark.median_ratio for name, benchmark in script.measured().items()}
    assert found == {
        "ingest": 1.25, "latency.bare": 1.1, "latency.heat_map": 1.2, "latency.tf_function": 1.7,
        "latency.eager": 6,
    }  # fmt: skip


def test_a_run_of_another_configuration_is_told_apart(finished_run: ModuleType) -> None:
    used = {"image_size": (96, 128), "backbone": {"name": "mobilenet", "weights": "none"}}
    assert finished_run.states({"image_size": [96, 128], "backbone": {"name": "mobilenet"}}, used)
    assert not finished_run.states({"backbone": {"name": "efficientnet_b4"}}, used)
    assert not finished_run.states({"seed": 17}, used)


@pytest.mark.parametrize(
    "broken",
    ["no markers", "<!-- results:begin -->", "<!-- results:end --><!-- results:begin -->"],
)
def test_a_readme_without_its_markers_is_an_error(script: ModuleType, broken: str) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        script.filled(broken, [], {}, script.ENGLISH)


def test_the_readmes_show_exactly_what_is_recorded(script: ModuleType) -> None:
    """Where this fails, `make results-table` brings them up to date; commit both together."""
    for language in (script.ENGLISH, script.SPANISH):
        readme = (ROOT / language.readme).read_text(encoding="utf-8")
        assert script.filled(readme, script.recorded(), script.measured(), language) == readme


def test_the_readmes_are_translations_of_each_other() -> None:
    """The same commands in the same order, and as many headings of each level."""

    def skeleton(name: str) -> tuple[list[str], list[str]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
        commands = [line.split("  #")[0].rstrip() for b in blocks for line in b.splitlines()]
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        return commands, re.findall(r"^#+", prose, flags=re.MULTILINE)

    assert skeleton("README.md") == skeleton("README.es.md")


def test_several_seeds_stand_above_single_runs_in_both_languages(script: ModuleType) -> None:
    module = sys.modules["seeds"]
    one = {
        "seed": 0, "run": "r", "commit": "abc", "dirty": False, "code_version": "1",
        "machine": "m", "minutes": 70.0,
        "training_minutes": 60.0, "split_hash": "h", "n_images": 9, "n_lesions": 8,
        "val": dict.fromkeys(module.FIGURES, 0.5), "test": dict.fromkeys(module.FIGURES, 0.75),
        "evidence": {"lesions.macro_f1": {"value": 0.7, "ci_low": 0.6, "ci_high": 0.8}},
    }  # fmt: skip
    found = module.Seeds(config="configs/c.yaml", stated={}, split_seed=17)
    for number in (0, 1):
        found = module.add(found, module.Seed.model_validate(one | {"seed": number}))
    for language in (script.ENGLISH, script.SPANISH):
        text = script.filled(README, [], {}, language, [found])
        assert text.index("0.750 ± 0.000") < text.index(language.none)
