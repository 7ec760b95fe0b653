"""Whether a version is fit for production: its verdict, its files and its answers."""

import tempfile
from pathlib import Path

from pydantic import ValidationError

from skin_lesion import tracking
from skin_lesion.data.looking import Purpose
from skin_lesion.evaluation.gate_report import GateReport
from skin_lesion.evaluation.verdict import pass_judgement
from skin_lesion.ledger import environments_ledger
from skin_lesion.modeling.bundle import ModelBundle
from skin_lesion.registry.answers import wrong_answers
from skin_lesion.registry.checksums import broken_files
from skin_lesion.registry.lookup import fetch_bundle, production
from skin_lesion.registry.measurements import recorded_report
from skin_lesion.registry.version import RegisteredVersion
from skin_lesion.settings import GateConfig, RegistryConfig

GATE, GATE_REPORT, GATE_AGAINST = "gate", "gate_report", "gate_against"
NO_PRODUCTION = "none"
_REGRESSION = "no_regression"
_ALLOWED_LOSS = "register.max_regression"


def gate_tags(gate: GateReport, against: RegisteredVersion | None) -> dict[str, str]:
    """What is recorded of a verdict, with the production version that it compared with."""
    return gate.to_tags() | {
        GATE_REPORT: gate.model_dump_json(),
        GATE_AGAINST: str(against.version) if against else NO_PRODUCTION,
    }


def broken(version: RegisteredVersion, config: RegistryConfig, *, ask: bool = True) -> list[str]:
    """Why a version cannot be served, one sentence each; empty where it can.

    Its files are fetched and held against the recorded checksums; then it is loaded and asked.

    Args:
        version: To be tried.
        config: Tolerance.
        ask: Whether to load it and ask it too.
    """
    with tempfile.TemporaryDirectory(prefix="skin-lesion-") as folder:
        try:
            bundle = fetch_bundle(str(version.version), Path(folder), version.name)
        except (LookupError, OSError) as error:
            return [f"its files cannot be fetched: {error}"]
        found = broken_files(version, bundle)
        # Files that are not the registered ones are not run.
        if found or not ask:
            return found
        return wrong_answers(version, ModelBundle.open(bundle), config.answer_tolerance)


def refusals(
    version: RegisteredVersion, champion: RegisteredVersion | None, user: str
) -> list[str]:
    """Why the gates keep a version out of production, one sentence each; empty where they do not.

    The recorded verdict compared it with what was in production then. Where that is another version
    now, the comparison is made again; where nothing is, there is nothing to fall behind.

    Args:
        version: That is to be promoted.
        champion: The version in production; None where there is none.
        user: Who wants it; a comparison is a look at the test split, and is written down.
    """
    verdict = version.tags.get(GATE)
    if verdict is None:
        return ["No verdict of the gates is recorded with it: register it by the pipeline."]
    try:
        report = _recorded_verdict(version)
    except ValueError as error:
        return [f"The verdict of the gates that is recorded with it cannot be used: {error}."]
    if report is None:  # registered before whole reports were recorded
        found = [] if verdict == "passed" else [_named_gates(version)]
    else:
        found = [f"Gate {check.name}: {check.reason}" for check in report.failed]
    now = str(champion.version) if champion else NO_PRODUCTION
    if version.tags.get(GATE_AGAINST) != now:
        found = [reason for reason in found if not reason.startswith(f"Gate {_REGRESSION}")]
        found += _regressions(version, user) if champion else []
    return found


def _recorded_verdict(version: RegisteredVersion) -> GateReport | None:
    """The recorded verdict.

    Raises:
        ValueError: It is none, contradicts its tag, or is of another bundle.
    """
    text = version.tags.get(GATE_REPORT)
    if text is None:
        return None
    try:
        report = GateReport.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"it is no report ({error.error_count()} errors)") from error
    if report.bundle_hash != version.bundle_hash:
        raise ValueError(f"it judged the bundle {report.bundle_hash}")
    if report.to_tags()[GATE] != version.tags.get(GATE):
        raise ValueError(f"its tag says {version.tags.get(GATE)!r}, and the report does not")
    return report


def _named_gates(version: RegisteredVersion) -> str:
    names = version.tags.get("gate_failed") or "which ones was not recorded"
    return f"Its gates failed: {names}."


def _regressions(version: RegisteredVersion, user: str) -> list[str]:
    """The comparison with the model in production now, on the same test images."""
    try:
        report = recorded_report(version)
    except LookupError as error:
        return [f"It cannot be compared with the model in production: {error}."]
    limits = GateConfig(max_regression=_allowed_loss(version))
    judged = pass_judgement(
        report,
        version.bundle_hash,
        limits,
        production(version.name),
        ledger=environments_ledger(),
        purpose=Purpose(
            "promote", f"is version {version.version} worse than the one in production", user=user
        ),
    )
    return [
        f"Gate {check.name}: {check.reason}"
        for check in judged.failed
        if check.name.startswith(_REGRESSION)
    ]


def _allowed_loss(version: RegisteredVersion) -> float:
    """What the run that registered the version was configured to allow."""
    import mlflow
    from mlflow.exceptions import MlflowException

    default = GateConfig().max_regression
    try:
        parameters = mlflow.MlflowClient().get_run(version.run_id).data.params
    except MlflowException as error:
        if not tracking.is_missing(error):
            raise
        return default  # the run is gone
    return float(parameters.get(_ALLOWED_LOSS, default))
