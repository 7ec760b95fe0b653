"""Every tunable value of the project, with its default and its meaning.

Frozen models that refuse unknown keys: a misspelt key in a YAML file is an error, never a silently
ignored wish. Defaults live here and nowhere else; the files in `configs/` state only differences.

One module for each area. They are imported from here, so that a class may move between them: a new
one is written in the module of its area, or in a new one, and named below.
"""

from skin_lesion.settings.audit import AuditConfig
from skin_lesion.settings.base import MAX_SEED, Settings, UnfitError, check_seed
from skin_lesion.settings.batch import BatchConfig
from skin_lesion.settings.dashboard import DashboardConfig
from skin_lesion.settings.data import (
    AugmentConfig,
    Imbalance,
    IngestConfig,
    ResizeMode,
    SourceConfig,
    SplitConfig,
    SyntheticConfig,
    ValidateConfig,
)
from skin_lesion.settings.drift import DriftConfig
from skin_lesion.settings.ensemble import EnsembleConfig
from skin_lesion.settings.evaluation import EvaluateConfig, ExternalConfig, GateConfig
from skin_lesion.settings.export import ExportConfig
from skin_lesion.settings.ledger import LedgerConfig
from skin_lesion.settings.registry import RegistryConfig
from skin_lesion.settings.serving import (
    ModelStoreConfig,
    OidcConfig,
    ServeConfig,
    SignatureAlgorithm,
)
from skin_lesion.settings.tracking import WatchConfig
from skin_lesion.settings.training import (
    BackboneConfig,
    FinetuneConfig,
    Phase,
    SizeStage,
    TrainConfig,
    WarmupConfig,
)
from skin_lesion.settings.tuning import TuneConfig

__all__ = [
    "MAX_SEED",
    "AuditConfig",
    "AugmentConfig",
    "BackboneConfig",
    "BatchConfig",
    "DashboardConfig",
    "DriftConfig",
    "EnsembleConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExternalConfig",
    "FinetuneConfig",
    "GateConfig",
    "Imbalance",
    "IngestConfig",
    "LedgerConfig",
    "ModelStoreConfig",
    "OidcConfig",
    "Phase",
    "RegistryConfig",
    "ResizeMode",
    "ServeConfig",
    "Settings",
    "SignatureAlgorithm",
    "SizeStage",
    "SourceConfig",
    "SplitConfig",
    "SyntheticConfig",
    "TrainConfig",
    "TuneConfig",
    "UnfitError",
    "ValidateConfig",
    "WarmupConfig",
    "WatchConfig",
    "check_seed",
]
