"""The comparison as one page that needs no network."""

import base64
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from skin_lesion.data.pages import mark, page, table
from skin_lesion.drift.compare import DriftReport, FeatureDrift, Level, Verdict
from skin_lesion.drift.features import FEATURES
from skin_lesion.evaluation.style import BLUE, INK, MUTED, ORANGE, dress, new_figure, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_VERDICTS: dict[Verdict, tuple[str, str]] = {
    "none": ("good", "No drift"),
    "watch": ("look", "Some change: watch it"),
    "drift": ("bad", "Drift"),
    "too_few": ("look", "Too few pictures to tell"),
    "not_compared": ("look", "Not compared"),
}
_LEVELS: dict[Level, tuple[str, str]] = {
    "none": ("good", "unchanged"),
    "watch": ("look", "watch"),
    "drift": ("bad", "drift"),
}
_ADVICE: dict[Verdict, str] = {
    "none": "The pictures and the answers look like those that the model was validated on.",
    "watch": "A feature has changed, but not far. Compare the next batch with the same reference.",
    "drift": "What the model was shown to be worth on its test split need not hold for these "
    "pictures. Look at some of them, find out what is new (camera, light, compression, patients), "
    "and measure the model on labelled pictures of this kind with skin-lesion evaluate.",
    "not_compared": "The model was registered before its answers on the validation pictures were kept, so "
    "there is nothing to compare with. A version that the pipeline registers today has them.",
    "too_few": "Gather more pictures, or compare several batches together.",
}
_COLUMNS = 3
_LONG = 18


def render(report: DriftReport) -> str:
    """A self-contained HTML page."""
    return page("Pictures and answers beside those of validation", _body(report))


def _body(report: DriftReport) -> Iterator[str]:
    limits = report.limits
    yield f"<p>{mark(*_VERDICTS[report.verdict])}</p>"
    yield (
        f"<p>{escape(report.data)}: {report.n_batch} pictures beside {report.n_reference} of the "
        f"validation split, both answered by model version "
        f"<b>{escape(report.model_version or 'not named')}</b>.</p>"
    )
    yield f"<p>{escape(_ADVICE[report.verdict])}</p>"
    if not report.features:
        return
    picture = base64.b64encode(draw(report)).decode()
    yield (
        f'<figure><img alt="Shares of the reference and of the batch, feature by feature" '
        f'src="data:image/png;base64,{picture}"></figure>'
    )
    yield table(
        (
            "Feature",
            "",
            "Stability index",
            "p",
            "Median then",
            "Median now",
            "Pictures",
            "May mean",
        ),
        [_row(feature) for feature in report.features],
        frozenset(range(2, 7)),
        widths=(19, 15, 9, 8, 9, 9, 12, 19),
    )
    yield (
        f"<p class=quiet>A feature is marked from a population stability index of {limits.watch:g} "
        f"(watch) or {limits.drift:g} (drift) where its p-value, corrected for the number of "
        f"features, is also below {limits.significance:g}. Drift is a reason to look, not a "
        "measure of harm: answers may be as good as ever, and they may fail without any drift. "
        "Only pictures with known diagnoses tell which.</p>"
    )
    yield f"<p class=quiet>Bundle <code>{escape(report.bundle_hash or 'not named')}</code></p>"


def _row(feature: FeatureDrift) -> list[str]:
    about = FEATURES[feature.name]
    return [
        escape(about.title),
        mark(*_LEVELS[feature.level]) if feature.psi is not None else "too few",
        _number(feature.psi, ".2f"),
        _p_value(feature.p_value),
        _number(feature.reference_median, ".3g"),
        _number(feature.batch_median, ".3g"),
        f"{feature.n_reference} /&nbsp;{feature.n_batch}",
        escape(about.of) if feature.level != "none" else "",
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _p_value(value: float | None) -> str:
    return "&lt;&nbsp;0.001" if value is not None and value < 0.001 else _number(value, ".3f")


def draw(report: DriftReport) -> bytes:
    """Shares of both sides in each bin, one panel for each feature, as a PNG picture."""
    rows = -(-len(report.features) // _COLUMNS)
    figure = new_figure(12.0, 2.5 * rows + 0.4)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel, feature in zip(panels, report.features, strict=False):
        _draw_feature(panel, feature)
    for panel in panels[len(report.features) :]:
        panel.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=2, frameon=False, fontsize=9.5)
    return png(figure)


def _draw_feature(axes: "Axes", feature: FeatureDrift) -> None:
    places = range(len(feature.bins))
    # Hatched and plain, so that the two sides differ without colour too.
    axes.bar(
        [place - 0.2 for place in places], [100 * share for share in feature.reference], 0.4,
        color=BLUE, label="Validation (reference)",
    )  # fmt: skip
    axes.bar(
        [place + 0.2 for place in places], [100 * share for share in feature.batch], 0.4,
        color=ORANGE, hatch="///", edgecolor="white", linewidth=0.5, label="This batch",
    )  # fmt: skip
    title = FEATURES[feature.name].title
    dress(axes, title, "", "Pictures (%)")
    axes.set_title(title, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=6)
    names = [_short(name, feature) for name in feature.bins]
    axes.set_xticks(list(places), names, rotation=40, ha="right")
    axes.tick_params(axis="x", labelsize=7)
    if feature.level != "none":
        colour = ORANGE if feature.level == "drift" else MUTED
        axes.set_title(
            f"{feature.level} {feature.psi:.2f}", loc="right", fontsize=8.5, fontweight="bold",
            color=colour, pad=6,
        )  # fmt: skip


def _short(name: str, feature: FeatureDrift) -> str:
    """What stands below a bin; of an interval its upper end, since the lower one stands beside."""
    if feature.kind == "number":
        _, between, high = name.partition(" to ")
        return f"≤ {high}" if between else name
    words = name.replace("_", " ")
    return words if len(words) <= _LONG else f"{words[: _LONG - 1]}…"
