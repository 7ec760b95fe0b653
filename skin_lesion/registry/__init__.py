"""The MLflow registry: versions of the model, and which of them is in production."""

from skin_lesion.registry.lookup import aliased, champion, find_bundle, open_bundle, production
from skin_lesion.registry.packaging import input_example, serving_requirements, signature
from skin_lesion.registry.registration import register_bundle
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
    "RegisteredVersion",
    "aliased",
    "champion",
    "find_bundle",
    "input_example",
    "open_bundle",
    "production",
    "register_bundle",
    "serving_requirements",
    "signature",
]
