"""`skin-lesion setup`."""

import argparse
from pathlib import Path

from pipelines.commands import ROOT

HELP = "set up the local ZenML stack; harmless where it is there already"
_STACK = ROOT / "configs" / "stacks" / "local.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--stack", type=Path, default=_STACK, help="its description (%(default)s)")
    parser.add_argument(
        "--root", type=Path, default=ROOT, help="folder that its relative paths count from"
    )


def run(options: argparse.Namespace) -> int:
    """Set the stack up and say where it is."""
    from pipelines.stacks import set_up_stack

    stack = set_up_stack(options.stack, options.root.resolve())
    state = "created" if stack.created else "already there"
    print(f"Stack '{stack.name}' {state} and active; artifacts in {stack.store}")
    return 0
