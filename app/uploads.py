"""Pictures out of a multipart request, counted while they arrive."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from app.security import RefusedError
from skin_lesion.settings import ServeConfig

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD = "pictures"
# The rest of such a request goes unread, and the connection with it.
_CLOSE = {"Connection": "close"}


async def read_pictures(request: Request, config: ServeConfig) -> list[bytes]:
    """The pictures of a request, in order.

    Nothing is written to a disk, and no more is held in memory than the limits allow: what is too
    much is refused at the byte that makes it so.

    Args:
        request: Its body has not been read.
        config: The limits.

    Raises:
        RefusedError: It is no multipart request, holds other than pictures, too much of them, or
            arrives too slowly.
        ClientDisconnect: It ended half-way.
    """
    boundary = _boundary(request)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > config.max_request_bytes:
        raise _too_large("the request", config.max_request_bytes)
    parts = _Parts(config)
    received = 0
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        async with asyncio.timeout(config.upload_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > config.max_request_bytes:
                    raise _too_large("the request", config.max_request_bytes)
                parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise RefusedError(400, "the multipart request is malformed", _CLOSE) from error
    except TimeoutError as error:
        message = f"the request took longer than {config.upload_seconds:g} s to arrive"
        raise RefusedError(408, message, _CLOSE) from error
    if not parts.complete:
        raise RefusedError(400, "the multipart request ends half-way", _CLOSE)
    if not parts.pictures:
        raise RefusedError(422, f"no picture was sent; send files in the field {FIELD!r}")
    # One after the other, so that no more than one picture lies in memory twice.
    return [bytes(parts.pictures.pop(0)) for _ in range(len(parts.pictures))]


@dataclass
class _Parts:
    """What has arrived so far.

    Attributes:
        config: The limits.
        pictures: The files.
        complete: Whether the closing boundary was seen.
    """

    config: ServeConfig
    pictures: list[bytearray] = field(default_factory=list)
    complete: bool = False
    _name: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls as it goes."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._value = self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD.encode() or b"filename" not in options:
            raise RefusedError(
                422,
                f"expected nothing but files in the field {FIELD!r}; options go into the address",
            )
        if len(self.pictures) == self.config.max_files:
            message = f"at most {self.config.max_files} pictures are accepted in one request"
            raise RefusedError(413, message, _CLOSE)
        self.pictures.append(bytearray())

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self.pictures[-1]) + end - start > self.config.max_file_bytes:
            raise _too_large("a picture", self.config.max_file_bytes)
        self.pictures[-1] += data[start:end]

    def _end(self) -> None:
        self.complete = True


def _boundary(request: Request) -> bytes:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise RefusedError(415, "send the pictures as multipart/form-data", _CLOSE)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RefusedError(415, "compressed requests are not accepted", _CLOSE)
    return options[b"boundary"]


def _too_large(what: str, limit: int) -> RefusedError:
    return RefusedError(413, f"{what} is larger than the {limit} bytes that are accepted", _CLOSE)


__all__ = ["FIELD", "ClientDisconnect", "read_pictures"]
