"""Recordings from addresses in requests.

A server that fetches what strangers name can be sent to places that only it can reach. So nothing is fetched unless
whoever runs it has named the host; a name is looked up once, must lead to public addresses only, and the connection
goes to the very address that was checked; redirects are not followed, and proxies and credentials not used.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from email.message import Message
from email.parser import Parser
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from sonant import __version__
from sonant.server.errors import ApiError
from sonant.server.intake import addresses
from sonant.server.intake.addresses import USUAL_PORTS, AllowedHost
from sonant.server.settings import Limits

HEAD_BYTES = 1 << 16
PIECE_BYTES = 1 << 16
CONCURRENT = 16

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # name and port to IP addresses


class Target(NamedTuple):
    """The parts of a URL."""

    scheme: str
    name: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port == USUAL_PORTS[self.scheme] else f"{name}:{self.port}"


async def resolve_name(name: str, port: int) -> list[str]:
    """Look up the IP addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Fetches recordings from the hosts that are allowed: "audio.example.org", "*.example.org", either with a port."""

    def __init__(self, hosts: Sequence[str], limits: Limits, *, resolve: Resolve = resolve_name) -> None:
        self._hosts = tuple(AllowedHost.read(pattern) for pattern in hosts)
        self._limits = limits
        self._resolve = resolve
        self._places = asyncio.Semaphore(CONCURRENT)

    async def fetch(self, url: str) -> bytes:
        """Fetch the bytes of a recording.

        Raises ApiError: 400 url_not_allowed, url_fetch_failed; 413 audio_too_large, as soon as it is seen.
        """
        target = self._allowed(url)
        try:
            async with (
                asyncio.timeout(self._limits.receive_seconds),
                self._places,
                self._connection(target) as (reader, writer),
            ):
                writer.write(_request(target))
                return await self._body(reader, await _head(reader))
        except TimeoutError:
            raise _failed(target, f"it took longer than {self._limits.receive_seconds:g} s") from None
        except asyncio.IncompleteReadError:
            raise _failed(target, "the connection ended before the recording did") from None
        except asyncio.LimitOverrunError:
            raise _failed(target, "what it answers is not HTTP, or has a head that is too long") from None
        except (OSError, ValueError) as error:
            raise _failed(target, str(error) or type(error).__name__) from error

    def _allowed(self, url: str) -> Target:
        if not self._hosts:
            raise _not_allowed("this server fetches nothing: send the recording itself, as base64 or as a file")
        target = _take_apart(url)
        if not any(host.allows(target.name, target.port) for host in self._hosts):
            raise _not_allowed(f"{target.authority} is not a host that this server fetches from")
        return target

    @asynccontextmanager
    async def _connection(self, target: Target) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect to the very IP address that was checked: a second look-up of the name could give another one."""
        found = await self._resolve(target.name, target.port)
        if not found or not all(addresses.is_public(address) for address in found):
            raise _not_allowed(f"{target.name} is not at a public address")
        secure = target.scheme == "https"
        reader, writer = await asyncio.open_connection(
            found[0],
            target.port,
            limit=HEAD_BYTES,
            ssl=secure or None,
            server_hostname=target.name if secure else None,
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def _body(self, reader: asyncio.StreamReader, headers: Message) -> bytes:
        """Read the body of a response. Raises ApiError: 413."""
        body = bytearray()
        async for piece in _pieces(reader, headers, self._check):
            body += piece
            self._check(len(body))
        return bytes(body)

    def _check(self, size: int) -> None:
        if size > self._limits.audio_bytes:
            raise ApiError(
                413, "audio_too_large", f"The address leads to more than the {self._limits.audio_bytes} bytes allowed."
            )


def _take_apart(url: str) -> Target:
    """Split a URL into its parts. Raises ApiError: 400."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _not_allowed("an address consists of printable ASCII characters; percent-encode others")
    try:
        parts = urlsplit(url)
        scheme, name, port = parts.scheme, (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise _not_allowed(f"this is not an address ({error})") from None
    if scheme not in USUAL_PORTS or not name:
        raise _not_allowed("an address begins with https:// or http:// and a host")
    if parts.username is not None or parts.password is not None:
        raise _not_allowed("addresses with a user name or password are not fetched")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme, name, USUAL_PORTS[scheme] if port is None else port, path)


def _request(target: Target) -> bytes:
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        f"User-Agent: sonant/{__version__}",
        "Accept: audio/*, */*;q=0.5",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _head(reader: asyncio.StreamReader) -> Message:
    """Read the headers of a successful response. Raises ValueError: it is none."""
    status_line, _, rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").partition("\r\n")
    protocol, _, status = status_line.partition(" ")
    code = status[:3]
    if not protocol.startswith("HTTP/1.") or not code.isdecimal():
        raise ValueError("the answer is not HTTP")
    if code.startswith("3"):
        raise ValueError(f"the answer is a redirect ({status.strip()}): give the address that it leads to")
    if int(code) != HTTPStatus.OK:
        raise ValueError(f"the answer is {status.strip()}")
    headers = Parser().parsestr(rest, headersonly=True)
    if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ValueError(f"the answer is compressed ({headers['Content-Encoding']}), though that was not asked for")
    return headers


async def _pieces(
    reader: asyncio.StreamReader, headers: Message, promised: Callable[[int], None]
) -> AsyncIterator[bytes]:
    """Read the body (RFC 9112, 6): in chunks, or as long as the header says, or until the connection ends.

    `promised` is called with a length before so much is read.
    """
    if headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            promised(size)
            async for piece in _exactly(reader, size):
                yield piece
            await reader.readexactly(2)
    elif "Content-Length" in headers:
        size = int(headers["Content-Length"])
        promised(size)
        async for piece in _exactly(reader, size):
            yield piece
    else:
        while piece := await reader.read(PIECE_BYTES):
            yield piece


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size > 0:
        piece = await reader.read(min(size, PIECE_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", size)
        size -= len(piece)
        yield piece


def _not_allowed(why: str) -> ApiError:
    return ApiError(400, "url_not_allowed", f"The address is not fetched: {why}.")


def _failed(target: Target, why: str) -> ApiError:
    return ApiError(400, "url_fetch_failed", f"The recording could not be fetched from {target.authority}: {why}.")
