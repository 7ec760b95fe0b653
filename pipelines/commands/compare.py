"""`skin-lesion compare`."""

import argparse

HELP = "compare two registered versions on the same test images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("a", help="number or alias of the first version")
    parser.add_argument("b", help="number or alias of the second version")


def run(options: argparse.Namespace) -> int:
    """Compare, and print a table."""
    from pipelines.comparison import describe
    from skin_lesion.registry import compare_versions

    print(describe(compare_versions(options.a, options.b)))
    return 0
