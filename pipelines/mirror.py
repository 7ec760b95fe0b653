"""ZenML's stage `production`: a mirror of MLflow's alias `champion`, which alone is the truth.

`register` writes into the metadata of ZenML's model version which version of MLflow it belongs to.
A run that finds its bundle registered already makes another version in ZenML for the same one in
MLflow, so several may belong to it; the newest of them is the mirror.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenml.client import Client
from zenml.enums import ModelStages

from skin_lesion.registry import MODEL_NAME, Disagreement, RegisteredVersion

if TYPE_CHECKING:
    from zenml.models import ModelVersionResponse

_VERSION, _URI = "mlflow_version", "mlflow_uri"
_PAGE = 100


@dataclass(frozen=True)
class Mirror:
    """What ZenML says is in production.

    Attributes:
        zenml_version: Number of ZenML's version; None where none is in that stage.
        mlflow_version: The version in MLflow that it belongs to; None where it names none.
        mlflow_uri: Address of that one. Unlike the number it is never given twice, not even after
            MLflow's database was made anew.
    """

    zenml_version: int | None = None
    mlflow_version: int | None = None
    mlflow_uri: str | None = None


def mirrored(name: str = MODEL_NAME) -> Mirror:
    """Look into the mirror."""
    for version in _versions(name):
        if version.stage == ModelStages.PRODUCTION:
            number = version.run_metadata.get(_VERSION)
            return Mirror(
                version.number, None if number is None else int(str(number)), _uri(version)
            )
    return Mirror()


def mirror_disagreement(
    champion: RegisteredVersion | None, mirror: Mirror, name: str = MODEL_NAME
) -> Disagreement | None:
    """What is wrong with the mirror; None where it shows what is in production.

    Args:
        champion: The version in production, in MLflow; None where nothing is.
        mirror: What ZenML says.
        name: Registered model.
    """
    if mirror.zenml_version is None:
        if champion is None or _newest_linked(champion, name) is None:
            return None  # there is nothing that could be shown
        shows = "shows no version"
    elif champion is not None and mirror.mlflow_uri == champion.uri:
        return None
    elif mirror.mlflow_version is None:
        shows = f"shows its version {mirror.zenml_version}, which belongs to no version of MLflow"
    else:
        shows = (
            f"shows its version {mirror.zenml_version}, which belongs to version "
            f"{mirror.mlflow_version} ({mirror.mlflow_uri}) of MLflow"
        )
    should = f"version {champion.version}" if champion is not None else "nothing"
    return Disagreement(
        code="mirror", text=f"ZenML's stage 'production' {shows}; {should} is in production."
    )


def follow(champion: RegisteredVersion | None, name: str = MODEL_NAME) -> str | None:
    """Make the mirror show what is in production.

    Args:
        champion: The version in production, in MLflow; None where nothing is.
        name: Registered model.

    Returns:
        What was done, in one sentence; None where there was nothing to do.
    """
    mirror = mirrored(name)
    if mirror_disagreement(champion, mirror, name) is None:
        return None
    wanted = _newest_linked(champion, name) if champion is not None else None
    if wanted is not None:
        wanted.set_stage(ModelStages.PRODUCTION, force=True)
        return f"ZenML's stage 'production' moved to its version {wanted.number}."
    # No version of ZenML belongs to it, so none may claim to be in production.
    for version in _versions(name):
        if version.stage == ModelStages.PRODUCTION:
            version.set_stage(ModelStages.ARCHIVED, force=True)
    return f"ZenML's version {mirror.zenml_version} moved from 'production' to 'archived'."


def _newest_linked(champion: RegisteredVersion, name: str) -> "ModelVersionResponse | None":
    return next((one for one in _versions(name) if _uri(one) == champion.uri), None)


def _uri(version: "ModelVersionResponse") -> str | None:
    """Address of the version in MLflow that one of ZenML belongs to."""
    uri = version.run_metadata.get(_URI)
    return None if uri is None else str(uri)


def _versions(name: str) -> "Iterator[ModelVersionResponse]":
    """ZenML's versions, the newest first."""
    client = Client()
    if not client.list_models(name=name).items:
        return
    number = 0
    while True:
        number += 1
        page = client.list_model_versions(
            model=name, sort_by="desc:number", page=number, size=_PAGE, hydrate=True
        )
        yield from page.items
        if number >= page.total_pages:
            return
