"""What is recorded of the devices that a phase was trained on."""

import os
import platform

from pydantic import BaseModel, ConfigDict


class DeviceFacts(BaseModel):
    """Devices of a training, for its MLflow run.

    Attributes:
        backend: Of Keras: `tensorflow` or `jax`.
        platform: `cpu`, `gpu` or `tpu`.
        name: What the maker calls the device, or the processor of the machine.
        count: Devices that share a batch, of all processes together.
        processes: Processes that train together.
        precision: Keras dtype policy of the computation.
        xla: Whether the steps are compiled by XLA.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str
    platform: str
    name: str
    count: int
    processes: int
    precision: str
    xla: bool

    def tags(self, phase: str) -> dict[str, str]:
        """Tags of an MLflow run, apart for each phase, since each may run on another machine.

        Tags and not parameters: a phase that is resumed elsewhere sets them anew, and parameters of
        a run cannot change.
        """
        return {f"{phase}.device.{name}": str(value) for name, value in self.model_dump().items()}


def device_name(kind: str, reported: str) -> str:
    """What a device is called; a backend tells of a processor no more than that it is one.

    Args:
        kind: `cpu`, `gpu` or `tpu`.
        reported: By the backend.
    """
    if kind != "cpu":
        return reported
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores"
