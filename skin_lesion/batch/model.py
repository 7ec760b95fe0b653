"""Which model scores: found out once, at the start."""

from pathlib import Path

from skin_lesion.batch.result import ModelIdentity
from skin_lesion.batch.shard import LocalModel
from skin_lesion.modeling.bundle import ModelBundle


def names_folder(asked: str) -> bool:
    """Whether a model is named by its folder.

    A bare number and the aliases that we set always mean the registry: a folder that happens to be
    called `champion` is not in production. `./champion` names it.
    """
    from skin_lesion.registry import PREVIOUS_ALIAS, PRODUCTION_ALIAS

    in_registry = asked.isdecimal() or asked in (PRODUCTION_ALIAS, PREVIOUS_ALIAS)
    return not in_registry and Path(asked).is_dir()


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
    if names_folder(asked):
        bundle, version = ModelBundle.open(Path(asked).resolve()), None
    else:
        from skin_lesion.registry import find_version, open_bundle

        try:
            found = find_version(asked)
        except LookupError as error:
            raise LookupError(
                f"{error.args[0]}. Name one of these or the folder of a bundle, or put one into "
                "production with `skin-lesion promote VERSION`"
            ) from error
        version = str(found.version)
        bundle = open_bundle(version, folder)
        # A version that other tools registered names no hash.
        if found.bundle_hash not in ("", bundle.bundle_hash):
            raise ValueError(
                f"version {version} is registered with the bundle {found.bundle_hash[:12]}, but its "
                f"files make {bundle.bundle_hash[:12]}: they were changed or damaged"
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
