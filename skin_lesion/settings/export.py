"""What the served network does beyond the trained one."""

from typing import Literal

from skin_lesion.settings.base import Settings


class ExportConfig(Settings):
    """How a trained network is exported for serving.

    Attributes:
        views: `all` has every answer be the mean of what the network says of the picture and of its
            mirror images and quarter turns: 8 views where pictures are square, else the 4 that
            keep their shape. That many times the computation, in every answer; calibration and
            thresholds are measured on it like on any other network. `one` takes the picture as it is.
    """

    views: Literal["one", "all"] = "one"
