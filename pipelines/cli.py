"""The console script `skin-lesion`."""

import argparse
import os
import sys
from collections.abc import MutableMapping, Sequence

from pipelines.commands import EXPECTED_ERRORS, NAMES, ROOT, load
from pipelines.failures import explain
from skin_lesion.patience import be_quick

_INTERRUPTED = 130  # what a shell gives for Ctrl-C
# They log to MLflow for hours, and sit a short failure of its server out.
_PATIENT = ("rerun", "tune")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; None takes those of this process.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    _use_local_configuration(os.environ)
    if options.command not in _PATIENT:
        be_quick(os.environ)
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as error:
        what = explain(error)
        if what is None and isinstance(error, EXPECTED_ERRORS):
            what = str(error)
        if what is None:
            raise
        print(f"skin-lesion {options.command}: {what}", file=sys.stderr)
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skin-lesion", description="Everyday commands of the skin lesion classifier."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name in NAMES:
        module = load(name)
        command = commands.add_parser(
            name, help=module.HELP, description=f"{module.HELP[0].upper()}{module.HELP[1:]}."
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _use_local_configuration(environment: MutableMapping[str, str]) -> None:
    """Say what `activate.sh` says, where that has not been sourced: nothing leaves this project."""
    # ZenML and MLflow read their variables when they are imported, so neither may be before.
    for name, value in {
        "ZENML_CONFIG_PATH": str(ROOT / ".zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "MLFLOW_TRACKING_URI": f"sqlite:///{ROOT / '.work/store/mlflow.db'}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }.items():
        environment.setdefault(name, value)


if __name__ == "__main__":
    sys.exit(main())
