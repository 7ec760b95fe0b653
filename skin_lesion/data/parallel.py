"""One function over many chunks, on every core."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def map_chunks(
    function: Callable[[Chunk], Result], chunks: Sequence[Chunk], workers: int
) -> Iterator[Result]:
    """Yield `function(chunk)` for each chunk, in order.

    Worker processes are started afresh rather than forked, since the caller may hold threads, and
    never import the caller's main module, since that may be a whole command line. A single chunk
    is worked off in this process.

    Args:
        function: A function of an importable module, or a partial of one.
        chunks: Its arguments.
        workers: Number of processes; 0 means one a core.
    """
    import joblib

    count = min(workers or joblib.cpu_count(), len(chunks))
    if count <= 1:
        yield from map(function, chunks)
        return
    with joblib.Parallel(n_jobs=count, batch_size=1, return_as="generator") as pool:
        yield from pool(joblib.delayed(function)(chunk) for chunk in chunks)
