"""Two registered versions on the same test images."""

from pydantic import BaseModel, ConfigDict

from skin_lesion.data.looking import Ledger, Purpose, look_at_answers
from skin_lesion.evaluation.comparison import Comparison, compare
from skin_lesion.ledger import environments_ledger
from skin_lesion.registry.lookup import find_version
from skin_lesion.registry.measurements import looked_at, recorded_report, recorded_sample
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
    ledger: Ledger | None = None,
    user: str | None = None,
) -> VersionComparison:
    """Compare two versions by what they said of the same test images.

    That is a look at the test split, and is written down first.

    Args:
        a: Number or alias of the first.
        b: Number or alias of the second.
        name: Registered model.
        config: Resamples and seed.
        ledger: Where the look is written down; None takes the one of the environment.
        user: Who looks; None takes the name of the login.

    Raises:
        LookupError: No such version, or what it said is not to be had.
        ValueError: They are one version, or were tested on different images.
        RuntimeError: The look could not be written down; nothing was compared.
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
    answers = recorded_sample(first), recorded_sample(second)
    reason = f"differences between versions {first.version} and {second.version}"
    look_at_answers(
        answers[0].rows["image_id"],
        first.tags.get("split_hash", ""),
        ledger or environments_ledger(),
        looked_at(first),
        Purpose("compare", reason, user=user),
        against=second.bundle_hash,
    )
    comparison = compare(
        *answers,
        count=config.resamples,
        seed=config.seed,
        bins=bins,
    )
    return VersionComparison(a=first, b=second, comparison=comparison)
