"""Which model, data, thresholds and run stand behind an answer."""

from collections.abc import Iterator
from html import escape

from app.clinic.readings import PictureReading
from skin_lesion.texts import Texts


def provenance(texts: Texts, reading: PictureReading) -> str:
    """HTML of it; hashes are whole, so that they can be compared."""
    rows = "".join(
        f"<dt>{escape(texts(f'answer.provenance.{name}'))}</dt><dd>{value}</dd>"
        for name, value in _facts(texts, reading)
    )
    return (
        f'<details class="sl-fold sl-provenance"><summary>{escape(_summary(texts, reading))}</summary>'
        f"<dl>{rows}</dl></details>"
    )


def _summary(texts: Texts, reading: PictureReading) -> str:
    contract = reading.served.contract
    return (
        f"{texts('answer.provenance.title')}: "
        f"{texts('answer.provenance.model')} {reading.model_version} · "
        f"{texts('answer.provenance.data')} {contract.data_fingerprint[:8]} · "
        f"{texts('answer.provenance.split')} {contract.split_hash[:8]} · "
        f"{texts('answer.provenance.run')} {(contract.training_run_id or '–')[:8]}"
    )


def _facts(texts: Texts, reading: PictureReading) -> Iterator[tuple[str, str]]:
    served, contract, prediction = reading.served, reading.served.contract, reading.prediction
    versions = served.predictor.versions
    none = texts("answer.provenance.none")
    version = texts(
        "answer.provenance.version", name=served.version.name, version=reading.model_version
    )
    network = texts(
        "answer.provenance.input",
        backbone=contract.backbone,
        width=contract.input_width,
        height=contract.input_height,
    )
    row = (
        none
        if reading.audit_id is None
        else texts("answer.provenance.row", number=reading.audit_id)
    )
    yield "model", escape(version)
    yield "read", escape(texts.date(reading.at, zone=True))
    yield "backbone", escape(network)
    yield "run", _code(contract.training_run_id or none)
    yield "bundle", _code(versions.bundle)
    yield "contract", _code(versions.contract)
    yield "data", _code(contract.data_fingerprint)
    yield "split", _code(contract.split_hash)
    yield "code", _code(contract.code_version)
    yield "image", _code(prediction.image_sha256 or none)
    yield "log", escape(row)


def _code(value: str) -> str:
    return f"<code>{escape(value)}</code>"
