"""What the service answers, and what it never does."""

import base64
import io
import json
import logging
import struct
import threading
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from app.answers import PictureAnswer
from app.api import HeatMapOf
from app.uploads import FIELD
from skin_lesion.audit import AuditError, AuditLog
from skin_lesion.inference import Predictor
from skin_lesion.labels import LABELS
from skin_lesion.prediction import Prediction
from skin_lesion.prediction_table import nested
from tests.app.conftest import Alias, Service, sent


def test_an_answer_is_what_the_model_says_and_which_model_said_it(
    service: Service, alias: Alias, pictures: list[bytes]
) -> None:
    answer = service().post("/v1/predict", files=sent(*pictures[:3])).json()
    predictor = Predictor(alias.bundles[1], version="1")
    expected = [nested(predictor.predict([picture])[0]) for picture in pictures[:3]]
    assert answer["predictions"] == [
        {**row, "heat_map": None, "audit_id": None} for row in expected
    ]
    assert answer["predictions"][0]["verdicts"].keys() == {"melanoma_sensitivity_95"}
    assert answer["model"] == {
        "name": "skin-lesion-classifier",
        "version": 1,
        "bundle_hash": predictor.versions.bundle,
        "contract_hash": predictor.versions.contract,
        "synthetic_only": True,
    }
    assert "not a medical device" in answer["notice"]


def test_the_documented_fields_are_those_of_the_table_of_predictions() -> None:
    documented = PictureAnswer.model_fields.keys() - {"heat_map", "audit_id"}
    assert documented == nested(Prediction("unreadable")).keys()


def test_heat_maps_are_offered_for_every_class() -> None:
    assert HeatMapOf.__args__ == ("predicted", *LABELS)


def test_a_broken_picture_is_told_and_disturbs_no_other(
    service: Service, pictures: list[bytes]
) -> None:
    files = sent(pictures[0], b"no picture", pictures[1][:100], b"", pictures[1])
    answers = service().post("/v1/predict", files=files).json()["predictions"]
    assert [each["status"] for each in answers] == [
        "ok", "unreadable", "unreadable", "unreadable", "ok",
    ]  # fmt: skip
    assert answers[2]["reason"] == "truncated"
    assert answers[3]["reason"] == "empty"
    assert answers[1]["probabilities"] is None


@pytest.mark.parametrize("label", ["mel", "predicted"])
def test_a_heat_map_is_a_picture_of_the_class_that_was_asked_for(
    service: Service, pictures: list[bytes], label: str
) -> None:
    response = service().post(f"/v1/predict?heat_map={label}", files=sent(pictures[0]))
    [answer] = response.json()["predictions"]
    expected = answer["prediction"] if label == "predicted" else label
    assert answer["heat_map"]["label"] == expected
    picture = Image.open(io.BytesIO(base64.b64decode(answer["heat_map"]["png_base64"])))
    assert (picture.format, picture.size) == ("PNG", (32, 24))


def test_a_picture_that_was_not_judged_has_no_heat_map(service: Service) -> None:
    response = service().post("/v1/predict?heat_map=mel", files=sent(b"no picture"))
    assert response.json()["predictions"][0]["heat_map"] is None


def test_a_pixel_bomb_is_refused_undecoded(service: Service) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    bomb = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    [answer] = service().post("/v1/predict", files=sent(bomb)).json()["predictions"]
    assert (answer["status"], answer["reason"]) == ("unreadable", "bomb")


@pytest.mark.parametrize(
    ("limits", "files", "status", "words"),
    [
        ({"max_file_bytes": 50}, [b"x" * 51], 413, "50 bytes"),
        ({"max_request_bytes": 500}, [b"x" * 200] * 3, 413, "500 bytes"),
        ({"max_files": 2}, [b"x"] * 3, 413, "at most 2 pictures"),
    ],
)
def test_what_is_too_much_is_refused(
    service: Service, limits: dict[str, int], files: list[bytes], status: int, words: str
) -> None:
    response = service(**limits).post("/v1/predict", files=sent(*files))
    assert response.status_code == status
    assert words in response.json()["detail"]


def test_what_fits_exactly_is_accepted(service: Service) -> None:
    response = service(max_file_bytes=50, max_files=2).post(
        "/v1/predict", files=sent(b"x" * 50, b"y" * 50)
    )
    assert [each["status"] for each in response.json()["predictions"]] == ["unreadable"] * 2


