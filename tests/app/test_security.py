"""Who may ask, and who may not."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.security import (
    ANYONE,
    ApiKeys,
    Client,
    Guard,
    RefusedError,
    check_tls,
    is_loopback,
    new_key,
    read_keys,
)
from skin_lesion.settings import ServeConfig
from tests.app.conftest import Service, sent

KEY = "k" * 40
OTHER = "o" * 40


@pytest.fixture
def keys() -> ApiKeys:
    return ApiKeys.read(f"ward-3:{KEY}, lab:{OTHER}")


def test_a_key_names_its_holder_and_no_other_text_does(keys: ApiKeys) -> None:
    assert keys.holder(KEY) == "ward-3"
    assert keys.holder(OTHER) == "lab"
    for wrong in (
        "",
        KEY[:-1],
        KEY + "k",
        KEY.upper(),
        hashlib.sha256(KEY.encode()).hexdigest(),
        "ключ",
    ):
        assert keys.holder(wrong) is None


def test_no_key_is_kept_in_the_clear(keys: ApiKeys) -> None:
    assert KEY not in repr(vars(keys))


def test_a_new_key_is_accepted_by_the_line_that_comes_with_it() -> None:
    key, line = new_key("ward-3")
    assert key not in line
    assert ApiKeys.read(line).holder(key) == "ward-3"
    assert new_key("ward-3")[0] != key


def test_a_key_is_not_cut_short_at_a_sign_that_begins_comments() -> None:
    keys = ApiKeys.read(f"a:{KEY}#{OTHER}  # of ward 3\n# nothing\nb:{OTHER}")
    assert keys.holder(f"{KEY}#{OTHER}") == "a"
    assert keys.holder(KEY) is None
    assert keys.holder(OTHER) == "b"


def test_comments_and_empty_lines_are_left_out() -> None:
    keys = ApiKeys.read(f"# who\n\nward-3:{KEY}  # since May\n,\n")
    assert keys.holder(KEY) == "ward-3"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (KEY, "has no name"),
        ("ward:short", "'ward' has 5 characters"),
        ("ward:sha256:abc", "checksum of API key 'ward'"),
        (f"a b:{KEY}", "has a name of"),
        (f"ward:{KEY},ward:{OTHER}", "two API keys are called 'ward'"),
        (f"{KEY}{KEY}:x", "has a name of"),
    ],
)
def test_a_broken_entry_is_refused_without_repeating_the_key(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ApiKeys.read(text)
    assert KEY not in str(caught.value)
    assert "short" not in str(caught.value)


def test_keys_come_from_environment_and_file(tmp_path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"lab:{OTHER}\n")
    config = ServeConfig(keys_file=str(file))
    keys = read_keys(config, {"SKIN_LESION_API_KEYS": f"ward-3:{KEY}"})
    assert (keys.holder(KEY), keys.holder(OTHER)) == ("ward-3", "lab")


def test_a_file_without_keys_does_not_open_the_service(tmp_path) -> None:
    file = tmp_path / "keys"
    file.write_text("# none yet\n")
    with pytest.raises(ValueError, match="holds no API key"):
        read_keys(ServeConfig(keys_file=str(file)), {})


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"]
)
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", [None, "", "0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "1"]
)
def test_nothing_else_passes_for_loopback(host: str | None) -> None:
    assert not is_loopback(host)


def test_an_open_service_listens_on_loopback_alone_unless_told_plainly(keys: ApiKeys) -> None:
    Guard(ApiKeys({})).check_address("127.0.0.1")
    with pytest.raises(ValueError, match="--insecure"):
        Guard(ApiKeys({})).check_address("0.0.0.0")
    Guard(ApiKeys({}), insecure=True).check_address("0.0.0.0")
    Guard(keys).check_address("0.0.0.0")


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("10.0.0.7", {"host": "127.0.0.1:8000"}),
        (None, {"host": "127.0.0.1:8000"}),
        ("127.0.0.1", {"host": "evil.example.org"}),
        ("127.0.0.1", {}),
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "https://evil.example.org"}),
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:9999"}),
        ("127.0.0.1", {"host": "127.0.0.1:8000", "origin": "null"}),
    ],
)
def test_an_open_service_answers_no_other_machine_and_no_strangers_page(
    peer: str | None, headers: dict[str, str]
) -> None:
    with pytest.raises(RefusedError) as caught:
        Guard(ApiKeys({})).identify(headers, peer)
    assert caught.value.status == 403


def test_an_open_service_answers_this_machine() -> None:
    headers = {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}
    assert Guard(ApiKeys({})).identify(headers, "127.0.0.1") == ANYONE


def test_who_has_a_key_is_known_by_its_name(keys: ApiKeys) -> None:
    assert Guard(keys).identify({"x-api-key": KEY}, "10.0.0.7") == Client("ward-3", "api-key")


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": "wrong"}, {"authorization": f"Bearer {KEY}"}, {"x-api-key": ""}]
)
def test_who_has_none_is_told_how_to_send_one(keys: ApiKeys, headers: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="X-API-KEY") as caught:
        Guard(keys).identify(headers, "127.0.0.1")
    assert caught.value.status == 401
    assert "WWW-Authenticate" in caught.value.headers


def test_keys_guard_predictions_and_the_version_and_leave_probes_open(
    service: Service, keys: ApiKeys
) -> None:
    client = service(guard=Guard(keys), peer="10.0.0.7")
    assert client.get("/health").status_code == 200
    assert client.get("/ready").status_code == 200
    assert client.get("/version").status_code == 401
    refused = client.post("/v1/predict", files=sent(b"x"))
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "ApiKey"
    headers = {"X-API-Key": KEY}
    assert client.get("/version", headers=headers).status_code == 200
    assert client.post("/v1/predict", files=sent(b"x"), headers=headers).status_code == 200


def test_the_openapi_document_names_the_keys(service: Service, keys: ApiKeys) -> None:
    document = service(guard=Guard(keys)).get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["api_key"]["name"] == "X-API-KEY"
    assert document["paths"]["/v1/predict"]["post"]["security"] == [{"api_key": []}]
    assert "security" not in document["paths"]["/health"]["get"]


def test_a_page_of_another_site_cannot_make_a_browser_on_this_machine_ask(
    service: Service,
) -> None:
    response = service().post(
        "/v1/predict", files=sent(b"x"), headers={"Origin": "https://evil.example.org"}
    )
    assert response.status_code == 403


def certified(folder: Path, name: str) -> tuple[str, str]:
    """Files of a certificate for this machine, signed by itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(paths[0]), str(paths[1])


def test_a_certificate_and_its_key_are_accepted(tmp_path) -> None:
    certificate, key = certified(tmp_path, "one")
    check_tls(ServeConfig(tls_certificate=certificate, tls_key=key))
    check_tls(ServeConfig())


def test_a_certificate_without_its_own_key_is_refused_before_anything_listens(tmp_path) -> None:
    certificate, _ = certified(tmp_path, "one")
    _, other = certified(tmp_path, "other")
    with pytest.raises(ValueError, match=r"one\.pem and the key .*other\.key"):
        check_tls(ServeConfig(tls_certificate=certificate, tls_key=other))
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ValueError, match="expected PEM files"):
        check_tls(ServeConfig(tls_certificate=str(tmp_path / "text"), tls_key=other))
    with pytest.raises(ValueError, match="gone is no file"):
        check_tls(ServeConfig(tls_certificate=certificate, tls_key=str(tmp_path / "gone")))
