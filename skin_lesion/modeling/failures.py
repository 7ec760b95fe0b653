"""What ends a training, told with what to change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skin_lesion.disk import DiskFullError

if TYPE_CHECKING:
    from skin_lesion.modeling.phase import Phase

__all__ = ["DiskFullError", "OutOfMemoryError", "TrainingDivergedError", "explained"]

_LONGEST = 300  # of what a backend says, which goes on for pages
# Keras raises what went wrong in a layer anew, as another class where it cannot make the same one. The
# second is how TensorFlow tells that a GPU had no room for a copy.
_SURE = ("OOM when allocating tensor", "Dst tensor is not initialized")


class TrainingDivergedError(RuntimeError):
    """The loss stopped being a number."""


class OutOfMemoryError(RuntimeError):
    """A training needs more memory than there is."""


@contextmanager
def explained(
    phase: "Phase", devices: int, stays: Callable[[], str], elsewhere: str
) -> Iterator[None]:
    """Have a lost loss, or a lack of memory or room, told with what to change, and with what is left.

    Args:
        phase: What is trained.
        devices: That share a batch.
        stays: Says what is left of it, and how to go on.
        elsewhere: How to have the checkpoints on another disk.

    Raises:
        TrainingDivergedError: The loss became infinite or not a number.
        OutOfMemoryError: The memory is used up, of the machine or of its accelerator.
        DiskFullError: There is no room for a checkpoint or for smaller copies of the pictures.
    """
    try:
        yield
    except TrainingDivergedError as error:
        raise TrainingDivergedError(
            f"{phase.name} cannot go on: {error}. With another value the phase begins anew, since it is "
            f"another one. As it is, it would most likely end like this again: {stays()}"
        ) from error
    except DiskFullError as error:
        raise DiskFullError(f"{error}. Make room there, or {elsewhere}; {stays()}") from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{phase.name} ran out of memory ({_said(error)}). To need less of it, "
            f"{less_memory(phase, devices)}; the phase then begins anew, since it is another one. As it "
            f"is: {stays()}"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is how NumPy, TensorFlow or JAX tell that the memory is used up."""
    if isinstance(error, MemoryError):
        return True
    words = str(error)
    if any(sure in words for sure in _SURE):
        return True
    # By name, since neither is imported where the other one trains. TensorFlow says the same of a
    # full disk and of too many files, but then nothing of memory.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    exhausted = "ResourceExhaustedError" in kinds or "RESOURCE_EXHAUSTED" in words
    return exhausted and "memory" in words.lower()


def _said(error: BaseException) -> str:
    """The line of an error that says what could not be had; the first one may say nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "OOM" in line or "memory" in line.lower()]
    return next(iter(telling or lines), type(error).__name__)[:_LONGEST]


def less_memory(phase: "Phase", devices: int) -> str:
    """What to set so that a phase needs less memory.

    Args:
        phase: With what is set now.
        devices: That share a batch; it has to stay a multiple of their number.
    """
    config = phase.config
    height, width = phase.image_size
    size = smaller_batch(config.batch_size, devices)
    ways = []
    if size is not None:
        steps = config.accumulation_steps * config.batch_size // size
        ways.append(
            f"batch_size to {size} and accumulation_steps to {steps} (now {config.batch_size} and "
            f"{config.accumulation_steps}; an update is still of {steps * size} images)"
        )
    if config.precision == "float32":
        ways.append("precision to mixed_bfloat16")
    ways.append(f"image_size smaller (now {height} x {width})")
    return f"set {', or '.join(ways)}"


def smaller_batch(size: int, devices: int) -> int | None:
    """The largest part of a batch that leaves no rest and that devices can share.

    None where there is no such batch of at least two images.
    """
    parts = (size // times for times in range(2, size + 1) if size % times == 0)
    return next((part for part in parts if part >= 2 and part % devices == 0), None)
