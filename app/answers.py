"""What the service says, as OpenAPI describes it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from app.model_store import Served, StoreState
from skin_lesion.modeling.bundle import Contract
from skin_lesion.prediction import NOTICE, Status

# What OpenAPI shows; no answer is made of it.
_MODEL: JsonDict = {
    "name": "skin-lesion-classifier",
    "version": 3,
    "bundle_hash": "3f0a6d1c" * 8,
    "contract_hash": "9b2e47a5" * 8,
    "synthetic_only": False,
}
_PICTURE: JsonDict = {
    "status": "ok",
    "reason": None,
    "prediction": "nv",
    "confidence": "high",
    "malignant_probability": 0.041,
    "probabilities": {
        "akiec": 0.004, "bcc": 0.006, "bkl": 0.021, "df": 0.003, "mel": 0.031, "nv": 0.93,
        "vasc": 0.005,
    },
    "prediction_set": ["nv"],
    "verdicts": {"melanoma_sensitivity_95": False, "malignant_sensitivity_95": False},
    "quality": {
        "sharpness": 2.1, "brightness": 181.0, "dark_share": 0.0, "bright_share": 0.01,
        "contrast": 38.5, "skin_likeness": 0.99, "short_side": 450.0, "aspect": 1.33,
    },
    "ood_score": 0.74,
    "unlike_training": False,
    "embedding_distance": 0.11,
    "several_frames": False,
    "image_sha256": "c41d8e20" * 8,
    "model_version": "3",
    "bundle_hash": _MODEL["bundle_hash"],
    "contract_hash": _MODEL["contract_hash"],
    "precision": "float32",
    "heat_map": {"label": "nv", "png_base64": "iVBORw0KGgo="},
    "audit_id": 1041,
}  # fmt: skip
_UNREADABLE: JsonDict = dict.fromkeys(_PICTURE) | {
    "status": "unreadable",
    "reason": "truncated",
    "image_sha256": "77aa0b1e" * 8,
    "model_version": "3",
    "bundle_hash": _MODEL["bundle_hash"],
    "contract_hash": _MODEL["contract_hash"],
    "precision": "float32",
    "audit_id": 1042,
}
EXAMPLE: JsonDict = {"notice": NOTICE, "model": _MODEL, "predictions": [_PICTURE, _UNREADABLE]}


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Answer):
    """Why there is no answer.

    Attributes:
        detail: What is wrong and what to do, in words.
        request_id: Under which the server's log knows this request.
    """

    detail: str
    request_id: str


class OverlaidHeatMap(Answer):
    """Where the picture speaks for a class; not evidence that the answer is right.

    Attributes:
        label: Code of the class.
        png_base64: The picture as the model saw it, with the heat laid over it: a PNG in base64.
    """

    label: str
    png_base64: str


class PictureAnswer(Answer):
    """What the model says of one picture: `skin_lesion.prediction_table.nested`, and two things more.

    Attributes:
        status: `ok`; `unreadable` where the file is no usable picture; `cannot_assess` where the
            picture must not be judged.
        reason: Why not; null where the status is `ok`.
        prediction: Code of the most probable class; like all that follows up to `verdicts` null
            unless the status is `ok`.
        confidence: How sure the model is; it says nothing about danger.
        malignant_probability: Summed probability of the malignant classes.
        probabilities: Calibrated probability of each class.
        prediction_set: Classes that remain possible at the model's error rate.
        verdicts: Whether the picture counts as suspicious at each operating point, by its name;
            `/version` gives their thresholds.
        quality: Measures of the picture.
        ood_score: How unlike the training pictures it is.
        unlike_training: Whether that is more than the model accepts.
        embedding_distance: Distance to the nearest class in the network's features, 0 to 2.
        several_frames: Whether the file holds several frames, of which the first was judged.
        image_sha256: SHA-256 of the file.
        model_version: Version in the registry that spoke.
        bundle_hash: SHA-256 of its files.
        contract_hash: SHA-256 of its contract, which holds every threshold.
        precision: In which the network was computed.
        heat_map: Where it was asked for.
        audit_id: Row of the audit log that holds this answer; null where no log is kept.
    """

    # A column that is appended to the layout is told before it is documented here.
    model_config = ConfigDict(extra="allow")

    status: Status
    reason: str | None
    prediction: str | None
    confidence: Literal["high", "medium", "low"] | None
    malignant_probability: float | None
    probabilities: dict[str, float] | None
    prediction_set: list[str] | None
    verdicts: dict[str, bool] | None
    quality: dict[str, float] | None
    ood_score: float | None
    unlike_training: bool | None
    embedding_distance: float | None
    several_frames: bool | None
    image_sha256: str | None
    model_version: str | None
    bundle_hash: str | None
    contract_hash: str | None
    precision: str | None
    heat_map: OverlaidHeatMap | None
    audit_id: int | None


class ServedModel(Answer):
    """Which model speaks.

    Attributes:
        name: Of the registered model.
        version: Of it.
        bundle_hash: SHA-256 of its files.
        contract_hash: SHA-256 of its contract.
        synthetic_only: Whether it has seen drawn pictures only, and knows nothing of real skin.
    """

    name: str
    version: int
    bundle_hash: str
    contract_hash: str
    synthetic_only: bool

    @classmethod
    def of(cls, served: Served) -> "ServedModel":
        """Describe what serves."""
        return cls(
            name=served.version.name,
            version=served.version.version,
            bundle_hash=served.predictor.versions.bundle,
            contract_hash=served.predictor.versions.contract,
            synthetic_only=served.contract.synthetic_only,
        )


class PredictAnswer(Answer):
    """One answer for each picture, in the order in which they were sent, all by one model.

    Attributes:
        notice: What this may be used for.
        model: Which model speaks.
        predictions: The answers.
    """

    notice: str = NOTICE
    model: ServedModel
    predictions: list[PictureAnswer]


class Alive(Answer):
    """The process is alive.

    Attributes:
        status: `alive`.
    """

    status: Literal["alive"] = "alive"


class Ready(Answer):
    """Whether pictures are judged.

    Attributes:
        ready: Whether they are.
        version: Version that serves; null where none does.
        problem: What is not as it should be, and what to do; null where all is well.
        registry_seconds: How long ago the registry was asked last with success; null before.
    """

    ready: bool
    version: int | None
    problem: str | None
    registry_seconds: float | None = Field(examples=[2.4])


class VersionAnswer(Answer):
    """Everything about the model that serves.

    Attributes:
        notice: What it may be used for.
        model: Which it is.
        since: When it took over here, ISO 8601 in UTC.
        data_fingerprint: Of the pictures it was made with.
        split_hash: Of their split.
        mlflow_run: That registered it.
        training_run: MLflow run that trained it; null where none did.
        contract: Its contract, with every threshold.
        gate: Verdict of the gates it was registered with: `passed`, `failed` or null.
        problem: What is not as it should be; null where all is well.
    """

    notice: str = NOTICE
    model: ServedModel
    since: str
    data_fingerprint: str
    split_hash: str
    mlflow_run: str
    training_run: str | None
    contract: Contract
    gate: str | None
    problem: str | None

    @classmethod
    def of(cls, served: Served, state: StoreState) -> "VersionAnswer":
        """Describe what serves."""
        version = served.version
        return cls(
            model=ServedModel.of(served),
            since=served.since.isoformat(timespec="seconds"),
            data_fingerprint=served.contract.data_fingerprint,
            split_hash=served.contract.split_hash,
            mlflow_run=version.run_id,
            training_run=served.contract.training_run_id,
            contract=served.contract,
            gate=version.tags.get("gate"),
            problem=state.problem,
        )
