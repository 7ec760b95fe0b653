"""ZenML's stage shows what MLflow's alias says, and its difference is told."""

from collections.abc import Iterator

import pytest
from zenml import log_metadata
from zenml.client import Client

from pipelines.mirror import Mirror, follow, mirror_disagreement, mirrored

NAME = "mirrored-classifier"


@pytest.fixture
def versions() -> Iterator[dict[int, int]]:
    """ZenML's versions 1 to 3, which belong to MLflow's 7, 8 and 8; and 4, which names none."""
    client = Client()
    client.create_model(NAME)
    for number, mlflow_version in {1: 7, 2: 8, 3: 8, 4: None}.items():
        client.create_model_version(NAME)
        if mlflow_version is not None:
            log_metadata(
                {"mlflow_model": NAME, "mlflow_version": mlflow_version},
                model_name=NAME,
                model_version=str(number),
            )
    yield {1: 7, 2: 8, 3: 8}
    client.delete_model(NAME)


def stages() -> dict[int, str | None]:
    found = Client().list_model_versions(model=NAME, hydrate=True)
    return {version.number: version.stage for version in found}


def set_stage(number: int) -> None:
    Client().get_model_version(NAME, number).set_stage("production", force=True)


def test_the_newest_version_that_belongs_to_the_champion_is_the_mirror(versions) -> None:
    assert mirrored(NAME) == Mirror()
    assert follow(8, NAME) == "ZenML's stage 'production' moved to its version 3."
    assert mirrored(NAME) == Mirror(zenml_version=3, mlflow_version=8)
    assert follow(8, NAME) is None


def test_the_one_before_is_archived(versions) -> None:
    follow(8, NAME)
    follow(7, NAME)
    assert stages() == {1: "production", 2: None, 3: "archived", 4: None}


def test_any_version_that_belongs_to_the_champion_will_do(versions) -> None:
    set_stage(2)
    assert mirror_disagreement(8, mirrored(NAME), NAME) is None
    assert follow(8, NAME) is None


@pytest.mark.parametrize(
    ("number", "champion", "words"),
    [
        (1, 8, "its version 1, which belongs to version 7 of MLflow; version 8 is in production"),
        (4, 8, "its version 4, which belongs to no version of MLflow"),
        (1, None, "nothing is in production"),
    ],
)
def test_another_version_in_the_mirror_is_told_and_set_right(
    versions, number: int, champion: int | None, words: str
) -> None:
    set_stage(number)
    told = mirror_disagreement(champion, mirrored(NAME), NAME)
    assert told is not None
    assert words in told.text
    follow(champion, NAME)
    assert mirror_disagreement(champion, mirrored(NAME), NAME) is None
    assert mirrored(NAME).mlflow_version == champion


def test_an_empty_mirror_is_told_where_there_is_something_to_show(versions) -> None:
    told = mirror_disagreement(7, mirrored(NAME), NAME)
    assert told is not None
    assert "shows no version" in told.text


def test_a_champion_that_zenml_does_not_know_leaves_no_other_in_production(versions) -> None:
    """It was registered elsewhere, so nothing can show it, and nothing may contradict it."""
    assert mirror_disagreement(99, mirrored(NAME), NAME) is None
    set_stage(1)
    assert follow(99, NAME) == "ZenML's version 1 moved from 'production' to 'archived'."
    assert mirrored(NAME) == Mirror()
    assert mirror_disagreement(99, mirrored(NAME), NAME) is None


def test_a_model_that_zenml_does_not_know_shows_nothing() -> None:
    assert mirrored("a-model-that-nobody-made") == Mirror()
    assert follow(1, "a-model-that-nobody-made") is None
