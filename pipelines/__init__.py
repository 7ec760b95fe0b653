"""Pipelines and the console script: wiring only."""
