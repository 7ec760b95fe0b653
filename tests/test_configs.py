"""Every key of every YAML file exists and holds a value that its model accepts.

ZenML ignores unknown root keys, step keys and settings fields without a word, so a misspelt wish
would be lost; these tests are what speaks up.
"""

import copy
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from skin_lesion.settings import AugmentConfig, BackboneConfig, FinetuneConfig, WarmupConfig

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
STEPS = sorted(p.stem for p in (ROOT / "steps").glob("[!_]*.py"))

Yaml = dict[str, Any]


def load(path: Path) -> Yaml:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def pipeline_entrypoint(name: str = "training.training_pipeline") -> Callable[..., Any]:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(f"pipelines.{module}"), function).entrypoint


def pipeline_of(path: Path) -> str:
    """The pipeline that the command at the head of a configuration runs."""
    found = re.search(r"zenml pipeline run pipelines\.(\S+) ", path.read_text(encoding="utf-8"))
    assert found, f"{path} does not say how it is run"
    return found[1]


def step_entrypoint(name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"steps.{name}"), name).entrypoint


def unknown_keys(where: str, mapping: Mapping[str, Any], model: type[BaseModel]) -> Iterator[str]:
    yield from (f"{where}.{key} does not exist" for key in mapping.keys() - model.model_fields)


