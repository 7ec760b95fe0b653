"""Whether a registered version is still what its record says, figure by figure."""

import tempfile
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from skin_lesion.data.image_array import ImageArray
from skin_lesion.data.looking import Ledger, Purpose, look_at_answers, look_at_test
from skin_lesion.data.split_table import SplitTable
from skin_lesion.evaluation.forward import forward
from skin_lesion.evaluation.measured import measured
from skin_lesion.evaluation.resampling import Resamples
from skin_lesion.evaluation.sample import Sample
from skin_lesion.inference import ServingModel
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.answers import wrong_answers
from skin_lesion.registry.checksums import broken_files
from skin_lesion.registry.lookup import fetch_bundle, find_version
from skin_lesion.registry.measurements import (
    looked_at,
    measuring_run,
    recorded_report,
    recorded_sample,
)
from skin_lesion.registry.registration import TAGGED_FIGURES, figure_tag
from skin_lesion.registry.version import DEFAULTS, MODEL_NAME, RegisteredVersion
from skin_lesion.settings import RegistryConfig

_DECIMALS = 4  # of the tags
_ROUNDING = 1.5e-4
_CALIBRATED = 1e-6  # the same formula on the same logits, in double precision
_BATCH = 16


class Verification(BaseModel):
    """What was found.

    Attributes:
        version: What was verified.
        files: Files whose checksums were held against the record.
        figures: Figures that were computed again from the recorded answers.
        images: Test images that those answers are about.
        pictures: Test pictures that the model was shown again; None where it was shown none.
        largest_difference: Of a probability, between the recorded answer and the new one.
        differences: What differs from the record, one sentence each; empty where nothing does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: RegisteredVersion
    files: int
    figures: int
    images: int
    pictures: int | None = None
    largest_difference: float | None = None
    differences: tuple[str, ...]


def verify(
    version: int | str,
    *,
    pictures: tuple[ImageArray, SplitTable] | None = None,
    name: str = MODEL_NAME,
    config: RegistryConfig = DEFAULTS,
    ledger: Ledger | None = None,
    user: str | None = None,
) -> Verification:
    """Hold files, answers and figures of a version against their record.

    Always: the checksum of every file; the answer of the loaded model to a drawn picture; the
    probabilities, by the model's calibrator, and all tagged figures from the recorded answers to
    every test image. With pictures: these answers themselves, by the serving export.

    Both are looks at the test split, and are written down first.

    Args:
        version: Number or alias.
        pictures: All pictures at the model's input size, and their split.
        name: Registered model.
        config: `answer_tolerance` is the largest difference of a probability.
        ledger: Where the looks are written down; None takes the one of the environment.
        user: Who looks; None takes the name of the login.

    Raises:
        LookupError: No such version, or nothing is recorded that it could be held against.
        ValueError: The pictures are not those that the version was tested on.
        RuntimeError: A look could not be written down; nothing was measured.
    """
    found = find_version(version, name)
    if pictures is not None:
        _check_split(found, pictures[1])
    ledger = ledger or environments_ledger()
    differences: list[str] = []
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        path = fetch_bundle(str(found.version), Path(folder), name)
        damage = broken_files(found, path)
        files = sum(1 for file in path.rglob("*") if file.is_file())
        differences += [f"Files: {sentence}." for sentence in damage]
        # Files that are not the registered ones are not run.
        bundle = None if damage else ModelBundle.open(path)
        if bundle is not None:
            wrong = wrong_answers(found, bundle, config.answer_tolerance)
            differences += [f"Answers: {sentence}." for sentence in wrong]
        sample = recorded_sample(found)
        look_at_answers(
            sample.rows["image_id"],
            found.tags.get("split_hash", ""),
            ledger,
            looked_at(found),
            Purpose("verify", "are the recorded figures those of the recorded answers", user=user),
        )
        if bundle is not None:
            differences += _recalibrated(sample, bundle)
        figures, wrong_figures = _figures(found, sample)
        differences += wrong_figures
        largest = None
        if pictures is not None and bundle is not None:
            purpose = Purpose("verify", "are the recorded answers those of the model", user=user)
            largest = _shown_again(found, bundle, sample, *pictures, ledger, purpose)
            if not largest <= config.answer_tolerance:
                differences.append(
                    f"Pictures: shown its {len(sample)} test pictures again, the model differs by "
                    f"up to {largest:.6f} in a probability; {config.answer_tolerance:g} is allowed."
                )
    return Verification(
        version=found,
        files=files,
        figures=figures,
        images=len(sample),
        pictures=len(sample) if largest is not None else None,
        largest_difference=largest,
        differences=tuple(differences),
    )


def _recalibrated(sample: Sample, bundle: ModelBundle) -> list[str]:
    """Whether the recorded probabilities are those that the model's calibrator gives."""
    again = bundle.contract.calibrator.probabilities(sample.logits)
    largest = float(np.abs(again - sample.probabilities).max())
    if largest <= _CALIBRATED:
        return []
    return [
        f"Probabilities: the model's calibrator gives others than were recorded; the largest "
        f"difference is {largest:.6f}."
    ]


def _figures(version: RegisteredVersion, sample: Sample) -> tuple[int, list[str]]:
    """The tagged figures, computed again: how many, and which differ."""
    bins = recorded_report(version).summary.freezing.calibration.bins
    point = measured(sample, Resamples.original(sample.groups), bins=bins).point
    differences, count = [], 0
    for name in TAGGED_FIGURES:
        recorded = version.tags.get(figure_tag(name))
        again = f"{point[name]:.{_DECIMALS}f}" if np.isfinite(point[name]) else None
        count += recorded is not None
        # Sums in another order may fall on the other side of a half.
        if recorded == again or (recorded and again and _near(recorded, again)):
            continue
        differences.append(
            f"Figures: {name} is {again or 'not defined'} by the recorded answers of run "
            f"{measuring_run(version)}; {recorded or 'none'} is recorded with the version."
        )
    return count, differences


def _near(recorded: str, again: str) -> bool:
    try:
        return abs(float(recorded) - float(again)) < _ROUNDING
    except ValueError:
        return False


def _check_split(version: RegisteredVersion, split: SplitTable) -> None:
    """Raises ValueError where the version was tested on another split."""
    if split.split_hash != version.tags.get("split_hash"):
        raise ValueError(
            f"the pictures belong to split {split.split_hash[:12]}, and version {version.version} "
            f"was tested on split {version.tags.get('split_hash', 'none')[:12]}"
        )


def _shown_again(
    version: RegisteredVersion,
    bundle: ModelBundle,
    sample: Sample,
    images: ImageArray,
    split: SplitTable,
    ledger: Ledger,
    purpose: Purpose,
) -> float:
    """Largest difference of a probability between the recorded answers and new ones.

    Raises:
        ValueError: These are other pictures.
    """
    rows = look_at_test(split, ledger, looked_at(version), purpose).rows
    ids = split.rows.iloc[rows]["image_id"]
    if list(ids) != list(sample.rows["image_id"]):
        raise ValueError("the pictures of the test split are not those of the recorded answers")
    seen = forward(ServingModel.load(bundle), images.open(), rows, _BATCH)
    again = bundle.contract.calibrator.probabilities(seen.logits)
    return float(np.abs(again - sample.probabilities).max())
