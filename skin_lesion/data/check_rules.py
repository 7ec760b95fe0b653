"""The rules that a data set has to keep, as Great Expectations with the words a person reads."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from skin_lesion.data.manifest import IMAGE_COLUMNS
from skin_lesion.labels import LABELS
from skin_lesion.settings import ValidateConfig

if TYPE_CHECKING:
    from great_expectations.expectations.expectation import Expectation

TableName = Literal["files", "images", "classes"]

USABLE = "usable"
SEXES: tuple[str, ...] = ("male", "female", "unknown")


@dataclass(frozen=True)
class Rule:
    """An expectation and the words that a person reads about it."""

    name: str
    table: TableName
    expectation: "Expectation"


def schema_rules(images: pd.DataFrame) -> list[Rule]:
    """Columns and their types; only of columns that are there."""
    gxe = _expectations()
    columns = Rule(
        "the table has every column",
        "images",
        gxe.ExpectTableColumnsToMatchSet(column_set=list(IMAGE_COLUMNS), exact_match=False),
    )
    types = [
        Rule(
            f"`{column}` is of type {dtype}",
            "images",
            gxe.ExpectColumnValuesToBeOfType(column=column, type_=dtype),
        )
        for column, dtype in IMAGE_COLUMNS.items()
        if column in images
    ]
    return [columns, *types]


def content_rules(array_rows: int, config: ValidateConfig) -> list[Rule]:
    """Everything else, for tables whose columns are sound."""
    gxe = _expectations()

    def graded(
        name: str, table: TableName, expectation: "type[Expectation]", mostly: float, **limits: Any
    ) -> list[Rule]:
        """A warning where any row breaks a rule, a critical failure where too many do."""
        return [
            Rule(name, table, expectation(severity="warning", **limits)),
            Rule(
                f"{name}, for {mostly:.0%} of them",
                table,
                expectation(severity="critical", mostly=mostly, **limits),
            ),
        ]

    between = gxe.ExpectColumnValuesToBeBetween
    return [
        Rule(
            "there are enough images",
            "images",
            gxe.ExpectTableRowCountToBeBetween(min_value=config.min_images),
        ),
        Rule(
            "the table and the array of pixels have equally many rows",
            "images",
            gxe.ExpectTableRowCountToEqual(value=array_rows),
        ),
        *(
            Rule(
                f"`{column}` is filled in",
                "images",
                gxe.ExpectColumnValuesToNotBeNull(column=column),
            )
            for column in ("image_id", "lesion_id", "dx", "sha256")
        ),
        Rule(
            "image ids are unique",
            "images",
            gxe.ExpectColumnValuesToBeUnique(column="image_id"),
        ),
        Rule(
            "no file occurs twice",
            "images",
            gxe.ExpectColumnValuesToBeUnique(column="sha256", severity="warning"),
        ),
        Rule(
            "every diagnosis is one of the seven classes",
            "images",
            gxe.ExpectColumnValuesToBeInSet(column="dx", value_set=list(LABELS)),
        ),
        Rule(
            "a lesion has one diagnosis",
            "images",
            between(column="diagnoses_of_lesion", max_value=1),
        ),
        Rule(
            "perceptual hashes are 16 hexadecimal digits",
            "images",
            gxe.ExpectColumnValuesToMatchRegex(column="phash", regex=r"^[0-9a-f]{16}$"),
        ),
        # Age and sex only describe patients; no model reads them, so they stop nothing.
        Rule(
            f"known ages lie between 0 and {config.max_age} years",
            "images",
            between(column="age", min_value=0, max_value=config.max_age, severity="warning"),
        ),
        Rule(
            "sex is male, female or unknown",
            "images",
            gxe.ExpectColumnValuesToBeInSet(
                column="sex", value_set=list(SEXES), severity="warning"
            ),
        ),
        *graded(
            f"the shorter side has at least {config.min_source_pixels} pixels",
            "images",
            between,
            config.mostly,
            column="shorter_side",
            min_value=config.min_source_pixels,
        ),
        *graded(
            f"brightness lies between {config.min_brightness:g} and {config.max_brightness:g}",
            "images",
            between,
            config.mostly,
            column="brightness",
            min_value=config.min_brightness,
            max_value=config.max_brightness,
        ),
        *graded(
            f"contrast is at least {config.min_contrast:g}",
            "images",
            between,
            config.mostly,
            column="contrast",
            min_value=config.min_contrast,
        ),
        *graded(
            "no file is missing",
            "files",
            gxe.ExpectColumnValuesToNotBeInSet,
            config.mostly,
            column="status",
            value_set=["missing"],
        ),
        Rule(
            "no image was put aside",
            "files",
            gxe.ExpectColumnValuesToBeInSet(
                column="status", value_set=[USABLE], severity="warning"
            ),
        ),
        Rule(
            f"every class has at least {config.min_lesions_per_class} lesions",
            "classes",
            between(column="lesions", min_value=config.min_lesions_per_class),
        ),
        Rule(
            f"no class has more than {config.max_class_share:.0%} of the images",
            "classes",
            between(column="share", max_value=config.max_class_share, severity="warning"),
        ),
    ]


def _expectations() -> Any:
    """Import Great Expectations where it is used: it takes seconds."""
    # The import itself logs some two hundred lines at INFO, so the level is set before it.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations.expectations as gxe

    return gxe
