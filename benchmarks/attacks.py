"""Attacks on `sonant serve` by one client, beside an honest one: what the honest one notices, and for how long.

    python -m benchmarks.attacks CASE [CASE ...]      (all: every case)

The server, the attacker and the honest client are on one machine, and the server takes their addresses from
X-Forwarded-For, as behind a web server. Each case starts a server of its own and prints one JSON object.
"""

import argparse
import base64
import http.client
import io
import json
import resource
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import numpy as np
import soundfile

from benchmarks.hostile_bodies import BODIES, measured
from benchmarks.server_process import Books, ServerProcess, make_keys
from benchmarks.serving import percentiles, request

MODEL = "sonant/wavlm-tiny"
VICTIM, ATTACKER = "198.51.100.1", "203.0.113.1"
PASSWORD = "four words in a row"
Row = dict[str, Any]


@dataclass
class Site:
    """A server, and the keys of the honest client and of the attacker."""

    server: ServerProcess
    victim_key: str
    attacker_key: str

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, float]:
        """Return status, body and seconds of one request; `_` in the names of headers is `-`. Status 0: no answer."""
        start = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return response.status, response.read(), time.perf_counter() - start
        except OSError:
            return 0, b"", time.perf_counter() - start
        finally:
            connection.close()

    def form(self, path: str, address: str, cookie: str = "", **fields: str) -> tuple[int, bytes, float]:
        """Post the form of a page from an address."""
        kinds = {"Content_Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return self.ask("POST", path, urlencode(fields).encode(), X_Forwarded_For=address, Cookie=cookie, **kinds)

    def session(self, path: str, address: str, **fields: str) -> tuple[int, str]:
        """Post a form as a browser does; return the status, and the cookies that it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        kinds = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": address}
        connection.request("POST", path, urlencode(fields).encode(), kinds)
        response = connection.getresponse()
        response.read()
        connection.close()
        cookies = response.headers.get_all("set-cookie") or []
        return response.status, "; ".join(value.partition(";")[0] for value in cookies)

    def connect(self, head: str, body: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
        """Open a connection and send the beginning of a request."""
        client = socket.create_connection(("127.0.0.1", self.server.port), timeout=60, source_address=(source, 0))
        client.sendall(head.encode() + body)
        return client

    def upload(self, length: int) -> str:
        """Return the head of an upload by the attacker."""
        return (
            f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.attacker_key}\r\n"
            f"X-Forwarded-For: {ATTACKER}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )

    def health(self, times: int = 30) -> Row:
        """Return the seconds of requests of /health, one after another."""
        return seconds_of([self.ask("GET", "/health", X_Forwarded_For=VICTIM)[2] for _ in range(times)])

    def honest(self, times: int = 30) -> Row:
        """Return the statuses and seconds of the honest client's requests, one after another."""
        wave = io.BytesIO()
        soundfile.write(wave, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format="WAV")
        headers = {"Content_Type": "application/json", "X_Forwarded_For": VICTIM}
        body, statuses, seconds = request(MODEL, wave.getvalue()), [], []
        for _ in range(times):
            status, _, taken = self.ask(
                "POST", "/v1/embeddings", body, Authorization=f"Bearer {self.victim_key}", **headers
            )
            statuses.append(status)
            seconds.append(taken)
        told = {str(status): statuses.count(status) for status in sorted(set(statuses))}
        return {"statuses": told, **seconds_of(seconds)}

    def beside(self, attack: Callable[["Site"], Any], times: int = 30) -> Row:
        """Return what the honest client meets before, during and after an attack, in so many requests each.

        The attack is a context manager. `p99_ratio`: of the seconds during it and before.
        """
        with self.server.memory(0.2) as memory:
            self.honest(3)
            before, health, quiet = self.honest(times), self.health(), max(memory[-3:])
            with attack(self):
                during, health_during = self.honest(times), self.health()
                ready = self.ask("GET", "/ready")[0]
                start = time.monotonic()
                while self.honest(1)["statuses"] != {"200": 1} and time.monotonic() < start + 90:
                    time.sleep(0.5)
                recovered = time.monotonic() - start
            after = self.honest(times)
            time.sleep(3)
        mib = {"before": round(quiet), "peak": round(max(memory)), "after": round(memory[-1])}
        return {
            "before": before,
            "during": during,
            "p99_ratio": round(during["p99"] / before["p99"], 1),
            "health": {"before": health, "during": health_during},
            "ready_during": ready,
            "served_again_after_seconds": round(recovered, 1),
            "after": after,
            "mib": mib,
        }


def stalled(site: Site) -> Row:
    """600 requests of one key, each of which announces a body and sends none of it."""

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(600):
                stack.enter_context(site.connect(site.upload(1_000_000)))
            time.sleep(1)
            yield

    return site.beside(attack)


def uploads(site: Site) -> Row:
    """Eight bodies of 64 MiB of one key, each without its last byte."""

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        length, start = 64 << 20, b'{"model": "%b", "input": "' % MODEL.encode()
        with ExitStack() as stack:
            for _ in range(8):
                try:
                    stack.enter_context(site.connect(site.upload(length), start + b"A" * (length - 1 - len(start))))
                except OSError:  # it was cut off
                    continue
            yield

    return site.beside(attack)


def forms(site: Site) -> Row:
    """560 posts of a megabyte to the form of the sign-in, each without its last byte, by nobody."""
    length = 1_000_000
    head = (
        f"POST /sign-in HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {ATTACKER}\r\nContent-Length: {length}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(560):
                try:
                    stack.enter_context(site.connect(head, b"a" * (length - 1)))
                except OSError:
                    continue
            yield

    return site.beside(attack)


def connections(site: Site) -> Row:
    """600 connections that say nothing, of one address, to a server that was started with 512 open files."""

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(600):
                try:
                    stack.enter_context(site.connect("", source="127.0.0.2"))
                except OSError:
                    continue
            yield

    return site.beside(attack)


def sign_ups(site: Site) -> Row:
    """One person makes accounts: look-alikes of one address, other addresses of one mailbox, again after deletion."""
    names = [
        *(f"eve{letter}@example.org" for letter in "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e\u0000"),
        *(f"\u0435v\u0435{number}@example.org" for number in range(2)),  # with a Cyrillic e
        *(f"eve+{number}@example.org" for number in range(20)),
        *(f"eve{number}@example.org" for number in range(60)),
    ]
    credit, made, refused = Decimal(0), 0, 0
    for number, email in enumerate(names):
        status, cookie = site.session("/sign-up", f"2001:db8::{number:x}", email=email, password=PASSWORD)
        if status != 303:
            refused += 1
            continue
        made += 1
        account = site.ask("GET", "/account?format=json", Cookie=cookie)[1]
        credit += Decimal(json.loads(account)["credit"])
    return {"asked": len(names), "accounts": made, "refused": refused, "credit": str(credit)}


def lockout(site: Site) -> Row:
    """220 wrong passwords for one account, from as many addresses; then the owner signs in where it was before."""
    email, home = "owner@example.org", "198.51.100.7"
    site.session("/sign-up", home, email=email, password=PASSWORD)
    _, cookie = site.session("/sign-in", home, email=email, password=PASSWORD)
    answers: dict[int, int] = {}
    for number in range(220):
        status, _, _ = site.form("/sign-in", f"203.0.113.{number}", email=email, password="a wrong password")
        answers[status] = answers.get(status, 0) + 1
    travelling, device = "198.51.100.200", cookie.partition("; ")[2]
    without = site.form("/sign-in", travelling, email=email, password=PASSWORD)[0]
    return {
        "wrong_passwords": {str(status): number for status, number in sorted(answers.items())},
        "owner_at_home_with_cookies": site.form("/sign-in", home, device, email=email, password=PASSWORD)[0],
        "owner_at_home_without_cookies": site.form("/sign-in", home, email=email, password=PASSWORD)[0],
        "owner_elsewhere_with_cookies": site.form("/sign-in", travelling, device, email=email, password=PASSWORD)[0],
        "owner_elsewhere_without_cookies": without,
    }


def database(site: Site) -> Row:
    """The database of the accounts is locked by another program, then full, then gone; and comes back each time."""
    file = site.server.data / "sonant.db"

    @contextmanager
    def locked() -> Iterator[None]:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("COMMIT")

    @contextmanager
    def full() -> Iterator[None]:
        assert site.server.process is not None
        pid, kind = site.server.process.pid, resource.RLIMIT_FSIZE
        before = resource.prlimit(pid, kind, (1, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, kind, before)

    @contextmanager
    def gone() -> Iterator[None]:
        file.rename(file.with_suffix(".moved"))
        yield
        file.with_suffix(".moved").rename(file)

    rows: Row = {}
    for trouble in (locked, full, gone):
        with trouble():
            api = site.honest(2)
            page = site.form("/sign-in", VICTIM, email="client0@example.org", password=PASSWORD)
            ready = site.ask("GET", "/ready")
        start = time.monotonic()
        while site.honest(1)["statuses"] != {"200": 1} and time.monotonic() < start + 90:
            time.sleep(0.2)
        recovered = time.monotonic() - start
        time.sleep(12)  # two heartbeats
        books = Books.read(site.server.data)
        rows[trouble.__name__] = {
            "api": api,
            "page": {"status": page[0], "seconds": round(page[2], 2)},
            "ready": {"status": ready[0], "seconds": round(ready[2], 2)},
            "served_again_after_seconds": round(recovered, 1),
            "unbalanced": books.unbalanced,
            "held": books.held,
        }
    return rows


@contextmanager
def repeated(works: Sequence[Callable[[], int]]) -> Iterator[None]:
    """Do each of these again and again in a thread of its own, with a pause after a status other than 200."""
    ended = Event()

    def repeat(work: Callable[[], int]) -> None:
        while not ended.is_set():
            if work() != 200:
                ended.wait(0.1)

    for work in works:
        Thread(target=repeat, args=(work,), daemon=True).start()
    time.sleep(2)
    yield
    ended.set()


def clients(
    site: Site, keys: Sequence[str], body: bytes, answers: Counter[tuple[str, int]]
) -> AbstractContextManager[None]:
    """Let a client of each key send one request after another; count the answers by key and status."""

    def work(key: str) -> int:
        headers = {"Content_Type": "application/json", "X_Forwarded_For": ATTACKER}
        status = site.ask("POST", "/v1/embeddings", body, Authorization=f"Bearer {key}", **headers)[0]
        answers[key, status] += 1
        return status

    return repeated([partial(work, key) for key in keys])


def flooded(site: Site, keys: Sequence[str], body: bytes) -> Row:
    """Return what the honest client meets beside these clients, and the answers of these."""
    answers: Counter[tuple[str, int]] = Counter()
    row = site.beside(partial(clients, keys=keys, body=body, answers=answers))
    statuses: Counter[int] = Counter()
    for (_, status), number in answers.items():
        statuses[status] += number
    return {**row, "attackers_answers": dict(statuses)}


def unpaid(site: Site) -> Row:
    """Ten clients of an account without credit; each request has four FLACs of 0.1 MB that take a second to decode."""
    (key,) = make_keys(site.server.data, 1, Decimal(0), name="poor")
    return flooded(site, [key] * 10, recordings([silence()] * 4))


def decoding(site: Site) -> Row:
    """The same requests, of an account with credit."""
    return flooded(site, [site.attacker_key] * 10, recordings([silence()] * 4))


def many_keys(site: Site) -> Row:
    """Thirty keys of one account with a client each, beside 28 accounts with one client each, before the attack too.

    Each request has two seconds of speech: answers are equal audio.
    """
    body = recordings([noise(2)])
    many = make_keys(site.server.data, 1, Decimal(1_000_000), name="many", keys=30)
    others = make_keys(site.server.data, 28, Decimal(1_000_000), name="other")
    answers: Counter[tuple[str, int]] = Counter()
    served: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        with clients(site, many, body, answers):
            before = answers.copy()
            yield
            served.update(answers - before)

    with clients(site, others, body, answers):
        row = site.beside(attack, times=10)
    of_others = sorted(served[key, 200] for key in others)
    of_many = sum(served[key, 200] for key in many)
    median = statistics.median(of_others)
    told = {"least": of_others[0], "median": median, "most": of_others[-1]}
    fairness = {"account_of_30_keys": of_many, "others": told, "ratio": round(of_many / max(median, 1), 2)}
    return {**row, "served_during": fairness}


def pages(site: Site) -> Row:
    """64 connections from one address, each of which asks for the pages that take most work, and to sign in."""

    def visit() -> int:
        for path in ("/", "/openapi.json", "/reference"):
            site.ask("GET", path, X_Forwarded_For=ATTACKER)
        return site.form("/sign-in", ATTACKER, email="client0@example.org", password="a wrong password")[0]

    return site.beside(lambda _: repeated([visit] * 64))


def unread(site: Site) -> Row:
    """Twelve requests for all frames of all layers of three minutes, whose answers are not read."""
    body = recordings([noise(180)], output="frames", layer="all", encoding_format="float")

    @contextmanager
    def attack(site: Site) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(12):
                client = stack.enter_context(site.connect(site.upload(len(body)), body))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
            time.sleep(10)
            yield

    return site.beside(attack)


def seconds_of(times: Sequence[float]) -> Row:
    return {name: round(value, 3) for name, value in (percentiles(times) or {}).items()}


def recordings(files: Sequence[bytes], **parameters: str) -> bytes:
    """Return the body of a request for several recordings."""
    texts = [base64.b64encode(file).decode() for file in files]
    return json.dumps({"model": MODEL, "input": texts, "encoding_format": "base64", **parameters}).encode()


def silence() -> bytes:
    """Return five and a half minutes of silence on eight channels, which is small, and not for a decoder."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 48_000, 8, "PCM_16", format="FLAC") as writer:
        for _ in range(33):
            writer.write(np.zeros((480_000, 8), np.int16))
    return file.getvalue()


def noise(seconds: int) -> bytes:
    """Return a recording of faint noise."""
    samples = np.random.default_rng(0).integers(-30, 31, 16_000 * seconds).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="FLAC")
    return file.getvalue()


def bodies(site: Site) -> Row:
    """Bodies of 64 MiB, one after another, each of which may be expensive to read."""
    assert site.server.process is not None
    port, key, pid = site.server.port, site.attacker_key, site.server.process.pid
    with site.server.memory(0.05) as memory:
        site.honest(3)
        return {name: measured(port, key, pid, memory, body) for name, body in BODIES.items()}


CASES: dict[str, Callable[[Site], Row]] = {
    "bodies": bodies,
    "database": database,
    "stalled": stalled,
    "uploads": uploads,
    "forms": forms,
    "connections": connections,
    "sign_ups": sign_ups,
    "lockout": lockout,
    "unpaid": unpaid,
    "decoding": decoding,
    "many_keys": many_keys,
    "pages": pages,
    "unread": unread,
}


def run(case: str) -> Row:
    """Run a case against a server of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        victim, attacker = make_keys(data, 2, Decimal(1_000_000))
        server = ServerProcess(data, MODEL)
        if case == "connections":
            resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        server.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096, hard))
        try:
            return CASES[case](Site(server, victim, attacker))
        finally:
            server.kill()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cases, and print what was measured."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as other errors: the server is stopped
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", choices=["all", *CASES], help="which attacks")
    chosen = parser.parse_args(arguments).cases
    for case in CASES if "all" in chosen else chosen:
        print(json.dumps({"case": case, **run(case)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
