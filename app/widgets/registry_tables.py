"""Versions, the verdict of their gates, and the changes of production, as tables."""

from html import escape

from app.clinic.models import Models, figure, verdict
from app.widgets.evidence_tables import Html, code, facts, table
from app.widgets.evidence_words import figure as with_interval
from skin_lesion.evaluation.figures import Estimate
from skin_lesion.evaluation.gate_report import GateCheck, GateReport
from skin_lesion.registry import Recorded, RegisteredVersion
from skin_lesion.texts import Texts

FIGURES = ("macro_f1", "balanced_accuracy", "melanoma_auc", "malignant_auc", "ece")
_SHORT = 8


def versions(texts: Texts, models: Models) -> str:
    """All versions, the newest first."""
    heads = [
        texts(f"registry.versions.{name}")
        for name in ("version", "place", "gates", *FIGURES, "pictures", "data", "split", "when")
    ]
    rows = [_version(texts, models, one) for one in models.newest_first]
    numbers = [one.version for one in models.newest_first]
    marked = [numbers.index(models.state.champion)] if models.state.champion in numbers else []
    return table(
        texts("registry.versions.caption"),
        heads,
        rows,
        words=(1, 2, 8, 9, 10, 11),
        marked=marked,
    )


def place(texts: Texts, models: Models, number: int) -> str:
    """Where a version stands."""
    if number == models.state.champion:
        return texts("registry.place.production")
    return texts("registry.place.previous") if number == models.state.previous else ""


def gates_word(texts: Texts, version: RegisteredVersion) -> str:
    """The verdict in a word with its sign."""
    said = version.tags.get("gate")
    return texts(f"registry.gate.{said if said in ('passed', 'failed') else 'none'}")


def details(texts: Texts, models: Models, version: RegisteredVersion) -> str:
    """What made a version."""
    when = models.registered_at.get(version.version)
    tags = version.tags
    unknown = texts("evidence.none")

    def tag(name: str) -> str:
        return code(tags[name]) if tags.get(name) else unknown

    return facts(
        texts("registry.details.caption", version=version.version),
        [
            (texts("registry.details.when"), texts.date(when, zone=True) if when else unknown),
            (texts("registry.details.backbone"), tags.get("backbone", unknown)),
            (texts("registry.details.pictures"), _pictures(texts, version)),
            (texts("registry.details.licence"), tags.get("licence", unknown)),
            (texts("registry.details.bundle"), tag("bundle_hash")),
            (texts("registry.details.data"), tag("data_fingerprint")),
            (texts("registry.details.split"), tag("split_hash")),
            (texts("registry.details.code"), tag("code_version")),
            (texts("registry.details.run"), code(version.run_id)),
        ],
    )


def gates(texts: Texts, version: RegisteredVersion) -> str | None:
    """Each rule and what came of it, failed ones first; None where no verdict can be read."""
    report = verdict(version)
    if report is None:
        return None
    return table(
        _caption(texts, version, report),
        [texts(f"registry.gates_table.{name}") for name in ("rule", "result", "figure", "limit")],
        [
            [
                gate_name(texts, check.name),
                texts(f"registry.rule.{'passed' if check.passed else 'failed'}"),
                _figure(texts, check),
                _limit(texts, check),
            ]
            for check in sorted(report.checks, key=lambda check: check.passed)
        ],
        words=(0, 1),
        marked=range(len(report.failed)),
    )


def gate_name(texts: Texts, name: str) -> str:
    """A gate in plain words; one that the texts do not know is called by its name."""
    key = f"registry.gates.{name}"
    return texts(key) if key in texts else name.replace("_", " ")


def changes(texts: Texts, records: tuple[Recorded, ...]) -> str:
    """Every change of production, the newest first."""
    return table(
        texts("registry.changes.caption"),
        [
            texts(f"registry.changes.{name}")
            for name in ("number", "when", "who", "what", "why", "state")
        ],
        [
            [
                str(one.change.number),
                texts.date(one.change.when),
                one.change.user,
                change_words(texts, one),
                _why(texts, one),
                texts(f"registry.changes.{one.state.replace(' ', '_')}"),
            ]
            for one in reversed(records)
        ],
        words=(1, 2, 3, 4, 5),
    )


def change_words(texts: Texts, record: Recorded) -> str:
    """A change in the reader's language."""
    change = record.change
    before, after = (
        texts("registry.nothing")
        if number is None
        else texts("registry.the_version", version=number)
        for number in (change.before, change.after)
    )
    return texts(f"registry.changes.{change.kind}", before=before, after=after)


def _why(texts: Texts, record: Recorded) -> str:
    change = record.change
    if change.override is None:
        return change.reason
    override = texts("registry.changes.override", why=change.override)
    return Html(f"{escape(change.reason)}<br>{escape(override)}")


def _version(texts: Texts, models: Models, version: RegisteredVersion) -> list[str]:
    when = models.registered_at.get(version.version)
    tags = version.tags
    return [
        str(version.version),
        place(texts, models, version.version),
        gates_word(texts, version),
        *(_number(texts, figure(version, name)) for name in FIGURES),
        _pictures(texts, version),
        _short(texts, tags.get("data_fingerprint")),
        _short(texts, tags.get("split_hash")),
        texts.date(when, time=False) if when else texts("evidence.none"),
    ]


def _pictures(texts: Texts, version: RegisteredVersion) -> str:
    drawn = version.tags.get("synthetic_only")
    if drawn not in ("true", "false"):
        return texts("evidence.none")
    return texts(f"registry.versions.{'drawn' if drawn == 'true' else 'real'}")


def _short(texts: Texts, text: str | None) -> str:
    return code(text[:_SHORT]) if text else texts("evidence.none")


def _number(texts: Texts, value: float | None) -> str:
    return texts("evidence.none") if value is None else texts.number(value, 3)


def _caption(texts: Texts, version: RegisteredVersion, report: GateReport) -> str:
    against = version.tags.get("gate_against", "none")
    compared = (
        texts("registry.gates_table.against_nothing")
        if against == "none"
        else texts("registry.gates_table.against", version=against)
    )
    basis = f" {texts('registry.gates_table.synthetic')}" if report.synthetic_only else ""
    title = texts("registry.gates_table.caption", version=version.version)
    return f"{title} {compared}{basis}"


def check_words(texts: Texts, check: GateCheck) -> str:
    """The figure that a rule judged, and the limit that it was held against."""
    return texts(
        "registry.gates_table.held_against",
        figure=_figure(texts, check),
        limit=_limit(texts, check),
    )


def _figure(texts: Texts, check: GateCheck) -> str:
    if check.value is None:
        return texts("registry.gates_table.no_figure")
    found = Estimate(value=check.value, ci_low=check.ci_low, ci_high=check.ci_high)
    return with_interval(texts, found)


def _limit(texts: Texts, check: GateCheck) -> str:
    if check.minimum is not None:
        return texts("registry.gates_table.minimum", limit=texts.number(check.minimum, 3))
    if check.maximum is not None:
        return texts("registry.gates_table.maximum", limit=texts.number(check.maximum, 3))
    return texts("registry.gates_table.no_limit")
