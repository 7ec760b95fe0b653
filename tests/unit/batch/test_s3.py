"""Pictures in S3, against a server of that protocol on loopback."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from skin_lesion.batch import s3
from skin_lesion.batch.inputs import list_inputs
from skin_lesion.batch.result import BatchResult
from skin_lesion.data.archives import SourceError
from skin_lesion.settings import BatchConfig
from tests.unit.batch.conftest import csv_rows, jpeg, rows_of

Score = Callable[..., BatchResult]
CONFIG = BatchConfig()


def forget_store() -> None:
    """The next look makes a client anew, with what the environment says then."""
    import s3fs

    s3._store.cache_clear()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty bucket `skin`, and an environment that leads to it."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    forget_store()
    found = boto3.resource("s3").create_bucket(Bucket="skin")
    yield found
    found.objects.all().delete()
    found.delete()
    forget_store()


@pytest.fixture
def objects(bucket: Any, pictures: Path) -> Path:
    """The pictures below the prefix `a/b`, and what does not belong to them."""
    for path in pictures.rglob("*.jpg"):
        bucket.put_object(Key=f"a/b/{path.relative_to(pictures)}", Body=path.read_bytes())
    for key in ("a/bc.jpg", "a/b/notes.txt", "a/b/empty/", "other.jpg"):
        bucket.put_object(Key=key, Body=b"")
    return pictures


@pytest.mark.parametrize("prefix", ["s3://skin/a/b", "s3://skin/a/b/"])
def test_a_prefix_is_listed_as_a_folder_is(objects: Path, prefix: str) -> None:
    listing = list_inputs(prefix, CONFIG)
    local = list_inputs(str(objects), CONFIG)
    assert [each.name for each in listing.inputs] == [each.name for each in local.inputs]
    assert [each.size for each in listing.inputs] == [each.size for each in local.inputs]
    assert listing.left_out == 1


def test_a_prefix_gives_what_its_folder_gives(objects: Path, score: Score) -> None:
    assert rows_of(score("s3://skin/a/b", "far")) == rows_of(score(objects, "near"))


def test_processes_reach_the_store_too(objects: Path, score: Score) -> None:
    far = score("s3://skin/a/b", "far", engine="processes", workers=2)
    assert rows_of(far) == rows_of(score(objects, "near"))


def test_another_object_of_the_same_name_makes_another_listing(bucket: Any) -> None:
    bucket.put_object(Key="1.jpg", Body=b"one")
    first = list_inputs("s3://skin", CONFIG).fingerprint
    assert list_inputs("s3://skin", CONFIG).fingerprint == first
    bucket.put_object(Key="1.jpg", Body=b"two")
    assert list_inputs("s3://skin", CONFIG).fingerprint != first


def test_more_objects_than_a_page_of_the_store_holds_are_all_listed(bucket: Any) -> None:
    for i in range(1005):
        bucket.put_object(Key=f"many/{i}.jpg", Body=b"")
    names = [each.name for each in list_inputs("s3://skin/many", CONFIG).inputs]
    assert sorted(names) == sorted(f"{i}.jpg" for i in range(1005))


def test_what_cannot_be_used_is_a_row_each(bucket: Any, tmp_path: Path, score: Score) -> None:
    bucket.put_object(Key="ok ä +.jpg", Body=jpeg(1))
    bucket.put_object(Key="large.jpg", Body=b"x" * 20_000)
    bucket.put_object(Key="empty.jpg", Body=b"")
    table = tmp_path / "list.csv"
    lines = [
        "s3://skin/large.jpg",
        "s3://skin/gone.jpg",
        '"s3://skin/ok ä +.jpg"',
        "s3://no/1.jpg",
    ]
    table.write_text("\n".join(["uri", *lines, "s3://skin/empty.jpg"]))
    result = score(table, max_file_bytes=10_000)
    reasons = [row["reason"] for row in rows_of(result)]
    assert reasons == ["too_large", "missing", None, "missing", "empty"]
    assert len(csv_rows(result.path / "quarantine.csv")) == 4
    by_prefix = score("s3://skin/", "prefix", max_file_bytes=10_000)
    assert by_prefix.summary.reasons == {"empty": 1, "too_large": 1}


def test_an_object_that_vanishes_on_the_way_is_a_row_that_says_so(
    objects: Path, bucket: Any, score: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    from skin_lesion.batch import run

    listed = list_inputs("s3://skin/a/b", CONFIG)
    bucket.Object("a/b/5.jpg").delete()
    monkeypatch.setattr(run, "list_inputs", lambda *_: listed)
    (lost,) = [row for row in rows_of(score("s3://skin/a/b")) if row["status"] != "ok"]
    assert (lost["file"], lost["reason"]) == ("5.jpg", "missing")


@pytest.mark.parametrize(
    "address",
    [
        "s3://skin",
        "s3://skin/",
        "s3://",
        "s3:///1.jpg",
        "s3://bad bucket/1.jpg",
        f"s3://skin/{'x' * 1100}",
    ],
)
def test_an_address_that_no_object_can_have_is_a_row_like_others(
    bucket: Any, tmp_path: Path, score: Score, address: str
) -> None:
    bucket.put_object(Key="1.jpg", Body=jpeg(1))
    table = tmp_path / "list.csv"
    table.write_text(f'uri\n"{address}"\ns3://skin/1.jpg\n')
    assert [row["reason"] for row in rows_of(score(table))] == ["missing", None]


def answering(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the store answer every request for an object with this code."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    def answer(*_: Any, **__: Any) -> bytes:
        said = {"Error": {"Code": code, "Message": f"the store says {code}"}}
        raise translate_boto_error(ClientError(said, "GetObject"))

    monkeypatch.setattr(s3._store(), "cat_file", answer)


@pytest.mark.parametrize(
    "code",
    [
        *("ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId"),
        *("SignatureDoesNotMatch", "RequestTimeTooSkewed", "SlowDown", "SomethingNew"),
    ],
)
def test_credentials_that_expire_on_the_way_stop_the_run_and_put_nothing_aside(
    objects: Path, score: Score, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with monkeypatch.context() as patched:
        answering(code, patched)
        with pytest.raises(OSError, match=f"the store says {code}.*may have expired"):
            score("s3://skin/a/b")
    assert score("s3://skin/a/b").summary.put_aside == 0


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidObjectState"])
def test_an_object_that_may_not_be_read_is_a_row_that_says_so(
    objects: Path, score: Score, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    answering(code, monkeypatch)
    assert score("s3://skin/a/b").summary.reasons == {"no_access": 10}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s3://bad bucket/a", "does not exist"),
        ("s3://nowhere/a", "does not exist"),
        ("s3://skin/nothing", "does not exist|holds no picture"),
        ("s3://", "names no bucket"),
        ("s3://skin/a.zip", "single object"),
    ],
)
def test_a_prefix_that_is_not_there_is_refused(bucket: Any, source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list_inputs(source, CONFIG)


def test_a_store_that_does_not_answer_stops_the_run_with_advice(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget_store()
    with pytest.raises(OSError, match="AWS_ENDPOINT_URL"):
        list_inputs("s3://skin/a", CONFIG)
    with pytest.raises(OSError, match="AWS_ENDPOINT_URL"):
        s3.read_object("s3://skin/1.jpg", 10, 20)


def test_missing_credentials_are_named(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    forget_store()
    with pytest.raises(OSError, match="credentials"):
        list_inputs("s3://skin/a", CONFIG)
