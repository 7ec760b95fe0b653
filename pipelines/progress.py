"""What a long command is doing, a line at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("skin_lesion", "pipelines")


@contextmanager
def stages_on_stderr() -> Iterator[None]:
    """Show what library and pipelines log, each line with the time, so that a log file reads well.

    Lines of other libraries stay where their own settings send them, and afterwards everything is
    as it was before.
    """
    handler = logging.StreamHandler()  # stderr
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # a root with a handler of its own would say everything twice
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
