"""Which model answered a batch, and what it said of its validation pictures."""

from pathlib import Path
from typing import TYPE_CHECKING

from skin_lesion.batch.model import names_folder
from skin_lesion.drift.reference import DriftReference
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry import MODEL_NAME, PRODUCTION_ALIAS, find_bundle, open_bundle

if TYPE_CHECKING:
    import pandas as pd


def reference_in(bundle: ModelBundle) -> DriftReference:
    """What a model said of its validation pictures.

    Raises:
        ValueError: It was registered before that was kept.
    """
    if bundle.drift_path is None:
        raise ValueError(
            f"bundle {bundle.bundle_hash[:12]} was registered without its answers on the validation "
            "pictures, so there is nothing to compare with; run the pipeline again, and use the "
            "version that it registers"
        )
    return DriftReference.load(bundle.drift_path)


def bundle_that_answered(batch: "pd.DataFrame", model: str | None, work: Path) -> ModelBundle:
    """The model that answered, checked by its hash where the table names one.

    Args:
        batch: Table of predictions.
        model: Version, alias or folder of a bundle; None asks the registry for the bundle that the
            table names, and takes the model in production where it names none.
        work: Folder that a registered bundle is fetched into.

    Raises:
        LookupError: There is no such model.
        ValueError: Another model answered.
    """
    hashes = set(batch["bundle_hash"].dropna()) if "bundle_hash" in batch else set()
    if model is not None:
        folder = names_folder(model)
        bundle = ModelBundle.open(Path(model)) if folder else open_bundle(model, work)
    elif len(hashes) == 1:
        [bundle_hash] = hashes
        found = find_bundle(MODEL_NAME, bundle_hash)
        if found is None:
            raise LookupError(
                f"no registered version holds the bundle {bundle_hash[:12]} that answered; name its "
                "folder as the model"
            )
        bundle = open_bundle(str(found.version), work)
    else:
        bundle = open_bundle(PRODUCTION_ALIAS, work)
    if hashes and bundle.bundle_hash not in hashes:
        raise ValueError(
            f"the table was answered by bundle {', '.join(sorted(h[:12] for h in hashes))} and the "
            f"model named is {bundle.bundle_hash[:12]}; compare it with the model that answered"
        )
    return bundle
