"""Which model scores: found out once, at the start."""

from pathlib import Path

from skin_lesion.batch.result import ModelIdentity
from skin_lesion.batch.shard import LocalModel
from skin_lesion.modeling.bundle import ModelBundle


def choose_model(asked: str, folder: Path) -> tuple[ModelIdentity, LocalModel]:
    """Find a model and fetch its bundle.

    An alias is looked up once: the version that it points to now is fetched and named, whatever
    becomes of the alias meanwhile.

    Args:
        asked: Version or alias in the registry, or folder of a bundle.
        folder: Where a registered bundle is fetched to.

    Raises:
        LookupError: There is no such version or alias.
        ValueError: The registry says another hash than the bundle has.
        FileNotFoundError: The folder is no bundle.
    """
    if Path(asked).is_dir():
        bundle, version = ModelBundle.open(Path(asked).resolve()), None
    else:
        from skin_lesion.registry import aliased, open_bundle

        version, recorded = asked, ""
        if not asked.isdigit():
            found = aliased(asked)
            if found is None:
                raise LookupError(
                    f"no registered model has the alias {asked!r}; name a version, another alias or "
                    "the folder of a bundle, or put a version into production with "
                    "`skin-lesion promote VERSION`"
                )
            version, recorded = str(found.version), found.bundle_hash
        bundle = open_bundle(version, folder)
        if recorded and recorded != bundle.bundle_hash:
            raise ValueError(
                f"version {version} is registered with the bundle {recorded[:12]}, but its files "
                f"make {bundle.bundle_hash[:12]}: they were changed or damaged"
            )
    decisions = bundle.contract.decisions
    identity = ModelIdentity(
        asked=asked,
        version=version,
        bundle_hash=bundle.bundle_hash,
        synthetic_only=bundle.contract.synthetic_only,
        operating_points=tuple(p.name for p in decisions.operating_points) if decisions else (),
    )
    return identity, LocalModel(bundle.path, bundle.bundle_hash, version)
