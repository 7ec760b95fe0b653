"""How figures are written for people, and what is called what; the one home of both."""

from collections.abc import Mapping
from typing import Literal

from skin_lesion.decisions import Limits, OperatingPoint, Target
from skin_lesion.evaluation.figures import Estimate, Units

NOT_MEASURED = "<p>Not measured here.</p>"
METHOD_NAMES = {
    "none": "no calibration",
    "temperature": "temperature scaling",
    "vector": "vector scaling",
    "isotonic": "isotonic regression",
}
OUTLIER_NAMES = {
    "crops": "Photographs without a lesion",
    "corruptions": "Spoilt pictures of lesions",
    "skin": "Drawn skin without a lesion",
}
SCORE_NAMES = {
    "energy": "Energy",
    "max_softmax": "1 - top probability",
    "mahalanobis": "Mahalanobis distance",
    "knn": "Distance to the k-th neighbour",
}
# Measure of a picture -> what it is, and its unit.
QUALITY_NAMES: dict[str, tuple[str, str]] = {
    "short_side": ("Shorter side of the picture", "pixels"),
    "aspect": ("Longer side divided by the shorter one", "ratio"),
    "brightness": ("Brightness: mean of the brighter half of the pixels", "grey levels, 0 to 255"),
    "dark_share": ("Nearly black pixels", "share of all, 0 to 1"),
    "bright_share": ("Nearly white pixels", "share of all, 0 to 1"),
    "contrast": ("Contrast: standard deviation of brightness", "grey levels, 0 to 127.5"),
    "sharpness": (
        "Sharpness: variance of the Laplacian",
        "decimal logarithm of squared grey levels",
    ),
    "skin_likeness": ("Pixels whose colour could be skin or lesion", "share of all, 0 to 1"),
}
UNIT_NAMES: dict[Units, str] = {
    "lesion_group": "lesion groups",
    "lesion": "lesions",
    "picture": "pictures",
    "lesion_or_picture": "lesions and pictures without a lesion id",
}
REASON_NAMES = {
    "too_small": "too small",
    "odd_shape": "too long and narrow",
    "too_dark": "too dark",
    "too_bright": "too bright",
    "blank": "nearly blank",
    "too_blurred": "too blurred",
    "not_skin": "not the colours of skin",
    "unlike_training": "unlike the training pictures",
}


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or that there is none."""
    return "not defined" if value is None else f"{value:.{digits}f}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number of things, such as `1 image` or `1,502 images`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def counts_head(units: Units) -> str:
    """Head of a column that `counts` fills."""
    return "Images" if units == "picture" else f"Images / {UNIT_NAMES[units]}"


def counts(images: int, of_units: int, units: Units) -> str:
    """Images and the units they are of, for a cell; pictures are not counted twice."""
    return f"{images:,}" if units == "picture" else f"{images:,} / {of_units:,}"


def images_of(images: int, of_units: int, units: Units, one: str = "image") -> str:
    """How many images of how many units, such as `36 images of 18 lesions`."""
    text = counted(images, one)
    if units == "picture":
        return text
    if units == "lesion_or_picture":
        return f"{text}: {of_units:,} {UNIT_NAMES[units]}"
    name = UNIT_NAMES[units].removesuffix("s")
    return f"{text} of {counted(of_units, name)}"


def drawn_units(units: Units) -> str:
    """What is drawn anew for an interval, in a sentence."""
    return "lesions" if units == "lesion_group" else UNIT_NAMES[units]


def short_units(units: Units) -> str:
    """The same inside a picture, where there is little room."""
    return "lesions and pictures" if units == "lesion_or_picture" else drawn_units(units)


def images_and_lesions(images: int, lesions: int, units: Units) -> str:
    """Both numbers inside a picture; that of the images alone where lesions are not known."""
    known = units in ("lesion", "lesion_group")
    return f"{images} images, {lesions} lesions" if known else f"{images} images"


def pictures_of(pictures: int, lesions: int, units: Units) -> str:
    """The same for pictures that were picked, one of each lesion as a rule."""
    known = units in ("lesion", "lesion_group")
    return f"{pictures} pictures of {lesions} lesions" if known else f"{pictures} pictures"


def with_interval(figure: Estimate, digits: int = 3) -> str:
    """A figure with its 95 % interval."""
    if figure.value is None:
        return "not defined"
    if figure.ci_low is None or figure.ci_high is None:
        return f"{figure.value:.{digits}f} (no interval)"
    return f"{figure.value:.{digits}f} ({figure.ci_low:.{digits}f} to {figure.ci_high:.{digits}f})"


def per_cent(figure: Estimate, digits: int = 0) -> str:
    """A share in per cent with its 95 % interval."""
    if figure.value is None:
        return "not defined"
    value = f"{100 * figure.value:.{digits}f} %"
    if figure.ci_low is None or figure.ci_high is None:
        return value
    return f"{value} ({100 * figure.ci_low:.{digits}f} to {100 * figure.ci_high:.{digits}f})"


def stacked(figure: Estimate, digits: int = 2) -> str:
    """A figure above its interval, as HTML for a narrow cell."""
    return _stack(with_interval(figure, digits))


def stacked_per_cent(figure: Estimate, digits: int = 0) -> str:
    """A share in per cent above its interval, as HTML for a narrow cell."""
    return _stack(per_cent(figure, digits))


def asked(point: OperatingPoint) -> str:
    """An operating point in words."""
    return asked_for(point.target, point.criterion, point.goal)


def asked_for(target: Target, criterion: Literal["sensitivity", "ppv"], goal: float) -> str:
    """What an operating point is asked for, in words."""
    if criterion == "ppv":
        return f"{target} risk of {100 * goal:g} % (referral)"
    return f"{target} at {100 * goal:g} % sensitivity"


def words(name: str) -> str:
    """A dotted code name in words."""
    return name.replace("_", " ").replace(".", ": ")


def named(names: Mapping[str, str], name: str) -> str:
    """What something is called; what has no name is called by its code, in words."""
    return names.get(name, words(name))


def limit_rows(quality: Mapping[str, Limits]) -> list[list[str]]:
    """Limits on pictures as rows of text: measure, unit, lowest, highest."""
    rows = []
    for name, limits in quality.items():
        title, unit = QUALITY_NAMES.get(name, (words(name), ""))
        ends = ("none" if end is None else f"{end:.2f}" for end in (limits.low, limits.high))
        rows.append([title, unit, *ends])
    return rows


def _stack(text: str) -> str:
    value, bracket, ends = text.partition(" (")
    return f"{value}<br><small>{ends.removesuffix(')')}</small>" if bracket else value
