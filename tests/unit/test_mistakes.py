"""What is wrong with a value is one line that names it."""

import pytest
from pydantic import ValidationError

from skin_lesion.mistakes import mistakes
from skin_lesion.settings import SplitConfig
from skin_lesion.tuning.recipe import Recipe


def refused(**values: object) -> ValidationError:
    with pytest.raises(ValidationError) as found:
        Recipe.model_validate({"finetune_train": values})
    return found.value


def test_every_mistake_is_told_with_its_place_and_what_was_given() -> None:
    told = mistakes(refused(epochs=0, dropout=2.0))
    assert "finetune_train.epochs: " in told
    assert ", got 0; finetune_train.dropout: " in told
    assert told.endswith(", got 2.0")


def test_only_what_is_wrong_below_a_place_is_told() -> None:
    error = refused(epochs=0, dropout=2.0)
    told = mistakes(error, below=("finetune_train", "dropout"))
    assert told.startswith("finetune_train.dropout: ")
    assert "epochs" not in told
    assert mistakes(error, below=("augment",)) == ""


def test_of_a_rule_on_several_values_the_rule_alone_is_told() -> None:
    with pytest.raises(ValidationError) as found:
        SplitConfig(train=0.9, val=0.2)
    told = mistakes(found.value)
    assert told == "train + val is 1.1; it has to be below 1 so that a test split is left"
