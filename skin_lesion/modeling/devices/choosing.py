"""Which devices a training runs on, by its setting, the backend and the environment."""

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

from skin_lesion.modeling.devices.cluster import PROCESSES, Cluster
from skin_lesion.modeling.devices.errors import DevicesError
from skin_lesion.modeling.devices.one import Devices, OneDevice

# None is one device, `all` every one of this machine.
DeviceCount = int | Literal["all"] | None


@contextlib.contextmanager
def use_devices(wanted: DeviceCount, batch_size: int) -> Iterator[Devices]:
    """Train on devices of this machine, together with the processes that the environment names.

    Accelerators if there are any, else processors. Models and optimizers are made within.

    Args:
        wanted: How many devices of this machine: None is one, `all` every one.
        batch_size: Images in a step, of all devices together.

    Yields:
        What the training loop speaks to.

    Raises:
        DevicesError: There are not so many devices, the batch cannot be shared evenly among them,
            or the backend cannot do it.
    """
    import keras

    cluster = Cluster.from_environment()
    backend = keras.backend.backend()
    if backend == "jax":
        if cluster is not None:
            cluster.join()
        chosen = _jax(wanted, cluster)
    else:
        _refuse_cluster(cluster, backend)
        chosen = _tensorflow(wanted) if backend == "tensorflow" else _other(wanted, backend)
    devices, scope = chosen
    devices.require_even(batch_size)
    with scope:
        try:
            yield devices
        finally:
            devices.release()


def _tensorflow(wanted: DeviceCount) -> tuple[Devices, Any]:
    import tensorflow as tf

    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    names = [device.name for device in tf.config.list_logical_devices(kind)]
    count = _number(wanted, len(names), kind)
    first = tf.config.list_physical_devices(kind)[0]
    name = tf.config.experimental.get_device_details(first).get("device_name", first.name)
    if count == 1:
        return OneDevice(kind.lower(), name), contextlib.nullcontext()
    from skin_lesion.modeling.devices.mirrored import MirroredDevices

    strategy = tf.distribute.MirroredStrategy(names[:count])
    return MirroredDevices(strategy, kind.lower(), name), strategy.scope()


def _jax(wanted: DeviceCount, cluster: Cluster | None) -> tuple[Devices, Any]:
    import jax
    import keras

    mine = jax.local_devices()
    count = _number(wanted, len(mine), mine[0].platform)
    if count == 1 and cluster is None:
        return OneDevice(mine[0].platform, mine[0].device_kind), contextlib.nullcontext()
    from skin_lesion.modeling.devices.sharded import ShardedDevices

    # The rows of a process are one piece of the batch, so its devices have to stand together.
    together = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    chosen: list[str] = []
    for process in range(jax.process_count()):
        theirs = [device for device in together if device.process_index == process]
        if len(theirs) < count:
            raise DevicesError(
                f"process {process} has {len(theirs)} devices and process {jax.process_index()} "
                f"trains on {count}; every process trains on equally many: set devices to "
                f"{len(theirs)} or less"
            )
        chosen += [f"{device.platform}:{device.id}" for device in theirs[:count]]
    distribution = keras.distribution.DataParallel(devices=chosen, auto_shard_dataset=False)
    devices = ShardedDevices(distribution)
    # Processes that disagree would wait for one another without end.
    devices.require_same("the number of devices", str(count))
    return devices, distribution.scope()


def _other(wanted: DeviceCount, backend: str) -> tuple[Devices, Any]:
    if wanted not in (None, 1):
        raise DevicesError(
            f"devices is {wanted!r}, but on the Keras backend {backend!r} training takes one; use "
            "KERAS_BACKEND=tensorflow or KERAS_BACKEND=jax"
        )
    return OneDevice("cpu", backend), contextlib.nullcontext()


def _refuse_cluster(cluster: Cluster | None, backend: str) -> None:
    if cluster is not None:
        raise DevicesError(
            f"{PROCESSES} is {cluster.processes}, but on the Keras backend {backend!r} one process "
            "trains: Keras 3 cannot train under tf.distribute.MultiWorkerMirroredStrategy; use "
            "KERAS_BACKEND=jax, or unset that variable"
        )


def _number(wanted: DeviceCount, there: int, kind: str) -> int:
    """How many devices are taken."""
    if wanted is None:
        return 1
    if wanted == "all":
        return there
    if wanted > there:
        raise DevicesError(
            f"devices is {wanted}, but this machine shows {there} of the kind "
            f"{kind.lower()!r}; set it to {there} or less, or to 'all'"
        )
    return wanted
