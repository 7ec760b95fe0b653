"""The console script `skin-lesion`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STACK = ROOT / "configs" / "stacks" / "local.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Words of the command line; None takes those of this process.

    Returns:
        Exit status.
    """
    options = _parser().parse_args(arguments)
    _use_local_configuration()
    status: int = options.command(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skin-lesion", description="Everyday commands of the skin lesion classifier."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    setup = commands.add_parser(
        "setup", help="set up the local ZenML stack; harmless where it is there already"
    )
    setup.add_argument("--stack", type=Path, default=STACK, help="its description (%(default)s)")
    setup.add_argument(
        "--root", type=Path, default=ROOT, help="folder that its relative paths count from"
    )
    setup.set_defaults(command=_setup)
    results = commands.add_parser(
        "results", help="show the figures of the last training run and what to open next"
    )
    results.set_defaults(command=_results)
    evaluate = commands.add_parser(
        "evaluate", help="measure a registered model on labelled pictures from elsewhere"
    )
    evaluate.add_argument(
        "--model", required=True, help="version or alias in the registry, or folder of a bundle"
    )
    evaluate.add_argument(
        "--external", type=Path, required=True, help="folder or zip with the pictures"
    )
    evaluate.add_argument(
        "--labels",
        type=Path,
        required=True,
        help="CSV with a column that names the picture and one with the diagnosis, or one column "
        "for each class",
    )
    evaluate.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=CODE",
        help="what a diagnosis of the CSV is called here; without a code its pictures are left out",
    )
    evaluate.add_argument(
        "--output", type=Path, help="folder to be made (.work/external/NAME-MODEL)"
    )
    evaluate.add_argument("--seed", type=int, default=17, help="of all draws (%(default)s)")
    evaluate.set_defaults(command=_evaluate)
    return parser


def _use_local_configuration() -> None:
    """Keep to the project's own ZenML and MLflow where `activate.sh` has not been sourced."""
    # ZenML reads its variables when it is imported, so nothing of it may be imported before.
    os.environ.setdefault("ZENML_CONFIG_PATH", str(ROOT / ".zenml"))
    os.environ.setdefault("ZENML_ANALYTICS_OPT_IN", "false")
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{ROOT / '.work/store/mlflow.db'}")


def _setup(options: argparse.Namespace) -> int:
    from pipelines.stacks import StackError, set_up_stack

    try:
        stack = set_up_stack(options.stack, options.root.resolve())
    except StackError as error:
        print(f"skin-lesion setup: {error}", file=sys.stderr)
        return 1
    state = "created" if stack.created else "already there"
    print(f"Stack '{stack.name}' {state} and active; artifacts in {stack.store}")
    return 0


def _results(_: argparse.Namespace) -> int:
    from pipelines.results import describe_last_run

    try:
        print(describe_last_run(os.environ["MLFLOW_TRACKING_URI"]))
    except LookupError as error:
        print(f"skin-lesion results: {error}", file=sys.stderr)
        return 1
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from pipelines.external import ExternalRequest, run_external

    try:
        request = ExternalRequest(
            model=options.model,
            pictures=options.external,
            labels=options.labels,
            mapping=options.map,
            output=options.output,
            seed=options.seed,
        )
        print(run_external(request, ROOT / ".work" / "external"))
    except (LookupError, ValueError, OSError, RuntimeError) as error:
        print(f"skin-lesion evaluate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
