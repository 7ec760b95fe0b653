"""How much memory this process has used, on the machine and on its accelerator."""

import logging
import sys
from pathlib import Path

log = logging.getLogger(__name__)

GIB = 2.0**30
_STATUS = Path("/proc/self/status")


def host_memory() -> dict[str, float]:
    """Resident memory of this process in GiB: `host_gib` now, `host_peak_gib` at its highest.

    Pages of a mapped file that lie in memory count, since the system counts them.
    """
    known = _kernel_status()
    now = known.get("VmRSS") or _resident_bytes()
    peak = known.get("VmHWM") or _peak_bytes()
    return {"host_gib": now / GIB, "host_peak_gib": max(now, peak) / GIB}


def accelerator_memory() -> dict[str, float]:
    """Memory of the fullest accelerator in GiB: `accelerator_peak_gib` since this process started.

    Returns:
        Nothing where Keras has not been loaded, where there is no accelerator, or where it does not
        tell.
    """
    keras = sys.modules.get("keras")
    if keras is None:
        return {}
    backend = keras.backend.backend()
    peaks: list[float] = []
    if backend == "jax":
        import jax

        peaks = [
            float(stats["peak_bytes_in_use"])
            for device in jax.local_devices()
            if (stats := device.memory_stats()) and "peak_bytes_in_use" in stats
        ]
    elif backend == "tensorflow":
        peaks = _tensorflow_peaks()
    return {"accelerator_peak_gib": max(peaks) / GIB} if peaks else {}


def _tensorflow_peaks() -> list[float]:
    import tensorflow as tf

    peaks = []
    for device in tf.config.list_logical_devices("GPU"):
        try:
            found = tf.config.experimental.get_memory_info(device.name.removeprefix("/device:"))
        except (ValueError, tf.errors.OpError) as error:  # some kinds do not tell
            log.debug("%s does not tell its memory: %s", device.name, error)
        else:
            peaks.append(float(found["peak"]))
    return peaks


def _kernel_status() -> dict[str, float]:
    """What Linux says of this process, in bytes by name; empty elsewhere.

    Its peak is this process's own; that of `getrusage` may be inherited from the parent.
    """
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines]
    return {
        name.rstrip(":"): float(amount) * 1024
        for name, amount, *unit in (each for each in words if len(each) == 3)
        if unit == ["kB"]
    }


def _resident_bytes() -> float:
    import psutil

    return float(psutil.Process().memory_info().rss)


def _peak_bytes() -> float:
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset)
    import resource

    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak if sys.platform == "darwin" else peak * 1024
