"""A search space fits the settings, or says why not before anything starts."""

from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from skin_lesion.settings import AugmentConfig, FinetuneConfig
from skin_lesion.tuning.axes import Axis, plain
from skin_lesion.tuning.recipe import Recipe, changed_config, read_recipe
from skin_lesion.tuning.search import read_search
from skin_lesion.tuning.space import SpaceError, check_space

ROOT = Path(__file__).resolve().parents[3]
SPACES = sorted((ROOT / "configs" / "search").glob("*.yaml"))
CONFIGS = [
    path
    for path in sorted((ROOT / "configs").glob("*.yaml"))
    if "pipelines.training.training_pipeline" in path.read_text(encoding="utf-8")
]
BASE = Recipe()


def drawn(written: dict[str, Any], **params: Any) -> dict[str, Any]:
    space = check_space(written, BASE)
    return space.draw(optuna.trial.FixedTrial(params or (space.starting_point() or {})))


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("finetune_train.lerning_rate", {"low": 1, "high": 2}, "did you mean 'learning_rate'"),
        ("finetune.learning_rate", {"low": 1, "high": 2}, "did you mean 'finetune_train'"),
        ("finetune_train", {"low": 1, "high": 2}, "finetune_train.learning_rate"),
        ("finetune_train.epochs.more", {"low": 1, "high": 2}, "one value and has no 'more'"),
        ("finetune_train.learning_rate", {"low": 1e-3, "high": 1e-5}, "low has to be lower"),
        ("finetune_train.learning_rate", {"low": 1e-3, "high": 1e-3}, "low has to be lower"),
        ("finetune_train.learning_rate", {"low": 0, "high": 1e-3, "log": True}, "above 0"),
        ("finetune_train.learning_rate", {"low": 0.0, "high": 1e-3}, "greater than 0"),
        ("finetune_train.learning_rate", {"low": 1e-5}, "give `low` and `high`, or `choices`"),
        ("finetune_train.learning_rate", {"low": "a", "high": 1}, "low: "),
        ("finetune_train.learning_rate", {"low": float("nan"), "high": 1}, "finite"),
        ("finetune_train.learning_rate", {"low": 1e-5, "high": 1e-3, "lgo": True}, "lgo"),
        ("finetune_train.learning_rate", [1e-5, 1e-3], "expected such as"),
        ("finetune_train.learning_rate", None, "expected such as"),
        ("finetune_train.epochs", {"low": 1.5, "high": 3}, "takes whole numbers"),
        ("finetune_train.epochs", {"low": 0, "high": 3}, "greater than or equal to 1"),
        ("finetune_train.epochs", {"choices": [1, 2.5]}, "got 2.5"),
        ("finetune_train.dropout", {"low": 0, "high": 0.5, "step": 0.3}, "whole number of steps"),
        ("finetune_train.dropout", {"low": 0.1, "high": 1.5}, "less than 1"),
        ("finetune_train.train_batchnorm", {"low": 0, "high": 1}, "give choices"),
        ("finetune_train.precision", {"choices": ["float32", "float8"]}, "got 'float8'"),
        ("augment.mix_probability", {"choices": [0.5]}, "at least two different"),
        ("augment.mix_probability", {"choices": [1, 1.0]}, "at least two different"),
        ("augment.mix_probability", {"choices": []}, "at least two different"),
        ("augment.mix_probability", {"choices": [0, 1.5]}, "got 1.5"),
        ("augment.mix_probability", {"choices": [0, 1], "low": 0}, "stand alone"),
        ("seed", {"choices": [1, 2]}, "choosing luck"),
        ("image_size", {"choices": [[96, 128], [150, 200]]}, "a study for each size"),
        ("split.train", {"low": 0.5, "high": 0.8}, "same lesions"),
        ("evaluate.resamples", {"low": 5, "high": 8}, "no search may see"),
    ],
)
def test_a_mistake_is_named_with_what_is_expected(name: str, written: Any, message: str) -> None:
    with pytest.raises(SpaceError) as found:
        check_space({name: written}, BASE)
    assert name.split(".")[0] in str(found.value)
    assert message in str(found.value)


def test_an_empty_space_is_refused_with_an_example() -> None:
    with pytest.raises(SpaceError, match=r"low: 1\.0e-5"):
        check_space({}, BASE)


def test_a_number_that_yaml_reads_as_text_is_a_number_still() -> None:
    written = yaml.safe_load("finetune_train.learning_rate: {low: 1e-5, high: 1e-3, log: true}")
    assert isinstance(written["finetune_train.learning_rate"]["low"], str)
    axis = check_space(written, BASE).axes[0]
    assert (axis.low, axis.high, axis.log) == (1e-5, 1e-3, True)


def test_whole_numbers_are_drawn_for_settings_that_take_them() -> None:
    values = drawn({"finetune_train.epochs": {"low": 2, "high": 50}})
    assert values == {"finetune_train.epochs": FinetuneConfig().epochs}
    assert type(values["finetune_train.epochs"]) is int


