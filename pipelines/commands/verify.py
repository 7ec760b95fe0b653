"""`skin-lesion verify`."""

import argparse

HELP = "hold a version's files, answers and test figures against what was recorded of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("version", help="number or alias of the version")
    parser.add_argument(
        "--pictures",
        action="store_true",
        help="show the model its test pictures again, from the artifacts of its run",
    )


def run(options: argparse.Namespace) -> int:
    """Verify; 0 where all is as recorded, 1 where something differs."""
    from pipelines.verification import describe, verify_version

    found = verify_version(options.version, pictures=options.pictures)
    print(describe(found))
    return 1 if found.differences else 0
