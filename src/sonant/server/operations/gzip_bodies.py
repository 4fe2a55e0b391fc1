"""Request bodies compressed by gzip, decompressed as they arrive."""

import asyncio
import zlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sonant.server.errors import ApiError

PIECE = 1 << 18  # bytes of a decompressed chunk
GZIP = 16 + zlib.MAX_WBITS  # header and checksum of gzip
MAGIC = b"\x1f\x8b"  # the first bytes of gzip
EMPTY_BYTES = 1 << 16  # compressed bytes that may come before they become as many


class GzipBodies:
    """Middleware that decompresses bodies with the header `Content-Encoding: gzip`.

    It stands before `BodyLimits`, whose limits then hold for the decompressed bytes, while they appear.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        encoding = Headers(scope=scope).get("content-encoding", "") if scope["type"] == "http" else ""
        if encoding.strip().lower() not in {"", "identity"}:
            scope = {**scope, "headers": list(scope["headers"])}
            headers = MutableHeaders(scope=scope)
            del headers["content-encoding"], headers["content-length"]
            headers["transfer-encoding"] = "chunked"  # the length is not known
            receive = _Decompressed(receive, encoding).receive
        await self._app(scope, receive, send)


class _Decompressed:
    """A `receive` that decompresses what another receives; after an error it passes on what is to be discarded."""

    def __init__(self, receive: Receive, encoding: str) -> None:
        self._receive, self._encoding = receive, encoding
        self._stream = zlib.decompressobj(GZIP)
        self._left = b""  # compressed
        self._received = self._made = 0  # bytes, compressed and decompressed
        self._has_more = True  # to receive
        self._is_full = False  # whether the last chunk was, so that there may be more without more input
        self._has_failed = False

    async def receive(self) -> Message:
        """Receive the next chunk. Raises ApiError 400: it is not gzip, or ends too early or too late."""
        if self._left or self._is_full:
            await asyncio.sleep(0)  # a small chunk may become many large ones: let others run in between
        elif self._has_failed or not self._has_more:
            return await self._receive()
        else:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            self._left, self._has_more = message.get("body", b""), message.get("more_body", False)
            self._received += len(self._left)
        try:
            body = self._decompressed()
        except ApiError:
            self._left, self._is_full, self._has_failed = b"", False, True
            raise
        return {"type": "http.request", "body": body, "more_body": bool(self._left) or self._is_full or self._has_more}

    def _decompressed(self) -> bytes:
        if self._encoding.strip().lower() not in {"gzip", "x-gzip"}:
            told = f"The body has the Content-Encoding {self._encoding[:40]!r}; expected gzip, or none."
            raise ApiError(400, "unsupported_content_encoding", told)
        try:
            body = self._stream.decompress(self._left, PIECE)
        except zlib.error as error:
            raise _not_gzip(str(error)) from None
        self._made += len(body)
        self._left, self._is_full = self._stream.unconsumed_tail, len(body) == PIECE and not self._stream.eof
        if rest := self._stream.unused_data:
            if not rest.startswith(MAGIC[: len(rest)]):
                raise _not_gzip("there is more after its end")
            self._stream, self._left = zlib.decompressobj(GZIP), rest  # another member: RFC 1952, 2.2
        if not self._left and self._received > 2 * self._made + EMPTY_BYTES:  # no limit on a body would see it
            raise _not_gzip("it goes on, and becomes next to nothing")
        if not (self._left or self._is_full or self._has_more or self._stream.eof):
            raise _not_gzip("it ends too early")
        return body


def _not_gzip(told: str) -> ApiError:
    return ApiError(400, "invalid_gzip", f"The body is labeled as compressed by gzip, and is not: {told}.")
