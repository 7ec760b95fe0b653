"""Readings that no model had to make: for tests of what is done with them."""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from app.clinic.readings import PictureReading, Shown
from app.model_store import Served
from skin_lesion.decisions import (
    ConfidenceCutoffs,
    Decisions,
    OperatingPoint,
    PredictionSets,
    malignant_probability,
)
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import Contract
from skin_lesion.prediction import HeatMap, Prediction, Versions
from skin_lesion.registry import RegisteredVersion

MELANOMA_POINT = OperatingPoint(
    name="melanoma_sensitivity_95", target="melanoma", criterion="sensitivity", goal=0.95,
    threshold=0.2,
)  # fmt: skip
MALIGNANT_POINT = OperatingPoint(
    name="malignant_sensitivity_95", target="malignant", criterion="sensitivity", goal=0.95,
    threshold=0.4, reached=False,
)  # fmt: skip
DECISIONS = Decisions(
    operating_points=(MELANOMA_POINT, MALIGNANT_POINT),
    confidence=ConfidenceCutoffs(high=0.8, medium=0.5),
    prediction_sets=PredictionSets(
        error=0.1, thresholds=(0.75,) * len(LABELS), supported=(True,) * len(LABELS)
    ),
)
AT = datetime(2026, 11, 25, 14, 31, 5, tzinfo=UTC)


class NoPredictor:
    """Draws heat-maps, and judges nothing."""

    def heat_map(self, data: bytes, label: str) -> HeatMap:
        if label not in LABELS:
            raise ValueError(f"no class is called {label!r}")
        pixels = np.full((24, 32, 3), 120, np.uint8)
        return HeatMap(pixels, np.eye(3, 4, dtype=np.float32), label)


def made_served(
    version: int = 3, *, synthetic_only: bool = False, decisions: Decisions | None = DECISIONS
) -> Served:
    """A model that nobody can ask."""
    contract = Contract(
        input_height=24, input_width=32, resize_mode="stretch", source_height=150,
        source_width=200, backbone="mobilenet", feature_layer=None, pretrained_on="imagenet",
        data_fingerprint="d" * 64, split_hash="5" * 64, code_version="0.1.0+abc",
        training_run_id="r" * 32, synthetic_only=synthetic_only, licence="CC0",
        parity_max_abs_difference=0.0, decisions=decisions,
    )  # fmt: skip
    registered = RegisteredVersion(
        name="skin-lesion-classifier", version=version, uri="models:/m-0", bundle_hash="b" * 64,
        run_id="run", created=False, tags={},
    )  # fmt: skip
    return Served(registered, NoPredictor(), contract, AT)  # type: ignore[arg-type]


def probabilities(**shares: float) -> dict[str, float]:
    """Probabilities of some classes; the naevus has what they leave."""
    return {label: shares.get(label, 0.0) for label in LABELS} | {"nv": 1.0 - sum(shares.values())}


def made_prediction(shares: Mapping[str, float], served: Served, data: bytes) -> Prediction:
    """What a model would say whose probabilities these are."""
    row = np.array([[shares[label] for label in LABELS]])
    decisions = served.contract.decisions or Decisions()
    bands, sets = decisions.confidence, decisions.prediction_sets
    return Prediction(
        status="ok",
        probabilities=dict(shares),
        prediction=LABELS[int(row[0].argmax())],
        malignant_probability=float(malignant_probability(row)[0]),
        confidence=bands.band(float(row.max())) if bands else None,
        prediction_set=sets.labels(row)[0] if sets else None,
        verdicts={one.name: bool(one.positive(row)[0]) for one in decisions.operating_points},
        image_sha256=hashlib.sha256(data).hexdigest(),
        versions=_versions(served),
        several_frames=False,
    )


def made_reading(
    name: str = "lesion.jpg",
    *,
    served: Served | None = None,
    data: bytes | None = None,
    audit_id: int | None = 7,
    **shares: float,
) -> PictureReading:
    """A reading with these probabilities; the naevus has what they leave."""
    model = served or made_served()
    content = data if data is not None else name.encode()
    prediction = made_prediction(probabilities(**shares), model, content)
    return PictureReading(name, content, prediction, model, AT, made_shown(), audit_id)


def made_refusal(
    name: str = "dark.jpg",
    *,
    status: str = "cannot_assess",
    reason: str = "too_dark",
    served: Served | None = None,
) -> PictureReading:
    """A reading without an answer."""
    model = served or made_served()
    prediction = Prediction(
        status=status,  # type: ignore[arg-type]
        reason=reason,
        image_sha256=hashlib.sha256(name.encode()).hexdigest(),
        versions=_versions(model),
    )
    shown = None if status == "unreadable" else made_shown()
    return PictureReading(name, name.encode(), prediction, model, AT, shown, 8)


def made_shown(width: int = 200, height: int = 150) -> Shown:
    """A picture as a browser is given it."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (190, 120, 100)).save(buffer, format="JPEG")
    return Shown(buffer.getvalue(), width, height)


def with_shares(reading: PictureReading, **changes: object) -> PictureReading:
    """The same reading with another prediction."""
    return replace(reading, prediction=replace(reading.prediction, **changes))  # type: ignore[arg-type]


def _versions(served: Served) -> Versions:
    return Versions(served.version.bundle_hash, "c" * 64, str(served.version.version))
