"""What ZenML's mirror was last made to show, written down in MLflow for those who cannot ask ZenML.

The command line moves the mirror and records it here. Whoever else changes production, such as the
dashboard, cannot: by this record it can tell that the mirror lags behind.
"""

import logging
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from skin_lesion.registry.version import MODEL_NAME, RegisteredVersion

_TAG = "zenml_mirror"
log = logging.getLogger(__name__)


class MirrorRecord(BaseModel):
    """When the mirror was last made to follow, and what it followed.

    Attributes:
        version: Version that was in production then; None where none was.
        uri: Its address, which is never given twice; None where there was none.
        when: In UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int | None
    uri: str | None
    when: datetime

    def shows(self, champion: RegisteredVersion | None) -> bool:
        """Whether the mirror was last made to show what is in production now."""
        return self.uri == (champion.uri if champion else None)


def record_mirror(champion: RegisteredVersion | None, name: str = MODEL_NAME) -> None:
    """Write down that the mirror follows; it is the mirror that counts, so no failure is raised.

    Args:
        champion: The version in production that the mirror was made to follow.
        name: Registered model.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    record = MirrorRecord(
        version=champion.version if champion else None,
        uri=champion.uri if champion else None,
        when=datetime.now(UTC),
    )
    try:
        last = mirror_record(name)
        if last is None or not last.shows(champion):
            mlflow.MlflowClient().set_registered_model_tag(name, _TAG, record.model_dump_json())
    except MlflowException as error:
        log.warning("that ZenML's mirror was moved is not recorded in MLflow: %s", error)


def mirror_record(name: str = MODEL_NAME) -> MirrorRecord | None:
    """The last record; None where there is none that can be read."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        text = mlflow.MlflowClient().get_registered_model(name).tags.get(_TAG)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if text is None:
        return None
    try:
        return MirrorRecord.model_validate_json(text)
    except ValidationError:  # somebody else's tag
        return None
