"""What is logged beside a bundle so that MLflow can serve it."""

import importlib.metadata
import io
from typing import TYPE_CHECKING

from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

# What `skin_lesion.pyfunc` imports, directly or not; no training framework is among it.
SERVING_PACKAGES = ("mlflow", "numpy", "openvino", "pandas", "pillow", "pydantic")


def signature() -> "ModelSignature":
    """What the pyfunc takes and gives."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                *(ColSpec(DataType.double, label, required=False) for label in LABELS),
                ColSpec(DataType.string, "prediction", required=False),
                ColSpec(DataType.double, "malignant_probability", required=False),
                ColSpec(DataType.string, "status"),
                ColSpec(DataType.string, "reason", required=False),
            ]
        ),
    )


def input_example(bundle: ModelBundle) -> "pd.DataFrame":
    """One row with an encoded picture of the model's input size: a smooth skin-coloured square."""
    import pandas as pd
    from PIL import Image

    contract = bundle.contract
    buffer = io.BytesIO()
    size = (contract.input_width, contract.input_height)
    Image.new("RGB", size, (214, 170, 150)).save(buffer, format="PNG")
    return pd.DataFrame({"image": [buffer.getvalue()]})


def serving_requirements() -> list[str]:
    """Packages that the pyfunc needs, at the versions it was made with."""
    return [f"{name}=={importlib.metadata.version(name)}" for name in SERVING_PACKAGES]
