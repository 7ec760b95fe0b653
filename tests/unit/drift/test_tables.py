from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from skin_lesion.audit.log import AuditLog
from skin_lesion.audit.records import Entry
from skin_lesion.drift.features import watched
from skin_lesion.drift.tables import from_audit, read_predictions
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction, Versions
from skin_lesion.prediction_table import frame


def answered(label: str, version: str = "7") -> Prediction:
    probabilities = dict.fromkeys(LABELS, 0.05) | {label: 0.7}
    return Prediction(
        "ok",
        probabilities=probabilities,
        prediction=label,
        malignant_probability=sum(probabilities[x] for x in ("mel", "bcc", "akiec")),
        confidence="high",
        verdicts={"melanoma_sensitivity_95": label == "mel"},
        image_sha256="a" * 64,
        versions=Versions("b" * 64, "c" * 64, version),
    )


SEVEN = Versions("b" * 64, "c" * 64, "7")
UNREADABLE = Prediction("unreadable", reason="truncated", image_sha256="d" * 64, versions=SEVEN)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_comes_back_with_versions_as_names(suffix, tmp_path):
    table = frame([answered("nv"), answered("mel"), UNREADABLE])
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
    back = read_predictions(path)
    assert back["model_version"].tolist() == ["7"] * 3
    pd.testing.assert_frame_equal(
        watched(back)[["status", "reason"]].astype("object"),
        watched(table)[["status", "reason"]].astype("object"),
    )
    assert back["prediction"].isna().tolist() == [False, False, True]


def test_the_folder_of_a_batch_stands_for_its_table(tmp_path):
    frame([answered("nv")]).to_parquet(tmp_path / "predictions.parquet", index=False)
    assert len(read_predictions(tmp_path)) == 1


def test_a_folder_without_a_table_is_refused_with_what_to_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="skin-lesion batch"):
        read_predictions(tmp_path)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_predictions(tmp_path / "x.parquet")


def test_the_log_gives_the_readings_of_one_model_without_feedback(tmp_path):
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    first = log.record(Entry("ana", "clinician", answered("nv")))
    log.record(Entry("ana", "clinician", UNREADABLE))
    log.record(Entry("ana", "clinician", answered("mel", version="8")))
    log.feedback(first.id, user="ana", role="clinician", label="mel")
    table = from_audit(log.rows(), SEVEN)
    assert table["prediction"].dropna().tolist() == ["nv"]
    assert table["status"].tolist() == ["ok", "unreadable"]
    direct = watched(frame([answered("nv"), UNREADABLE]))
    np.testing.assert_allclose(
        watched(table)["malignant_probability"], direct["malignant_probability"]
    )
    np.testing.assert_allclose(watched(table)["top_probability"], direct["top_probability"])


def test_a_model_that_was_never_asked_is_named_with_those_that_were(tmp_path):
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}", clock=lambda: datetime.now(UTC))
    with pytest.raises(LookupError, match=r"today: no reading of model 9 .*of no model"):
        from_audit(log.rows(), replace(SEVEN, model="9"), log="today")
    log.record(Entry("ana", "clinician", answered("nv")))
    with pytest.raises(LookupError, match=r"readings of 7 \(contract cccccccccccc\)"):
        from_audit(log.rows(), replace(SEVEN, model="9"))


def test_a_number_that_was_given_anew_does_not_mix_two_models(tmp_path):
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    log.record(Entry("ana", "clinician", answered("nv")))
    log.record(
        Entry(
            "ana", "clinician", replace(answered("mel"), versions=replace(SEVEN, contract="e" * 64))
        )
    )
    assert from_audit(log.rows(), SEVEN)["prediction"].tolist() == ["nv"]


def test_a_model_without_a_number_is_found_by_its_bundle(tmp_path):
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    folder = replace(SEVEN, model=None)
    log.record(Entry("ana", "clinician", replace(answered("nv"), versions=folder)))
    assert from_audit(log.rows(), folder)["bundle_hash"].tolist() == ["b" * 64]
