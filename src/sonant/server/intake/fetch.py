"""Download of recordings from URLs in requests, with measures against server-side request forgery.

Only hosts that the operator allows are used; all their IP addresses must be public, and the connection goes to the
address that was checked. Redirects, proxies and credentials are not used.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus

import httpx2

from sonant import __version__
from sonant.server.errors import ApiError
from sonant.server.intake import addresses
from sonant.server.intake.addresses import USUAL_PORTS, AllowedHost
from sonant.server.settings import Limits
from sonant.server.sharing.lines import Lines
from sonant.server.sharing.turns import FairTurns

MOST_DOWNLOADS = 64
OF_ACCOUNT, OF_HOST = 4, 16  # of them

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]  # from name and port to IP addresses


async def resolve_name(name: str, port: int) -> list[str]:
    """Look up the IP addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Downloads recordings from allowed hosts, given as in `AllowedHost.read`.

    Few downloads are under way at a time: by account, by host, so that a slow one does not hold up the others, and in
    all, in turns that go round by account. One that comes at less than the least rate of a body is given up.
    """

    def __init__(self, hosts: Sequence[str], limits: Limits, *, resolve: Resolve = resolve_name) -> None:
        self._hosts = tuple(AllowedHost.read(pattern) for pattern in hosts)
        self._limits = limits
        self._resolve = resolve
        self._of_account, self._of_host, self._turns = Lines(OF_ACCOUNT), Lines(OF_HOST), FairTurns(MOST_DOWNLOADS)
        self._tls = ssl.create_default_context() if hosts else True

    async def fetch(self, url: str, *, share: str, take: Callable[[int], None]) -> bytes:
        """Download a recording.

        Args:
            share: whose turns are used.
            take: called with the number of bytes of each part.

        Raises ApiError: 400 url_not_allowed, url_fetch_failed; 413 audio_too_large; those of `take`.
        """
        target = self._allowed(url)
        async with self._of_account.place(share), self._of_host.place(_name(target)), self._turns.turn(share):
            return await self._download(target, take)

    async def _download(self, target: httpx2.URL, take: Callable[[int], None]) -> bytes:
        try:
            async with asyncio.timeout(self._limits.seconds_to_receive(0)) as time:
                return await self._get(target, await self._public_address(target), take, time)
        except TimeoutError:
            message = f"it took longer than {self._limits.receive_seconds:g} s, or less came than"
            raise _failed(target, f"{message} {self._limits.receive_bytes_per_second:g} bytes a second") from None
        except httpx2.RemoteProtocolError as error:
            raise _failed(target, f"the answer is not HTTP, or ended before the recording did ({error})") from error
        except (httpx2.HTTPError, OSError, ValueError) as error:
            raise _failed(target, str(error) or type(error).__name__) from error

    def _allowed(self, url: str) -> httpx2.URL:
        if not self._hosts:
            raise _not_allowed("this server fetches nothing: send the recording itself, as base64 or as a file")
        target = _parsed(url)
        if not any(host.allows(_name(target), _port(target)) for host in self._hosts):
            raise _not_allowed(f"{_authority(target)} is not a host that this server fetches from")
        return target

    async def _public_address(self, target: httpx2.URL) -> str:
        found = await self._resolve(_name(target), _port(target))
        if not found or not all(addresses.is_public(address) for address in found):
            raise _not_allowed(f"{_name(target)} is not at a public address")
        return found[0]

    async def _get(self, target: httpx2.URL, address: str, take: Callable[[int], None], time: asyncio.Timeout) -> bytes:
        """Download from the IP address that was checked; another lookup of the name could return another one.

        Each request has its own client: a kept connection would be reused for other names at that address.
        """
        headers = {
            "Host": _authority(target),
            "User-Agent": f"sonant/{__version__}",
            "Accept": "audio/*, */*;q=0.5",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        body, start = bytearray(), asyncio.get_running_loop().time()
        async with (
            httpx2.AsyncClient(verify=self._tls, trust_env=False, follow_redirects=False, timeout=None) as client,
            client.stream(
                "GET", target.copy_with(host=address), headers=headers, extensions={"sni_hostname": _name(target)}
            ) as response,
        ):
            _check_answer(response)
            self._check(int(response.headers.get("Content-Length", 0)))
            async for piece in response.aiter_raw():
                take(len(piece))
                body += piece
                self._check(len(body))
                time.reschedule(start + self._limits.seconds_to_receive(len(body)))
        return bytes(body)

    def _check(self, size: int) -> None:
        if size > self._limits.audio_bytes:
            raise ApiError(
                413, "audio_too_large", f"The address leads to more than the {self._limits.audio_bytes} bytes allowed."
            )


def _parsed(url: str) -> httpx2.URL:
    """Parse and check a URL. Raises ApiError: 400."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise _not_allowed("an address consists of printable ASCII characters; percent-encode others")
    try:
        target = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise _not_allowed(f"this is not an address ({error})") from None
    if target.scheme not in USUAL_PORTS or not _name(target):
        raise _not_allowed("an address begins with https:// or http:// and a host")
    if target.userinfo:
        raise _not_allowed("addresses with a user name or password are not fetched")
    return target


def _name(target: httpx2.URL) -> str:
    return target.raw_host.decode("ascii").rstrip(".")


def _port(target: httpx2.URL) -> int:
    return USUAL_PORTS[target.scheme] if target.port is None else target.port


def _authority(target: httpx2.URL) -> str:
    name = f"[{_name(target)}]" if ":" in _name(target) else _name(target)
    return name if target.port is None else f"{name}:{target.port}"


def _check_answer(response: httpx2.Response) -> None:
    """Raise ValueError for a redirect, an error, or a compressed response."""
    status = f"{response.status_code} {response.reason_phrase}"
    if response.is_redirect:
        raise ValueError(f"the answer is a redirect ({status}): give the address that it leads to")
    if response.status_code != HTTPStatus.OK:
        raise ValueError(f"the answer is {status}")
    coding = response.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() != "identity":
        raise ValueError(f"the answer is compressed ({coding}), though that was not asked for")


def _not_allowed(why: str) -> ApiError:
    return ApiError(400, "url_not_allowed", f"The address is not fetched: {why}.")


def _failed(target: httpx2.URL, why: str) -> ApiError:
    return ApiError(400, "url_fetch_failed", f"The recording could not be fetched from {_authority(target)}: {why}.")
