"""`skin-lesion results`."""

import argparse
import os

HELP = "show the figures of the last training run and what to open next"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no arguments."""


def run(_: argparse.Namespace) -> int:
    """Describe the last run."""
    from pipelines.results import describe_last_run

    print(describe_last_run(os.environ["MLFLOW_TRACKING_URI"]))
    return 0