def test_a_request_of_unstated_length_is_cut_off_at_the_limit(service: Service) -> None:
    taken = 0

    def endless():
        nonlocal taken
        yield b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="x"\r\n\r\n'
        for _ in range(1000):
            taken += 1
            yield b"x" * 1000

    response = service(max_request_bytes=5000).post(
        "/v1/predict",
        content=endless(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", "application/json", 415, "multipart/form-data"),
        (b"", "multipart/form-data", 415, "multipart/form-data"),
        (b"no boundary here", "multipart/form-data; boundary=b", 400, "malformed"),
        (b"--b\r\n", "multipart/form-data; boundary=b", 400, "half-way"),
        (
            b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="x"\r\n\r\nabc',
            "multipart/form-data; boundary=b",
            400,
            "half-way",
        ),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "no picture"),
        (
            b'--b\r\nContent-Disposition: form-data; name="heat_map"\r\n\r\nmel\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            422,
            "go into the address",
        ),
        (
            b"--b\r\n\r\nabc\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
            422,
            "files in the field",
        ),
    ],
)
def test_a_request_that_is_none_is_refused_with_what_was_expected(
    service: Service, body: bytes, kind: str, status: int, words: str
) -> None:
    response = service().post("/v1/predict", content=body, headers={"Content-Type": kind})
    assert response.status_code == status
    assert words in response.json()["detail"]


def test_no_damaged_request_is_more_than_refused(service: Service, pictures: list[bytes]) -> None:
    client = service()
    sound = httpx.Request("POST", "http://x", files=sent(*pictures[:2]))
    body, kind = sound.read(), sound.headers["Content-Type"]
    random = np.random.default_rng(5)
    seen = set()
    for _ in range(300):
        damaged = bytearray(body)
        for place in random.integers(0, len(body), random.integers(1, 6)):
            damaged[place] = random.integers(0, 256)
        if random.random() < 0.3:  # where boundary and names are
            damaged[random.integers(0, 120)] = random.integers(0, 256)
        if random.random() < 0.3:
            del damaged[random.integers(0, len(body)) :]
        response = client.post(
            "/v1/predict", content=bytes(damaged), headers={"Content-Type": kind}
        )
        seen.add(response.status_code)
        assert "Traceback" not in response.text
    assert seen <= {200, 400, 413, 422}
    assert {200, 400} <= seen


