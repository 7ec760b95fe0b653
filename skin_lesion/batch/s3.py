"""Pictures in S3 and what speaks its protocol.

Credentials, region and `AWS_ENDPOINT_URL` come from the environment, as for every tool of AWS.
"""

import errno
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skin_lesion.data.archives import SourceError

if TYPE_CHECKING:
    from s3fs import S3FileSystem

_SCHEME = "s3://"
# What S3 says of the one object that was asked for. Whatever else it says, such as that a token has
# expired, it would say of every other object too.
_OF_ONE_OBJECT = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "InvalidObjectState",
        "NoSuchBucket",
        "NoSuchKey",
        "403",
        "404",
    }
)
# No object can have such an address.
_NO_ADDRESS = frozenset({"InvalidBucketName", "KeyTooLongError"})
# There is no first byte: the object is empty.
_NOTHING_THERE = frozenset({"InvalidRange", "416"})


@dataclass(frozen=True, slots=True)
class Object:
    """An object below a prefix.

    Attributes:
        address: `s3://bucket/key`.
        name: Its key below the prefix.
        size: Bytes.
        etag: Changes when the object does.
    """

    address: str
    name: str
    size: int
    etag: str


def list_objects(prefix: str) -> Iterator[Object]:
    """Every object below `s3://bucket/prefix`, taken as a folder; in no particular order.

    Raises:
        SourceError: There is no such bucket or prefix, or no right to list it.
        OSError: The store cannot be reached.
    """
    root = prefix.removeprefix(_SCHEME).strip("/")
    if not root:
        raise SourceError(f"{prefix!r} names no bucket; expected s3://bucket/prefix")
    try:
        with _reaching(prefix):
            # Folder by folder, so that the answers of a large bucket do not all lie in memory.
            for _, _, files in _store().walk(root, detail=True, on_error="raise"):
                for facts in files.values():
                    key = str(facts["name"])
                    if key.endswith("/"):  # what consoles write to show an empty folder
                        continue
                    yield Object(
                        f"{_SCHEME}{key}",
                        key.removeprefix(f"{root}/"),
                        int(facts["size"]),
                        str(facts.get("ETag", "")).strip('"'),
                    )
    except FileNotFoundError as error:
        raise SourceError(f"{prefix} does not exist: {error}") from error
    except PermissionError as error:
        raise SourceError(
            f"{prefix} may not be listed ({error}); give AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, of an account that may"
        ) from error


def read_object(address: str, size: int, most: int) -> bytes:
    """Fetch an object, or its first `most` bytes; s3fs tries again where the connection fails.

    Args:
        address: `s3://bucket/key`.
        size: Its size where that is known, else a negative number.
        most: Largest number of bytes that is fetched.

    Raises:
        FileNotFoundError: It is gone.
        PermissionError: It may not be read.
        OSError: The store cannot be reached.
    """
    if size == 0:  # the range of nothing is an error to S3
        return b""
    try:
        with _reaching(address):
            data: bytes = _store().cat_file(address.removeprefix(_SCHEME), start=0, end=most)
            return data
    except OSError as error:
        if _code(error) in _NOTHING_THERE:
            return b""
        raise


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Turn what the client says of addresses, connections and credentials into an error of ours."""
    from botocore.exceptions import BotoCoreError, ParamValidationError

    try:
        yield
    except ParamValidationError as error:
        raise _no_address(address) from error
    except BotoCoreError as error:
        raise _out_of_reach(address, error) from error
    except OSError as error:
        code = _code(error)
        if code in _NO_ADDRESS:
            raise _no_address(address) from error
        if code is None or code in _OF_ONE_OBJECT | _NOTHING_THERE:
            raise
        raise _out_of_reach(address, error) from error


def _no_address(address: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "no object can have this address", address)


def _out_of_reach(address: str, error: Exception) -> OSError:
    return OSError(
        f"{address} cannot be reached: {error}; look at the connection, at AWS_ENDPOINT_URL and at "
        "the credentials in the environment, which may have expired, and start the same again"
    )


def _code(error: OSError) -> str | None:
    """What the store answered, where an error is an answer of it."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    return str(cause.response["Error"].get("Code")) if isinstance(cause, ClientError) else None


@functools.cache
def _store() -> "S3FileSystem":
    """The client of this process."""
    import s3fs

    return s3fs.S3FileSystem(use_listings_cache=False)