@pytest.mark.parametrize(
    ("name", "choices", "written"),
    [
        ("finetune_train.gradient_clip_norm", [None, 1, 5], 1.0),
        ("finetune_train.train_batchnorm", [True, False], False),
        ("backbone.name", ["mobilenet", "efficientnet_b4"], "mobilenet"),
        ("finetune_train.jit_compile", [None, True], None),
    ],
)
def test_choices_keep_their_type(name: str, choices: list[Any], written: Any) -> None:
    value = drawn({name: {"choices": choices}}, **{name: written})[name]
    assert value == written
    assert type(value) is type(written)
    assert read_recipe(changed_config({}, {name: value})) == check_space(
        {name: {"choices": choices}}, BASE
    ).recipe({name: value})


def neighbour(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value * 0.99


@pytest.mark.parametrize("part", Recipe.model_fields)
def test_every_value_of_the_recipe_can_be_searched_without_this_code_knowing_it(part: str) -> None:
    values = getattr(BASE, part).model_dump()
    numbers = {k: v for k, v in values.items() if isinstance(v, int | float) and (v or v is False)}
    assert numbers
    for key, value in numbers.items():
        name = f"{part}.{key}"
        space = check_space({name: {"choices": [value, neighbour(value)]}}, BASE)
        assert space.starting_point() == {name: value}


def test_values_that_are_impossible_together_are_found_when_they_meet() -> None:
    space = check_space({"finetune_train.epochs": {"choices": [1, 2]}}, BASE)
    with pytest.raises(SpaceError, match=r"finetune_train\.epochs"):
        space.recipe({"finetune_train.epochs": 0})


def test_the_base_is_where_a_search_begins_if_the_space_holds_it() -> None:
    inside = check_space({"augment.zoom": {"low": 0.0, "high": 0.3, "step": 0.05}}, BASE)
    assert inside.starting_point() == {"augment.zoom": AugmentConfig().zoom}
    outside = check_space({"augment.zoom": {"low": 0.2, "high": 0.3}}, BASE)
    assert outside.starting_point() is None
    between = check_space({"augment.zoom": {"low": 0.0, "high": 0.4, "step": 0.1}}, BASE)
    assert between.starting_point() is None


def test_a_changed_configuration_keeps_the_rest_and_leaves_its_origin_alone() -> None:
    config = {"steps": {"augment": None, "split": {"parameters": {"config": {"train": 0.6}}}}}
    changed = changed_config(config, {"augment.zoom": 0.2, "backbone.name": "mobilenet"})
    assert config["steps"]["augment"] is None
    assert changed["steps"]["split"] == config["steps"]["split"]
    recipe = read_recipe(changed)
    assert (recipe.augment.zoom, recipe.backbone.name) == (0.2, "mobilenet")


def test_the_recipe_is_what_the_steps_of_the_pipeline_take() -> None:
    from typing import get_type_hints

    from pipelines.recorded_run import parameter_kinds
    from steps.augment import augment
    from steps.finetune_train import finetune_train
    from steps.warmup_train import warmup_train

    kinds = {name: field.annotation for name, field in Recipe.model_fields.items()}
    assert kinds.pop("backbone") == parameter_kinds()["backbone"]
    steps = {"augment": augment, "warmup_train": warmup_train, "finetune_train": finetune_train}
    assert kinds == {
        name: get_type_hints(step.entrypoint)["config"] for name, step in steps.items()
    }


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_every_search_of_the_project_holds_every_training_configuration(
    path: Path, config: Path
) -> None:
    space = read_search(path, read_recipe(yaml.safe_load(config.read_text()))).space
    assert space.left_out() == ()
    assert space.starting_point() is not None


def test_there_are_searches_and_training_configurations() -> None:
    assert len(SPACES) >= 2
    assert len(CONFIGS) >= 7


def test_what_the_space_leaves_out_is_said_as_the_file_has_it() -> None:
    written = {
        "augment.zoom": {"low": 0.2, "high": 0.3, "step": 0.05},
        "finetune_train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "finetune_train.jit_compile": {"choices": [True, False]},
        "finetune_train.dropout": {"low": 0.0, "high": 0.5},
    }
    assert check_space(written, BASE).left_out() == (
        "augment.zoom is 0.15, but searched in {low: 0.2, high: 0.3, step: 0.05}",
        "finetune_train.learning_rate is 3e-06, but searched in {low: 1.0e-05, high: 0.001, log: true}",
        "finetune_train.jit_compile is None, but searched in {choices: [true, false]}",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("space: {a.b: {low: 1, high: 2}}\nstuff: 1", "has stuff"),
        ("- a", "holds list"),
        ("space: [a]", "space is"),
        ("{", "is no YAML"),
        ("", "holds NoneType"),
        ("study: {seed: -1}\nspace: {augment.zoom: {low: 0, high: 0.1}}", "seed"),
        ("space: {}", "space is empty"),
    ],
)
def test_a_file_that_is_no_search_says_so(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as found:
        read_search(path, BASE)
    assert str(path) in str(found.value)


def test_lists_of_settings_are_choices_too() -> None:
    stages = ((), (AugmentConfig(zoom=0.1), AugmentConfig()))
    axis = Axis("any", choices=stages)
    keys = [axis.written(choice) for choice in stages]
    assert [axis.read(key) for key in keys] == list(stages)
    assert all(axis.holds(choice) for choice in stages)
    assert yaml.safe_load(yaml.safe_dump(plain(stages[1])))[0]["zoom"] == 0.1