def test_a_compressed_request_is_refused(service: Service) -> None:
    response = service().post("/v1/predict", files=sent(b"x"), headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415


def test_an_unknown_class_is_refused_with_those_there_are(service: Service) -> None:
    response = service().post("/v1/predict?heat_map=scc", files=sent(b"x"))
    assert response.status_code == 422
    assert "'mel'" in response.json()["detail"]


def test_without_a_model_it_is_alive_and_not_ready_and_says_what_to_run(
    service: Service, alias: Alias
) -> None:
    alias.version = None
    client = service(wait=False)
    client.app.state.store.refresh()
    assert client.get("/health").json() == {"status": "alive"}
    ready = client.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["ready"] is False
    assert "skin-lesion promote" in ready.json()["problem"]
    for response in (client.get("/version"), client.post("/v1/predict", files=sent(b"x"))):
        assert response.status_code == 503
        assert "Retry-After" in response.headers
        assert "skin-lesion promote" in response.json()["detail"]


def test_readiness_and_version_tell_of_a_new_model_that_was_refused(
    service: Service, alias: Alias, bundles
) -> None:
    client = service()
    alias.point_to(2, bundles[2], bundle_hash="0" * 64)
    client.app.state.store.refresh()
    ready = client.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["version"] == 1
    assert "version 2 is in production but was refused" in ready.json()["problem"]
    assert client.get("/version").json()["problem"] == ready.json()["problem"]


def test_the_version_tells_where_the_model_comes_from_and_its_thresholds(
    service: Service, alias: Alias
) -> None:
    answer = service().get("/version").json()
    contract = alias.bundles[1].contract
    assert answer["model"]["version"] == 1
    assert answer["data_fingerprint"] == contract.data_fingerprint
    assert answer["split_hash"] == contract.split_hash
    assert answer["mlflow_run"] == "run"
    assert answer["contract"] == json.loads(contract.model_dump_json())
    [point] = answer["contract"]["decisions"]["operating_points"]
    assert point["threshold"] == 0.1


def test_every_answer_has_a_number_and_headers_that_browsers_obey(service: Service) -> None:
    client = service()
    for response in (client.get("/health"), client.get("/nothing"), client.post("/v1/predict")):
        assert len(response.headers["X-Request-ID"]) == 16
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in response.headers


def test_over_https_browsers_are_told_to_stay_there(service: Service) -> None:
    response = service(address="https://127.0.0.1:8000").get("/health")
    assert "max-age" in response.headers["Strict-Transport-Security"]


def test_what_goes_wrong_inside_leaves_no_trace_in_the_answer(
    service: Service, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    client = service()

    def broken(*_: object, **__: object) -> None:
        raise KeyError("/srv/secret/model.bin")

    monkeypatch.setattr(Predictor, "predict", broken)
    response = client.post("/v1/predict", files=sent(pictures[0]))
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "Traceback" not in response.text
    assert "nosniff" in response.headers["X-Content-Type-Options"]
    number = response.json()["request_id"]
    assert any(number in record.getMessage() and record.exc_info for record in caplog.records)


def test_the_log_has_a_line_for_each_request_and_no_name_of_a_file(
    service: Service, pictures: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    client = service()
    caplog.set_level(logging.DEBUG)
    files = [(FIELD, ("Jane_Doe_1970.png", pictures[0], "image/jane-doe"))]
    response = client.post("/v1/predict?heat_map=mel", files=files)
    client.get("/patients/Jane_Doe?name=Jane_Doe")
    lines = [json.loads(r.getMessage()) for r in caplog.records if r.name == "app.access"]
    assert [(line["route"], line["status"]) for line in lines] == [
        ("/v1/predict", 200),
        (None, 404),
    ]
    assert lines[0]["request_id"] == response.headers["X-Request-ID"]
    assert lines[0]["pictures"] == 1
    assert lines[0]["statuses"] == ["ok"]
    assert lines[0]["user"] == "anonymous"
    ours = [r for r in caplog.records if not r.name.startswith("httpx")]
    assert not [r for r in ours if "jane" in r.getMessage().lower()]


def test_an_answer_is_in_the_audit_log_before_it_is_given(
    service: Service, pictures: list[bytes], tmp_path: Path
) -> None:
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    answer = service(audit=log).post("/v1/predict", files=sent(*pictures[:2], b"no picture")).json()
    rows = list(log.rows())
    assert [each["audit_id"] for each in answer["predictions"]] == [row.id for row in rows]
    assert [row.image_sha256 for row in rows] == [
        each["image_sha256"] for each in answer["predictions"]
    ]
    assert {(row.user, row.role, row.model_version) for row in rows} == {
        ("anonymous", "unidentified", "1")
    }
    assert log.verify().fault is None


def test_an_answer_that_cannot_be_recorded_is_not_given(
    service: Service, pictures: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    client = service(audit=log)

    def full(*_: object) -> None:
        raise AuditError("disk of /srv/audit is full")

    monkeypatch.setattr(AuditLog, "record_all", full)
    response = client.post("/v1/predict", files=sent(pictures[0]))
    assert response.status_code == 503
    assert "audit log" in response.json()["detail"]
    assert "/srv" not in response.text
    assert "probabilities" not in response.text


def test_an_answer_that_comes_too_late_is_given_up_and_frees_its_place_when_it_ends(
    service: Service, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = AuditLog.open(f"sqlite:///{tmp_path / 'audit.db'}")
    client = service(predict_seconds=0.2, max_concurrent=1, audit=log)
    go_on, judged = threading.Event(), []
    plain = Predictor.predict

    def slow(self: Predictor, pictures: list[bytes], **options: object) -> object:
        judged.append(len(pictures))
        go_on.wait(30)
        return plain(self, pictures, **options)

    monkeypatch.setattr(Predictor, "predict", slow)
    late = client.post("/v1/predict", files=sent(*pictures[:3]))
    assert late.status_code == 504
    busy = client.post("/v1/predict", files=sent(pictures[0]))
    assert busy.status_code == 503
    assert busy.headers["Retry-After"] == "2"
    go_on.set()
    monkeypatch.setattr(Predictor, "predict", plain)
    for _ in range(200):
        if client.post("/v1/predict", files=sent(pictures[0])).status_code == 200:
            break
        threading.Event().wait(0.02)
    else:
        pytest.fail("the place was never given back")
    assert judged == [1]  # the other two pictures were left alone
    assert [row.id for row in log.rows()] == [1]  # nothing of the late answer was recorded


def test_the_openapi_document_shows_an_answer_and_how_to_send_pictures(service: Service) -> None:
    document = service().get("/openapi.json").json()
    predict = document["paths"]["/v1/predict"]["post"]
    schema = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert schema["required"] == [FIELD]
    example = document["components"]["schemas"]["PredictAnswer"]["examples"][0]
    assert PictureAnswer.model_validate(example["predictions"][0]).status == "ok"
    assert PictureAnswer.model_validate(example["predictions"][1]).status == "unreadable"
    assert {"200", "401", "413", "429", "503", "504"} <= predict["responses"].keys()
    assert "security" not in predict


def test_no_page_loads_scripts_from_elsewhere(service: Service) -> None:
    client = service()
    assert client.get("/docs").status_code == 404
    assert client.get("/redoc").status_code == 404


def test_a_large_picture_reads_as_the_predictor_reads_it(service: Service, alias: Alias) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 800, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    [answer] = service().post("/v1/predict", files=sent(buffer.getvalue())).json()["predictions"]
    [expected] = Predictor(alias.bundles[1]).predict([buffer.getvalue()])
    assert answer["probabilities"] == expected.probabilities
