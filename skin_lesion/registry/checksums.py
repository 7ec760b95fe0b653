"""Whether the files of a model are still those that were registered."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.version import RegisteredVersion

# Lies in the registry's database and not beside the files, so that one cannot change both.
FILES_TAG = "bundle_files"


def file_checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path below it."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(folder).as_posix()] = checksum
    return found


def files_tag(bundle: ModelBundle) -> dict[str, str]:
    """What is recorded with a version."""
    return {FILES_TAG: json.dumps(file_checksums(bundle.path), separators=(",", ":"))}


def broken_files(version: RegisteredVersion, folder: Path) -> list[str]:
    """What is wrong with the fetched files of a bundle, one sentence each; empty where they are intact.

    A version that was registered before checksums of single files were recorded is held against
    the hash of the whole bundle alone.
    """
    if not version.bundle_hash:
        return ["no bundle hash is recorded with it: it was not registered by this project"]
    try:
        found = list(_differences(_recorded(version), file_checksums(folder)))
    except ValidationError:
        return [f"what is recorded as its checksums in the tag {FILES_TAG!r} is none"]
    if found:
        return found
    try:
        bundle_hash = ModelBundle.open(folder).bundle_hash
    except (OSError, ValueError) as error:
        return [f"the bundle cannot be opened: {error}"]
    if bundle_hash != version.bundle_hash:
        return [f"the bundle has the hash {bundle_hash}; {version.bundle_hash} is recorded"]
    return []


def _recorded(version: RegisteredVersion) -> Mapping[str, str] | None:
    text = version.tags.get(FILES_TAG)
    return None if text is None else TypeAdapter(dict[str, str]).validate_json(text)


def _differences(recorded: Mapping[str, str] | None, found: Mapping[str, str]) -> Iterator[str]:
    if recorded is None:
        return
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in recorded:
            yield f"{name} was not registered"
        elif recorded[name] != found[name]:
            yield f"{name} has the checksum {found[name]}; {recorded[name]} is recorded"
