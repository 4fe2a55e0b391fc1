"""What is fetched, and above all what is not. The hosts of these tests are names for one loopback server."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Self

import pytest

from sonant.server import settings
from sonant.server.errors import ApiError
from sonant.server.intake import addresses
from sonant.server.intake import fetch as module
from sonant.server.intake.fetch import Fetcher
from sonant.server.settings import Limits

HOST = "audio.example.org"
BODY = bytes(range(256)) * 40


class Site:
    """A web server of a few lines that keeps what it was sent.

    Attributes:
        requests: as they came.
        lookups: names that were resolved.
    """

    def __init__(self, answer: bytes | Callable) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.lookups: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader, writer) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            if callable(self.answer):
                await self.answer(writer)
            else:
                writer.write(self.answer)
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def resolve(self, name: str, port: int) -> list[str]:
        self.lookups.append(name)
        return ["127.0.0.1"]

    def fetcher(self, *, hosts=None, resolve=None, **limits) -> Fetcher:
        hosts = [f"{HOST}:{self.port}"] if hosts is None else hosts
        return Fetcher(hosts, Limits(**limits), resolve=resolve or self.resolve)

    def url(self, path: str = "/a.wav") -> str:
        return f"http://{HOST}:{self.port}{path}"


@pytest.fixture
def loopback_is_public(monkeypatch):
    """For what happens once an address was found good."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")


def answer(body: bytes = BODY, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}\r\n".encode() + body


def sized(body: bytes = BODY) -> bytes:
    return answer(body, headers=f"Content-Length: {len(body)}\r\n")


def chunked(body: bytes = BODY, size: int = 1000) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(f"{len(piece):x};a=b\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return answer(coded + b"0\r\n\r\n", headers="Transfer-Encoding: chunked\r\n")


async def fetch(fetcher: Fetcher, url: str, *, share: str = "ada", take=lambda _: None) -> bytes:
    return await fetcher.fetch(url, share=share, take=take)


async def refused(fetcher: Fetcher, url: str) -> ApiError:
    with pytest.raises(ApiError) as error:
        await fetch(fetcher, url)
    return error.value


# ---------------------------------------------------------------------------------------------- what is fetched


@pytest.mark.parametrize(
    "reply", [sized(), chunked(), chunked(size=100_000), answer()], ids="sized chunks chunk end".split()
)
def test_a_recording_is_fetched(loopback_is_public, reply):
    async def work():
        async with Site(reply) as site:
            assert await fetch(site.fetcher(), site.url("/a%20b.wav?c=d#e")) == BODY
            (request,) = site.requests
            lines = request.decode().split("\r\n")
            assert lines[0] == "GET /a%20b.wav?c=d HTTP/1.1"
            assert f"Host: {HOST}:{site.port}" in lines
            assert site.lookups == [HOST]

    asyncio.run(work())


def test_proxies_are_not_used(loopback_is_public, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def work():
        async with Site(sized()) as site:
            assert await fetch(site.fetcher(), site.url()) == BODY

    asyncio.run(work())


# ---------------------------------------------------------------------------------------------- what is not asked for


def test_without_allowed_hosts_nothing_is_fetched(loopback_is_public):
    async def work():
        async with Site(sized()) as site:
            error = await refused(site.fetcher(hosts=[]), site.url())
            assert (error.status, error.code) == (400, "url_not_allowed")
            assert not site.lookups
            assert not site.requests

    asyncio.run(work())


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.wav",
        f"https://{HOST}.evil.net/a.wav",
        f"https://{HOST}:22/",
        f"https://me:secret@{HOST}/a.wav",
        f"https://me@{HOST}/a.wav",
        f"https://{HOST}@evil.net/a.wav",
        f"https://evil.net\\@{HOST}/a.wav",
        f"ftp://{HOST}/a.wav",
        "file:///etc/passwd",
        f"//{HOST}/a.wav",
        HOST,
        "",
        "http://",
        "http://[::1/",
        f"http://{HOST}:port/",
        f"http://{HOST}:99999/",
        f"https://{HOST}/a b.wav",
        f"https://{HOST}/\r\nX-Evil: 1",
        f"https://{HOST}/\N{SNOWMAN}.wav",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
    ],
)
def test_addresses_that_are_not_allowed(url):
    async def resolve(name, port):
        pytest.fail(f"{name} was looked up")

    error = asyncio.run(refused(Fetcher([HOST], Limits(), resolve=resolve), url))
    assert (error.status, error.code) == (400, "url_not_allowed")


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["10.1.2.3"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"], []],
)
def test_a_name_that_leads_into_the_house_is_not_followed(found):
    async def resolve(name, port):
        return found

    async def work():
        async with Site(sized()) as site:
            error = await refused(site.fetcher(resolve=resolve), site.url())
            assert (error.status, error.code) == (400, "url_not_allowed")
            assert not site.requests

    asyncio.run(work())


