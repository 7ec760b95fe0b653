"""Sections of the report in words and tables, by theme; the pictures are placed by `html`."""

from skin_lesion.evaluation.html_sections.discrimination import (
    classes,
    overall,
    overall_external,
)
from skin_lesion.evaluation.html_sections.heat_maps import explanations
from skin_lesion.evaluation.html_sections.probabilities import calibration, prediction_sets
from skin_lesion.evaluation.html_sections.refusals import cannot_assess
from skin_lesion.evaluation.html_sections.stability import robustness, subgroups
from skin_lesion.evaluation.html_sections.thresholds import confidence, operating_points

__all__ = [
    "calibration",
    "cannot_assess",
    "classes",
    "confidence",
    "explanations",
    "operating_points",
    "overall",
    "overall_external",
    "prediction_sets",
    "robustness",
    "subgroups",
]
