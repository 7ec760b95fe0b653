"""What is logged beside a bundle so that MLflow can serve it."""

import importlib.metadata
import io
from typing import TYPE_CHECKING

from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction_table import COLUMN_KINDS

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

# What `skin_lesion.pyfunc` imports, directly or not; no training framework is among it.
SERVING_PACKAGES = ("mlflow", "numpy", "openvino", "pandas", "pillow", "pydantic", "pydicom")


def signature() -> "ModelSignature":
    """What the pyfunc takes and gives: the columns of `skin_lesion.prediction_table`."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    types = {"number": DataType.double, "text": DataType.string, "flag": DataType.boolean}
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.binary, "image")]),
        outputs=Schema(
            [
                ColSpec(types[kind], name, required=name == "status")
                for name, kind in COLUMN_KINDS.items()
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
