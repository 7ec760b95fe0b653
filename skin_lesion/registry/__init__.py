"""The MLflow registry: versions of the model, and which of them is in production."""

from skin_lesion.registry.agreement import Disagreement, RegistryState, status
from skin_lesion.registry.changes import Change, Recorded, history
from skin_lesion.registry.comparing import VersionComparison, compare_versions
from skin_lesion.registry.dating import registered_at
from skin_lesion.registry.lookup import (
    aliased,
    all_versions,
    champion,
    find_bundle,
    find_version,
    open_bundle,
    production,
)
from skin_lesion.registry.measurements import run_name
from skin_lesion.registry.mirroring import MirrorRecord, mirror_record, record_mirror
from skin_lesion.registry.packaging import input_example, serving_requirements, signature
from skin_lesion.registry.promotion import (
    ChangedError,
    Promotion,
    RefusedError,
    Seen,
    UnfinishedError,
    promote,
    rollback,
)
from skin_lesion.registry.registration import TAGGED_FIGURES, figure_tag, register_bundle
from skin_lesion.registry.repairing import repair
from skin_lesion.registry.verification import Verification, verify
from skin_lesion.registry.version import (
    MODEL_NAME,
    PREVIOUS_ALIAS,
    PRODUCTION_ALIAS,
    RegisteredVersion,
)

__all__ = [
    "MODEL_NAME",
    "PREVIOUS_ALIAS",
    "PRODUCTION_ALIAS",
    "TAGGED_FIGURES",
    "Change",
    "ChangedError",
    "Disagreement",
    "MirrorRecord",
    "Promotion",
    "Recorded",
    "RefusedError",
    "RegisteredVersion",
    "RegistryState",
    "Seen",
    "UnfinishedError",
    "Verification",
    "VersionComparison",
    "aliased",
    "all_versions",
    "champion",
    "compare_versions",
    "figure_tag",
    "find_bundle",
    "find_version",
    "history",
    "input_example",
    "mirror_record",
    "open_bundle",
    "production",
    "promote",
    "record_mirror",
    "register_bundle",
    "registered_at",
    "repair",
    "rollback",
    "run_name",
    "serving_requirements",
    "signature",
    "status",
    "verify",
]