def wrong_settings(where: str, settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    from zenml.integrations.mlflow.flavors import mlflow_experiment_tracker_flavor as mlflow_flavor
    from zenml.utils.settings_utils import get_general_settings

    tracker = mlflow_flavor.MLFlowExperimentTrackerSettings
    known = get_general_settings() | {
        "experiment_tracker": tracker,
        "experiment_tracker.mlflow": tracker,
    }
    for key, fields in settings.items():
        if key in known:
            yield from unknown_keys(f"{where}.{key}", fields, known[key])
        else:
            yield f"{where}.{key} does not exist"


def wrong_parameters(
    where: str, parameters: Mapping[str, Any], function: Callable[..., Any]
) -> Iterator[str]:
    types = get_type_hints(function)
    for name, value in parameters.items():
        if name not in inspect.signature(function).parameters:
            yield f"{where}.{name} does not exist"
            continue
        try:
            TypeAdapter(types[name]).validate_python(value)
        except ValidationError as error:
            yield f"{where}.{name}: {error}"


def problems(config: Yaml, pipeline: str = "training.training_pipeline") -> list[str]:
    """What is wrong with a configuration of a pipeline; empty where nothing is."""
    from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
    from zenml.config.step_configurations import StepConfigurationUpdate

    found = list(unknown_keys("root", config, PipelineRunConfiguration))
    found += wrong_settings("settings", config.get("settings", {}))
    parameters = config.get("parameters", {})
    found += wrong_parameters("parameters", parameters, pipeline_entrypoint(pipeline))
    for name, step in config.get("steps", {}).items():
        where = f"steps.{name}"
        if name not in STEPS:
            found.append(f"{where} does not exist")
            continue
        found += unknown_keys(where, step, StepConfigurationUpdate)
        found += wrong_settings(f"{where}.settings", step.get("settings", {}))
        found += wrong_parameters(
            f"{where}.parameters", step.get("parameters", {}), step_entrypoint(name)
        )
    return found


def stated_defaults(where: str, stated: Mapping[str, Any], model: BaseModel) -> Iterator[str]:
    """Values in YAML that only repeat what the model has anyway."""
    for key, value in stated.items():
        default = getattr(model, key)
        if isinstance(default, BaseModel):
            yield from stated_defaults(f"{where}.{key}", value, default)
        elif (
            TypeAdapter(type(model).model_fields[key].annotation).validate_python(value) == default
        ):
            yield f"{where}.{key}: {value} is the default"


def file_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", CONFIGS, ids=file_name)
def test_every_key_exists_and_every_value_is_accepted(path: Path) -> None:
    assert problems(load(path), pipeline_of(path)) == []


@pytest.mark.parametrize("path", CONFIGS, ids=file_name)
def test_caching_is_never_set_at_the_root(path: Path) -> None:
    """There it would override `register`, which must run every time."""
    assert "enable_cache" not in load(path)
    assert "enable_cache" not in load(path).get("steps", {}).get("register", {})


@pytest.mark.parametrize("path", CONFIGS, ids=file_name)
def test_a_config_states_only_differences_from_the_defaults(path: Path) -> None:
    config = load(path)
    repeated: list[str] = []
    functions = {f"steps.{name}": step_entrypoint(name) for name in config.get("steps", {})}
    stated = {f"steps.{n}": s.get("parameters", {}) for n, s in config.get("steps", {}).items()}
    functions["root"] = pipeline_entrypoint(pipeline_of(path))
    stated["root"] = config.get("parameters", {})
    for where, parameters in stated.items():
        signature = inspect.signature(functions[where]).parameters
        for name, value in parameters.items():
            default = signature[name].default
            if isinstance(default, BaseModel):
                repeated += stated_defaults(f"{where}.{name}", value, default)
    assert repeated == []


def test_the_four_configurations_of_the_readme_exist() -> None:
    assert {"demo.yaml", "ham10000_quick.yaml", "ham10000_cpu.yaml", "ham10000_b4.yaml"} <= {
        path.name for path in CONFIGS
    }


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_the_readmes_name_every_configuration(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert [path.name for path in CONFIGS if f"configs/{path.name}" not in text] == []


def recipe_of(name: str, *leave_out: str) -> tuple[Yaml, Yaml]:
    """All that is configured of a training, laid out as the training pipeline has it, and its export.

    Machines (`settings`) and the number of members belong to neither.
    """
    config = load(ROOT / "configs" / name)
    parameters = {key: value for key, value in config["parameters"].items() if key != "ensemble"}
    steps = {step: dict(found["parameters"]) for step, found in config["steps"].items()}
    for step, shared in (("warmup_train", "warmup"), ("finetune_train", "finetune")):
        if shared in parameters:
            steps[step] = {"config": parameters.pop(shared)}
    exports = [found.pop("export") for found in steps.values() if "export" in found]
    for found in steps.values():
        found["config"] = {k: v for k, v in found["config"].items() if k not in leave_out}
    (export,) = exports or [{}]
    return {"parameters": parameters, "steps": steps}, export


def test_configurations_that_say_they_share_a_recipe_do() -> None:
    modern, gpu = (
        recipe_of(name, "precision", "workers") for name in ("ham10000_b4_modern.yaml", "gpu.yaml")
    )
    assert modern == gpu
    (single, four_views), (members, one_view) = (
        recipe_of(name) for name in ("ham10000_cpu.yaml", "ham10000_ensemble.yaml")
    )
    sizes = [found["parameters"].pop("image_size") for found in (single, members)]
    assert single == members
    # Said at the head of the ensemble's, too.
    assert sizes == [[150, 200], [112, 150]]
    # Said at the head of the ensemble's: five networks on four views each would be twenty passes.
    assert (four_views, one_view) == ({"views": "all"}, {})


@pytest.mark.parametrize("path", CONFIGS, ids=file_name)
def test_what_is_as_in_another_configuration_stands_there(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.search(r"^\s*(\S.*?)\s+# as in (\w+\.yaml)", line):
            written, other = found.groups()
            theirs = (ROOT / "configs" / other).read_text(encoding="utf-8").splitlines()
            assert written in {one.partition("#")[0].strip() for one in theirs}, (path.name, line)


def test_the_first_recipe_is_as_it_was_described() -> None:
    """30 epochs at 1e-4 with a frozen backbone, 40 at 3e-6, unfrozen step by step, with decay."""
    config = load(ROOT / "configs" / "ham10000_b4.yaml")
    steps = {name: step["parameters"]["config"] for name, step in config["steps"].items()}
    warmup = WarmupConfig(**steps["warmup_train"])
    finetune = FinetuneConfig(**steps["finetune_train"])
    augment = AugmentConfig(**steps["augment"])
    assert (warmup.epochs, warmup.learning_rate, warmup.train_backbone) == (30, 1e-4, False)
    assert (finetune.epochs, finetune.learning_rate) == (40, 3e-6)
    assert finetune.unfreeze_epochs > 0
    assert finetune.weight_decay > 0
    assert finetune.layer_rate_decay == 1
    assert (augment.imbalance, augment.mix_probability) == ("none", 0)
    for phase in (warmup, finetune):
        assert (phase.rise_epochs, phase.final_learning_rate_share) == (0, 1)
        assert (phase.ema_decay, phase.sizes, phase.accumulation_steps) == (None, (), 1)
        assert (phase.label_smoothing, phase.gradient_clip_norm) == (0, None)
    backbone = BackboneConfig(**config["parameters"]["backbone"])
    assert (backbone.name, backbone.weights) == ("efficientnet_b4", "imagenet")


def test_the_pipeline_has_its_eight_steps() -> None:
    assert {
        "ingest", "validate", "split", "augment",
        "warmup_train", "finetune_train", "evaluate", "register",
    } <= set(STEPS)  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("enable_cahce",), True),
        (("steps", "ingset"), {}),
        (("steps", "split", "enable_cahce"), False),
        (("steps", "split", "parameters"), {"confgi": {}}),
        (("steps", "split", "parameters"), {"config": {"trian": 0.5}}),
        (("steps", "split", "parameters"), {"config": {"train": 0.9, "val": 0.2}}),
        (("parameters", "imagesize"), [32, 32]),
        (("settings", "dokcer"), {}),
        (("settings", "resources"), {"gpus": 1}),
    ],
)
def test_a_mistake_in_a_configuration_is_found(place: tuple[str, ...], value: object) -> None:
    config = copy.deepcopy(load(ROOT / "configs" / "demo.yaml"))
    inner = config
    for key in place[:-1]:
        inner = inner.setdefault(key, {})
    inner[place[-1]] = value
    assert len(problems(config)) == 1
