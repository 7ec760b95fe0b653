"""The registered model's own code: MLflow runs this file wherever the model is loaded.

Written as "models from code", it is logged as source text and never pickled. It needs neither
TensorFlow nor Keras.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from skin_lesion.inference import Predictor
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.prediction_table import frame


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
            One row for each row of the input, in order and under its index, with the columns of
            `skin_lesion.prediction_table`: a calibrated probability for each label, `prediction`,
            `malignant_probability`, `status` (`ok`, `unreadable` or `cannot_assess`), `reason` and
            more. What was not found out is NaN; no status but `ok` has probabilities.
        """
        # A row without bytes is an unreadable picture, not a failure of the whole table.
        pictures = [
            bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
            for value in model_input["image"]
        ]
        return frame(self._predictor.predict(pictures), model_input.index)


set_model(SkinLesionModel())
