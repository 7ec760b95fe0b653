"""A card of an ensemble says what it is, and who chose its weights on what."""

from typing import Any

import pytest

from skin_lesion.evaluation.cards import answers_model
from skin_lesion.evaluation.cards.facts import CardFacts
from skin_lesion.evaluation.cards.model_card import model_card
from skin_lesion.evaluation.cards.places import ARTIFACTS


@pytest.fixture
def of_three(facts: CardFacts) -> CardFacts:
    assert facts.training is not None
    return facts.model_copy(
        update={
            "model": facts.model.model_copy(update={"members": 3}),
            "training": facts.training.model_copy(update={"epochs_kept": (17, 9, 12)}),
        }
    )


def test_the_card_says_of_how_many_networks_it_is_and_which_epochs_were_kept(
    of_three: CardFacts,
) -> None:
    card = model_card(of_three, ARTIFACTS)
    assert "Average of the logits of 3 networks" in card
    assert "the weights after epochs 17, 9, 12 were kept, one network each" in card
    assert "chosen on the fold of the training lesions that the network did not learn from" in card
    assert "were kept, chosen on validation" not in card
    assert "and from it one for each network" in card


def test_the_card_of_one_network_speaks_of_no_ensemble(facts: CardFacts) -> None:
    card = model_card(facts, ARTIFACTS)
    assert "nsemble" not in card
    assert "the weights after epoch 19 were kept, chosen on validation" in card


@pytest.mark.parametrize("answer", [answers_model.selection, answers_model.analysis])
def test_no_checklist_says_that_validation_chose_the_weights_of_an_ensemble(
    answer: Any, of_three: CardFacts
) -> None:
    assert "17, 9, 12" in answer(of_three).text
    assert "chosen on validation" not in answer(of_three).text


def test_the_checklists_report_the_ensemble(facts: CardFacts, of_three: CardFacts) -> None:
    assert answers_model.ensembling(facts).status == "not applicable"
    found = answers_model.ensembling(of_three)
    assert found.status == "reported"
    assert "3 networks" in found.text


def test_the_card_says_what_the_prediction_sets_of_an_ensemble_come_from(
    of_three: CardFacts, facts: CardFacts
) -> None:
    stated = "The 3 members learnt from different folds of the training lesions, and no answer to"
    assert stated in model_card(of_three, ARTIFACTS)
    assert "members learnt from" not in model_card(facts, ARTIFACTS)
