"""From the pictures of a request to its answer, in a thread."""

import base64
import io
import logging

from PIL import Image

from app.admission import Deadline
from app.answers import OverlaidHeatMap, PictureAnswer, PredictAnswer, ServedModel
from app.model_store import Served
from app.security import Client
from skin_lesion.audit import AuditError, AuditLog, Entry
from skin_lesion.explain.gradcam import overlay
from skin_lesion.prediction import HeatMap, Prediction
from skin_lesion.prediction_table import nested

log = logging.getLogger(__name__)


class NotRecordedError(Exception):
    """Answers that the audit log did not take, and that are not given therefore."""


def judge(
    served: Served,
    pictures: list[bytes],
    client: Client,
    deadline: Deadline,
    *,
    heat_map_of: str | None,
    audit: AuditLog | None,
) -> PredictAnswer:
    """Judge the pictures of a request, all by the same model.

    One picture at a time: its answer does not depend on what else was sent, and work that nobody
    waits for ends soon.

    Args:
        served: The model.
        pictures: Contents of files; the list is emptied on the way.
        client: Who asks.
        deadline: Says whether anybody waits for this.
        heat_map_of: Code of a class, or `predicted`; None makes no heat-maps.
        audit: Where the answers are written down before they are given; None keeps no log.

    Raises:
        GivenUpError: Nobody waits any longer. Nothing was written down.
        NotRecordedError: The audit log failed.
    """
    predictions: list[Prediction] = []
    maps: list[OverlaidHeatMap | None] = []
    while pictures:
        deadline.check()
        [prediction] = served.predictor.predict([pictures.pop(0)], heat_map_of=heat_map_of)
        predictions.append(prediction)
        maps.append(_overlaid(prediction.heat_map))
    deadline.check()
    numbers = _recorded(audit, predictions, client)
    return PredictAnswer(
        model=ServedModel.of(served),
        predictions=[
            PictureAnswer(**nested(prediction), heat_map=heat_map, audit_id=number)
            for prediction, heat_map, number in zip(predictions, maps, numbers, strict=True)
        ],
    )


def _recorded(
    audit: AuditLog | None, predictions: list[Prediction], client: Client
) -> list[int] | list[None]:
    """The rows that the answers got in the audit log."""
    if audit is None:
        return [None] * len(predictions)
    try:
        rows = audit.record_all([Entry(client.user, client.role, each) for each in predictions])
    except (AuditError, ValueError) as error:
        log.exception("predictions were not recorded, so they are not given")
        raise NotRecordedError from error
    return [row.id for row in rows]


def _overlaid(heat_map: HeatMap | None) -> OverlaidHeatMap | None:
    if heat_map is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(overlay(heat_map.pixels, heat_map.heat)).save(buffer, format="PNG")
    return OverlaidHeatMap(
        label=heat_map.label, png_base64=base64.b64encode(buffer.getvalue()).decode("ascii")
    )
