"""Verifies a registered version, with the pictures of its run where they are asked for."""

from typing import TYPE_CHECKING

from zenml.client import Client

from skin_lesion.registry import Verification, find_version, run_name, verify

if TYPE_CHECKING:
    from skin_lesion.data.image_array import ImageArray
    from skin_lesion.data.split_table import SplitTable


def verify_version(version: str, *, pictures: bool) -> Verification:
    """Verify a version.

    Args:
        version: Number or alias.
        pictures: Whether the model is shown its test pictures again.

    Raises:
        LookupError: No such version, or its run and artifacts are not to be had.
    """
    found = find_version(version)
    artifacts = pictures_of(run_name(found)) if pictures else None
    return verify(found.version, pictures=artifacts)


def pictures_of(run_name: str) -> "tuple[ImageArray, SplitTable]":
    """The pictures that a run of the pipeline saw, and their split.

    Raises:
        LookupError: ZenML knows no such run, or its artifacts are gone.
    """
    try:
        steps = Client().get_pipeline_run(run_name, allow_name_prefix_match=False).steps
        images = steps["ingest"].outputs["images"][0].load()
        split = steps["split"].outputs["split"][0].load()
    # ZenML raises KeyError for what it does not know, and the store OSError for what is gone.
    except (KeyError, OSError) as error:
        raise LookupError(
            f"the pictures of run {run_name!r} are not to be had from ZenML ({error}); verify "
            "without --pictures, which needs the recorded answers alone"
        ) from error
    return images, split


def describe(found: Verification) -> str:
    """What was held against what, and what differs."""
    version = found.version
    lines = [
        f"{version.name}, version {version.version}, bundle {version.bundle_hash[:12]}",
        f"  {found.files} files against their checksums, and a known answer of the loaded model",
        f"  {found.figures} figures of the test split against the recorded answers to "
        f"{found.images} images",
    ]
    if found.pictures is not None:
        lines.append(
            f"  {found.pictures} test pictures shown to the model again: probabilities differ by "
            f"up to {found.largest_difference:.2g} from the recorded ones"
        )
    if not found.differences:
        return "\n".join([*lines, "All is as recorded."])
    return "\n".join(
        [*lines, "It differs from its record:", *(f"  {d}" for d in found.differences)]
    )
