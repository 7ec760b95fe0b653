"""The console script `skin-lesion`."""

import argparse
import os
import sys
from collections.abc import Sequence

from pipelines.commands import EXPECTED_ERRORS, NAMES, ROOT, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; None takes those of this process.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    _use_local_configuration()
    try:
        status: int = options.run(options)
    except EXPECTED_ERRORS as error:
        print(f"skin-lesion {options.command}: {error}", file=sys.stderr)
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


def _use_local_configuration() -> None:
    """Keep to the project's own ZenML and MLflow where `activate.sh` has not been sourced."""
    # ZenML reads its variables when it is imported, so nothing of it may be imported before.
    os.environ.setdefault("ZENML_CONFIG_PATH", str(ROOT / ".zenml"))
    os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT / '.work/store/mlflow.db'}")


if __name__ == "__main__":
    sys.exit(main())
