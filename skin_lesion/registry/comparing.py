"""Two registered versions on the same test images."""

from pydantic import BaseModel, ConfigDict

from skin_lesion.evaluation.comparison import Comparison, compare
from skin_lesion.registry.lookup import find_version
from skin_lesion.registry.measurements import recorded_report, recorded_sample
from skin_lesion.registry.version import DEFAULTS, MODEL_NAME, RegisteredVersion
from skin_lesion.settings import RegistryConfig

_SAME = {"data_fingerprint": "data", "split_hash": "split"}


class VersionComparison(BaseModel):
    """What came of it.

    Attributes:
        a: The first version.
        b: The second.
        comparison: Every figure of both, and b - a with its interval.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: RegisteredVersion
    b: RegisteredVersion
    comparison: Comparison


def compare_versions(
    a: int | str,
    b: int | str,
    *,
    name: str = MODEL_NAME,
    config: RegistryConfig = DEFAULTS,
) -> VersionComparison:
    """Compare two versions by what they said of the same test images.

    Args:
        a: Number or alias of the first.
        b: Number or alias of the second.
        name: Registered model.
        config: Resamples and seed.

    Raises:
        LookupError: No such version, or what it said is not to be had.
        ValueError: They are one version, or were tested on different images.
    """
    first, second = find_version(a, name), find_version(b, name)
    if first.version == second.version:
        raise ValueError(f"{a} and {b} are both version {first.version}; name two versions")
    for tag, what in _SAME.items():
        one, other = first.tags.get(tag, "none"), second.tags.get(tag, "none")
        if one != other:
            raise ValueError(
                f"version {first.version} was tested on {what} {one[:12]} and version "
                f"{second.version} on {what} {other[:12]}: they share no test images that neither "
                "has seen in training, so their figures cannot be compared; train both on the same "
                "data with the same split (and seed)"
            )
    bins = recorded_report(second).summary.freezing.calibration.bins
    comparison = compare(
        recorded_sample(first),
        recorded_sample(second),
        count=config.resamples,
        seed=config.seed,
        bins=bins,
    )
    return VersionComparison(a=first, b=second, comparison=comparison)
