"""The results section of the READMEs: made from recorded runs, and from nothing else."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skin_lesion.evaluation.summary import (
    CalibrationFigures,
    ClassFigures,
    ReportSummary,
    SplitFigures,
)
from skin_lesion.labels import LABELS

ROOT = Path(__file__).resolve().parents[1]
README = "# Title\n<!-- results:begin -->\nold\n<!-- results:end -->\nrest\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "results_table", ROOT / "benchmarks" / "results_table.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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
    )


def report(**changes: Any) -> dict[str, Any]:
    """A report as evaluation writes it: a renamed field breaks these tests."""
    summary = ReportSummary(
        labels=LABELS,
        backbone="mobilenet",
        pretrained_on="imagenet",
        bundle_hash="b" * 64,
        training_run_id="run-1",
        data_fingerprint="d" * 64,
        split_hash="s" * 64,
        synthetic_only=False,
        licence="CC-BY-NC-4.0",
        seed=0,
        temperature=1.3,
        calibration=CalibrationFigures(
            temperature=1.3,
            identified=True,
            folds=5,
            fold_temperatures=(1.3,) * 5,
            bins=15,
            nll_uncalibrated=0.6,
            nll_cross_fitted=0.5,
            ece_uncalibrated=0.1,
            ece_cross_fitted=0.02,
        ),
        val=figures("selection", macro_f1=0.678),
        test=figures("test", macro_f1=0.6484),
    )
    return summary.model_copy(update=changes).model_dump(mode="json")


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
    text = script.filled(README, [result(script, pretrained_on="f" * 64)], {}, script.ENGLISH)
    assert f"`{'f' * 12}…`" in text


@pytest.mark.parametrize("language", ["ENGLISH", "SPANISH"])
def test_every_benchmark_stands_beside_its_bound(script: ModuleType, language: str) -> None:
    words = getattr(script, language)
    benchmarks = {name: script.Benchmark(median_ratio=1.234, bound=1.3) for name in words.ratios}
    text = script.filled(README, [], benchmarks, words)
    assert "| 1.23 | ≤ 1.3 | `python benchmarks/ingest.py` |" in text
    assert "| 1.23 | ≥ 1.3 | `python benchmarks/train_input.py` |" in text


def test_a_run_of_another_configuration_is_told_apart(script: ModuleType) -> None:
    used = {"image_size": (96, 128), "backbone": {"name": "mobilenet", "weights": "none"}}
    assert script.states({"image_size": [96, 128], "backbone": {"name": "mobilenet"}}, used)
    assert not script.states({"backbone": {"name": "efficientnet_b4"}}, used)
    assert not script.states({"seed": 17}, used)


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
