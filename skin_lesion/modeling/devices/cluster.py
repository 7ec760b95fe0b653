"""Several processes that train together, as the environment describes them.

The variables are Keras's own: `KERAS_DISTRIBUTION_JOB_ADDRESSES` (host and port of process 0, which
the others connect to), `KERAS_DISTRIBUTION_NUM_PROCESSES`, `KERAS_DISTRIBUTION_PROCESS_ID`.
"""

import os
from dataclasses import dataclass
from typing import Self

from skin_lesion.modeling.devices.errors import DevicesError

ADDRESSES = "KERAS_DISTRIBUTION_JOB_ADDRESSES"
PROCESSES = "KERAS_DISTRIBUTION_NUM_PROCESSES"
PROCESS = "KERAS_DISTRIBUTION_PROCESS_ID"


@dataclass(frozen=True)
class Cluster:
    """The processes that this one trains with.

    Attributes:
        address: Host and port of process 0.
        processes: Number of processes.
        process: Number of this one, from 0.
    """

    address: str
    processes: int
    process: int

    @classmethod
    def from_environment(cls) -> Self | None:
        """What the environment says; None where this process trains alone.

        Raises:
            DevicesError: The variables contradict each other, or one is missing.
        """
        given = {name: os.environ.get(name, "") for name in (ADDRESSES, PROCESSES, PROCESS)}
        if not any(given.values()) or given[PROCESSES] == "1":
            return None
        missing = [name for name, value in given.items() if not value]
        if missing:
            raise DevicesError(
                f"the environment lacks {' and '.join(missing)}; several processes need all of "
                f"{ADDRESSES} (host:port of process 0), {PROCESSES} and {PROCESS}"
            )
        address = given[ADDRESSES].split(",")[0].strip()
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise DevicesError(f"{ADDRESSES} is {given[ADDRESSES]!r}; expected host:port")
        if not given[PROCESSES].isdecimal() or not given[PROCESS].isdecimal():
            raise DevicesError(
                f"{PROCESSES} is {given[PROCESSES]!r} and {PROCESS} {given[PROCESS]!r}; expected "
                "whole numbers"
            )
        processes, process = int(given[PROCESSES]), int(given[PROCESS])
        if process >= processes:
            raise DevicesError(
                f"{PROCESS} is {process}; with {PROCESSES}={processes} it goes from 0 to "
                f"{processes - 1}"
            )
        return cls(address, processes, process)

    def join(self) -> None:
        """Connect to the others, and wait for them; nothing happens a second time.

        Called before JAX computes anything.

        Raises:
            DevicesError: JAX has begun to compute alone, or the others do not come.
        """
        import jax
        import keras

        if jax.distributed.is_initialized():
            return
        try:
            keras.distribution.initialize(self.address, self.processes, self.process)
        except RuntimeError as error:
            raise DevicesError(
                f"process {self.process} of {self.processes} could not join at {self.address}: "
                f"{str(error).splitlines()[0]}"
            ) from error
