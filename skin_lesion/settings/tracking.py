"""What is told of a training while it goes on."""

from pydantic import Field

from skin_lesion.settings.base import Settings


class WatchConfig(Settings):
    """How MLflow is kept up to date while a phase trains; none of it changes what is learnt.

    Attributes:
        system_metrics: Whether use of processor, memory, disk, network and accelerator is sampled.
        system_seconds: Time between two samples; the environment's
            `MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL` outweighs it.
        curves_seconds: Shortest time between two drawings of the curves.
        curves_share: Largest share of the time that drawing them may take.
        retry_seconds: Wait before a failed delivery is tried again; doubled from time to time up to
            `retry_limit_seconds`.
        retry_limit_seconds: Longest such wait.
        patience_seconds: How long a finished phase waits for a server that is away.
        patience_failed_seconds: The same where training failed, which is to be told soon.
    """

    system_metrics: bool = True
    system_seconds: float = Field(default=10.0, gt=0.0)
    curves_seconds: float = Field(default=30.0, ge=0.0)
    curves_share: float = Field(default=0.01, gt=0.0, le=1.0)
    retry_seconds: float = Field(default=2.0, gt=0.0)
    retry_limit_seconds: float = Field(default=60.0, gt=0.0)
    patience_seconds: float = Field(default=1800.0, ge=0.0)
    patience_failed_seconds: float = Field(default=15.0, ge=0.0)
