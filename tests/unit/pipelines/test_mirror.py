"""ZenML's stage shows what MLflow's alias says, and its difference is told."""

from collections.abc import Iterator

import pytest
from zenml import log_metadata
from zenml.client import Client

from pipelines.mirror import Mirror, follow, mirror_disagreement, mirrored
from skin_lesion.registry import RegisteredVersion

NAME = "mirrored-classifier"


def mlflow_version(number: int, uri: str | None = None) -> RegisteredVersion:
    return RegisteredVersion(
        name=NAME, version=number, uri=uri or f"models:/m-{number}", bundle_hash="", run_id="r",
        created=False, tags={},
    )  # fmt: skip


SEVEN, EIGHT, FOREIGN = mlflow_version(7), mlflow_version(8), mlflow_version(99)


@pytest.fixture
def versions() -> Iterator[None]:
    """ZenML's versions 1 to 3, which belong to MLflow's 7, 8 and 8; and 4, which names none."""
    client = Client()
    client.create_model(NAME)
    for number, linked in {1: SEVEN, 2: EIGHT, 3: EIGHT, 4: None}.items():
        client.create_model_version(NAME)
        if linked is not None:
            log_metadata(linked.link(), model_name=NAME, model_version=str(number))
    yield
    client.delete_model(NAME)


def stages() -> dict[int, str | None]:
    found = Client().list_model_versions(model=NAME, hydrate=True)
    return {version.number: version.stage for version in found}


def set_stage(number: int) -> None:
    Client().get_model_version(NAME, number).set_stage("production", force=True)


def test_the_newest_version_that_belongs_to_the_champion_is_the_mirror(versions) -> None:
    assert mirrored(NAME) == Mirror()
    assert follow(EIGHT, NAME) == "ZenML's stage 'production' moved to its version 3."
    assert mirrored(NAME) == Mirror(3, 8, "models:/m-8")
    assert follow(EIGHT, NAME) is None


def test_the_one_before_is_archived(versions) -> None:
    follow(EIGHT, NAME)
    follow(SEVEN, NAME)
    assert stages() == {1: "production", 2: None, 3: "archived", 4: None}


def test_any_version_that_belongs_to_the_champion_will_do(versions) -> None:
    set_stage(2)
    assert mirror_disagreement(EIGHT, mirrored(NAME), NAME) is None
    assert follow(EIGHT, NAME) is None


@pytest.mark.parametrize(
    ("number", "champion", "words"),
    [
        (
            1,
            EIGHT,
            "its version 1, which belongs to version 7 (models:/m-7) of MLflow; version 8 is",
        ),
        (4, EIGHT, "its version 4, which belongs to no version of MLflow"),
        # MLflow's database was made anew: the number is the same and the model is another.
        (3, mlflow_version(8, "models:/m-new"), "belongs to version 8 (models:/m-8)"),
        (1, None, "nothing is in production"),
    ],
)
def test_another_version_in_the_mirror_is_told_and_set_right(
    versions, number: int, champion: RegisteredVersion | None, words: str
) -> None:
    set_stage(number)
    told = mirror_disagreement(champion, mirrored(NAME), NAME)
    assert told is not None
    assert words in told.text
    follow(champion, NAME)
    assert mirror_disagreement(champion, mirrored(NAME), NAME) is None
    shown = mirrored(NAME).mlflow_uri
    assert shown == (champion.uri if champion is EIGHT else None)


def test_an_empty_mirror_is_told_where_there_is_something_to_show(versions) -> None:
    told = mirror_disagreement(SEVEN, mirrored(NAME), NAME)
    assert told is not None
    assert "shows no version" in told.text


def test_a_champion_that_zenml_does_not_know_leaves_no_other_in_production(versions) -> None:
    """It was registered elsewhere, so nothing can show it, and nothing may contradict it."""
    assert mirror_disagreement(FOREIGN, mirrored(NAME), NAME) is None
    set_stage(1)
    assert follow(FOREIGN, NAME) == "ZenML's version 1 moved from 'production' to 'archived'."
    assert mirrored(NAME) == Mirror()
    assert mirror_disagreement(FOREIGN, mirrored(NAME), NAME) is None


def test_a_model_that_zenml_does_not_know_shows_nothing() -> None:
    assert mirrored("a-model-that-nobody-made") == Mirror()
    assert follow(SEVEN, "a-model-that-nobody-made") is None