def test_a_name_is_looked_up_once_and_only_that_address_is_used(monkeypatch):
    """A second look-up, by the connection, could lead elsewhere: DNS rebinding."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def resolve(name, port):
        return next(answers)

    async def work():
        async with Site(sized()) as site:
            loop = asyncio.get_running_loop()
            asked = []
            real = loop.getaddrinfo

            async def watched(host, *rest, **how):
                asked.append(host)
                return await real(host, *rest, **how)

            monkeypatch.setattr(loop, "getaddrinfo", watched)
            fetcher = site.fetcher(resolve=resolve)
            assert await fetch(fetcher, site.url()) == BODY
            assert set(asked) <= {"127.0.0.1"}
            assert (await refused(fetcher, site.url())).code == "url_not_allowed"

    asyncio.run(work())


# ---------------------------------------------------------------------------------------------- what is not taken


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (answer(b"", status="302 Found", headers="Location: http://127.0.0.1/\r\n"), "redirect"),
        (answer(b"", status="301 Moved Permanently", headers="Location: /b.wav\r\n"), "redirect"),
        (answer(b"no", status="404 Not Found"), "404"),
        (answer(b"no", status="500 Oh No"), "500"),
        (answer(b"no", status="206 Partial Content"), "206"),
        (answer(headers="Content-Encoding: gzip\r\n"), "compressed"),
        (answer(headers=f"Content-Length: {len(BODY) + 1}\r\n"), "ended before"),
        (answer(headers="Content-Length: many\r\n"), ""),
        (chunked()[:-2000], "ended before"),
        (answer(b"zz\r\n", headers="Transfer-Encoding: chunked\r\n"), ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (b"", "ended before"),
        (b"HTTP/1.1 200 OK\r\n", "ended before"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, ""),
    ],
)
def test_answers_that_are_not_taken(loopback_is_public, reply, told):
    async def work():
        async with Site(reply) as site:
            error = await refused(site.fetcher(), site.url())
            assert (error.status, error.code) == (400, "url_fetch_failed")
            assert told in error.message
            assert len(site.requests) == 1

    asyncio.run(work())


@pytest.mark.parametrize(
    "reply", [sized(), chunked(), chunked(size=100_000), answer()], ids="sized chunks chunk end".split()
)
def test_too_much(loopback_is_public, reply):
    async def work():
        async with Site(reply) as site:
            assert await fetch(site.fetcher(audio_bytes=len(BODY)), site.url()) == BODY
            error = await refused(site.fetcher(audio_bytes=len(BODY) - 1), site.url())
            assert (error.status, error.code) == (413, "audio_too_large")

    asyncio.run(work())


@pytest.mark.parametrize("head", [b"", b"Content-Length: 1000000000000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_endless_body_is_cut_off(loopback_is_public, head):
    sent = 0

    async def endless(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
        while True:
            piece = bytes(1 << 16)
            writer.write(b"10000\r\n" + piece + b"\r\n" if b"chunked" in head else piece)
            sent += len(piece)
            await writer.drain()

    async def work():
        async with Site(endless) as site:
            error = await refused(site.fetcher(audio_bytes=1 << 20), site.url())
            assert (error.status, error.code) == (413, "audio_too_large")

    asyncio.run(work())
    assert sent < 64 << 20


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_slow_answer_is_given_up(loopback_is_public, begin):
    async def drip(writer):
        writer.write(begin)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def work():
        async with Site(drip) as site:
            error = await refused(site.fetcher(receive_seconds=0.3), site.url())
            assert (error.status, error.code) == (400, "url_fetch_failed")
            assert "longer than 0.3 s" in error.message

    asyncio.run(work())


def test_a_host_below_the_least_rate_is_given_up_and_a_slow_one_is_not(loopback_is_public, monkeypatch):
    monkeypatch.setattr(settings, "GRACE_SECONDS", 0.2)

    async def drip(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(20):
            writer.write(bytes(100))
            await writer.drain()
            await asyncio.sleep(0.02)

    async def work():
        async with Site(drip) as site:
            assert len(await fetch(site.fetcher(receive_bytes_per_second=1000), site.url())) == 2000
            error = await refused(site.fetcher(receive_bytes_per_second=100_000), site.url())
            assert "less came than 100000 bytes a second" in error.message

    asyncio.run(work())


def test_slow_downloads_hold_up_neither_other_accounts_nor_other_hosts(loopback_is_public, monkeypatch):
    """Eve has more of them than all places, and there are more for one host than may be under way."""
    monkeypatch.setattr(module, "MOST_DOWNLOADS", 8)

    async def hang(_):
        await asyncio.sleep(60)

    async def work():
        async with Site(hang) as slow, Site(sized()) as quick:
            hosts = {"slow.example.org": slow, "other.example.org": slow, HOST: quick}
            fetcher = slow.fetcher(hosts=[f"{name}:{site.port}" for name, site in hosts.items()])

            def start(share, name):
                return asyncio.create_task(fetch(fetcher, f"http://{name}:{slow.port}/a", share=share))

            waiting = [start("eve", "other.example.org") for _ in range(100)]
            assert await asyncio.wait_for(fetch(fetcher, quick.url(), share="ada"), 5) == BODY
            waiting += [start(f"{number}", "slow.example.org") for number in range(30)]
            monkeypatch.setattr(fetcher._turns, "_free", 100)
            await asyncio.sleep(0.2)
            assert len(slow.requests) == module.OF_ACCOUNT + module.OF_HOST
            assert await asyncio.wait_for(fetch(fetcher, quick.url(), share="29"), 5) == BODY
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            assert len(fetcher._of_account) == len(fetcher._of_host) == 0

    asyncio.run(work())


def test_what_arrives_is_counted_as_it_arrives(loopback_is_public):
    """Who may hold no more ends the download."""
    counts = []

    def take(num_bytes):
        counts.append(num_bytes)
        if sum(counts) > 5000:
            raise ApiError(429, "server_is_overloaded", "too much")

    async def work():
        async with Site(chunked()) as site:
            with pytest.raises(ApiError, match="too much"):
                await fetch(site.fetcher(), site.url(), take=take)

    asyncio.run(work())


def test_nobody_there(loopback_is_public):
    async def work():
        async with Site(sized()) as site:
            pass
        error = await refused(site.fetcher(), site.url())
        assert (error.status, error.code) == (400, "url_fetch_failed")

    asyncio.run(work())


def test_a_name_that_does_not_exist():
    async def resolve(name, port):
        raise OSError("no such name")

    error = asyncio.run(refused(Fetcher([HOST], Limits(), resolve=resolve), f"https://{HOST}/a.wav"))
    assert (error.status, error.code) == (400, "url_fetch_failed")


def test_https_checks_who_answers(loopback_is_public):
    """An answer without TLS, or by somebody else, is none; the name is given for the certificate."""
    hello = []

    async def work():
        async def listen(reader, writer):
            hello.append(await reader.read(4096))
            writer.close()

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def resolve(name, port):
            return ["127.0.0.1"]

        error = await refused(Fetcher([f"{HOST}:{port}"], Limits(), resolve=resolve), f"https://{HOST}:{port}/a.wav")
        assert (error.status, error.code) == (400, "url_fetch_failed")
        server.close()

    asyncio.run(work())
    assert HOST.encode() in hello[0]
    assert ssl.create_default_context().check_hostname
