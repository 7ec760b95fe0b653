"""What `ablation.py` trains: the rows of `ablation.yaml`, held against the settings."""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict
from root import ROOT

from skin_lesion.settings import SourceConfig, SplitConfig
from skin_lesion.tuning.recipe import Recipe, changed_config, read_recipe

ROWS = ROOT / "benchmarks" / "ablation.yaml"
BASE = "base"
Size = tuple[int, int]


class Row(BaseModel):
    """One training, told by how it differs from the base.

    Attributes:
        asks: What it is there to find out.
        set: Values by dotted name.
        image_size: Height and width of the pictures, in pixels; None takes that of all rows.
        seed: Of the training; None takes that of the configuration. The split stays the same.
        views: Whether the trained network is asked about a picture alone or about all of its views.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asks: str
    set: dict[str, Any] = {}
    image_size: Size | None = None
    seed: int | None = None
    views: Literal["one", "all"] = "one"


class Plan(BaseModel):
    """The whole file.

    Attributes:
        base: Configuration of the training pipeline, relative to the root.
        image_size: Height and width of the pictures, in pixels.
        budget: What makes its recipe a short one, by dotted name.
        rows: By name; `base` is among them and changes nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    image_size: Size
    budget: dict[str, Any]
    rows: dict[str, Row]

    def recipe(self, row: Row) -> Recipe:
        """What a row trains."""
        return read_recipe(changed_config(self._configuration(), {**self.budget, **row.set}))

    def size(self, row: Row) -> Size:
        """Height and width of a row's pictures, in pixels."""
        return row.image_size or self.image_size

    def training_seed(self, row: Row) -> int:
        """Seed of a row's training."""
        return self.seed if row.seed is None else row.seed

    def stated(self, row: Row) -> dict[str, Any]:
        """All that decides the outcome of a row; one that was recorded with other values is stale."""
        return {
            "recipe": self.recipe(row).model_dump(mode="json"),
            "image_size": list(self.size(row)),
            "seed": self.training_seed(row),
            "views": row.views,
        }

    @property
    def seed(self) -> int:
        """Seed of the base's configuration."""
        return int(self._configuration()["parameters"]["seed"])

    @property
    def source(self) -> SourceConfig:
        """Where its pictures come from."""
        return SourceConfig.model_validate(self._configuration()["parameters"]["source"])

    @property
    def full_size(self) -> Size:
        """Height and width at which it cuts its split, in pixels."""
        height, width = self._configuration()["parameters"]["image_size"]
        return height, width

    @property
    def split(self) -> SplitConfig:
        """How it cuts its split."""
        steps = self._configuration().get("steps") or {}
        given = (steps.get("split") or {}).get("parameters") or {}
        return SplitConfig.model_validate(given.get("config") or {})

    def _configuration(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((ROOT / self.base).read_text(encoding="utf-8"))
        return found


def read_plan(path: Path = ROWS) -> Plan:
    """Read the rows, and refuse one that could not be trained before any is.

    Raises:
        ValueError: No base to compare with, or a value that the settings refuse.
    """
    plan = Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    if BASE not in plan.rows or plan.rows[BASE] != Row(asks=plan.rows[BASE].asks):
        raise ValueError(f"{path}: a row {BASE!r} that changes nothing is missing; others need it")
    for name, row in plan.rows.items():
        try:
            plan.recipe(row)
        except ValueError as error:
            raise ValueError(f"{path}: row {name}: {error}") from error
    return plan
