"""The registered model's own code: MLflow runs this file wherever the model is loaded.

Written as "models from code", it is logged as source text and never pickled. It needs neither
TensorFlow nor Keras.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from skin_lesion.inference import Prediction, Predictor
from skin_lesion.labels import LABELS
from skin_lesion.modeling.bundle import ModelBundle


class SkinLesionModel(PythonModel):
    """Encoded pictures in, calibrated probabilities out; one row for each row, in order."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the bundle that was logged with the model."""
        self._predictor = Predictor(ModelBundle.open(Path(context.artifacts["bundle"])))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Judge pictures.

        Args:
            context: Unused; MLflow passes it.
            model_input: One column `image` with the bytes of an image file.
            params: Unused; MLflow passes it.

        Returns:
            One row for each row of the input, in order and under its index: a column for each
            label, `prediction`, `malignant_probability`, `status` (`ok`, `unreadable` or
            `cannot_assess`) and `reason`. Where the status is not `ok`, the figures are NaN.
        """
        # A row without bytes is an unreadable picture, not a failure of the whole table.
        pictures = [
            bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
            for value in model_input["image"]
        ]
        rows = [_row(prediction) for prediction in self._predictor.predict(pictures)]
        return pd.DataFrame(rows, columns=COLUMNS, index=model_input.index).astype(
            dict.fromkeys((*LABELS, "malignant_probability"), "float64")
        )


COLUMNS = [*LABELS, "prediction", "malignant_probability", "status", "reason"]


def _row(prediction: Prediction) -> dict[str, object]:
    return {
        **(prediction.probabilities or {}),
        "prediction": prediction.prediction,
        "malignant_probability": prediction.malignant_probability,
        "status": prediction.status,
        "reason": prediction.reason,
    }


set_model(SkinLesionModel())
