"""Bodies that are cheap to send and may be expensive to read, for `python -m benchmarks.attacks bodies`."""

import gzip
import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

SIZE = 64 << 20
NUMBER = b"%07d"
JSON, FORM, PAGE = "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"
AUDIO = b'{"model":"sonant/wavlm-tiny","input":"'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


@dataclass(frozen=True)
class Body:
    """A body of `size` bytes: `start`, as many items as fit, `end`; NUMBER in an item becomes its number."""

    start: bytes
    item: bytes
    end: bytes = b""
    kind: str = JSON
    path: str = "/v1/embeddings"
    size: int = SIZE
    is_compressed: bool = False

    def made(self) -> bytes:
        is_numbered = NUMBER in self.item
        length = len(self.item % 0 if is_numbered else self.item)
        number = (self.size - len(self.start) - len(self.end)) // length
        items = b"".join(self.item % i for i in range(number)) if is_numbered else self.item * number
        body = self.start + items + self.end
        return gzip.compress(body, 9) if self.is_compressed else body


GRANULARITIES = b'{"model":"m","timestamp_granularities":["x"'
BODIES = {
    "names": Body(b'{"model":"m"', b',"k' + NUMBER + b'":1', b"}"),
    "wrong items": Body(GRANULARITIES, b',"x"', b"]}", path="/v1/audio/transcriptions"),
    "lists": Body(b'{"model":"m","input":[[]', b",[]", b"]}"),
    "levels": Body(b"", b"["),
    "numbers": Body(b'{"model":"m","input":[1', b",1", b"]}"),
    "digits": Body(b'{"model":"m","layer":1', b"1", b"}"),
    "spaces": Body(b'{"model":"m"', b" ", b"}"),
    "one name": Body(b'{"model":"m","', b"a", b'":1}'),
    "one text": Body(b'{"input":"AAAA","model":"', b"m", b'"}'),
    "quotation marks": Body(b'{"model":"m","input":"', b'\\"', b'"}'),
    "escapes": Body(AUDIO, b"\\u0041", b'"}'),
    "base64": Body(AUDIO, b"AAAA", b'"}'),
    "data URI": Body(AUDIO + b"data:,", b"%00", b'"}'),
    "boundaries": Body(FILE, b"\r\n--xx", kind=FORM),
    "ampersands": Body(b"", b"&", kind=PAGE, path="/sign-in", size=60_000),
    "gzip": Body(b'{"model":"m"', b" ", b"}", size=16 * SIZE, is_compressed=True),
}


def measured(port: int, key: str, pid: int, memory: list[float], body: Body) -> dict[str, Any]:
    """Send a body once; return the answer, what it took of the server, and the latency of /health meanwhile.

    `memory` is what another thread notes of the server, in MiB.
    """
    sent = body.made()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": body.kind}
    headers |= {"Content-Encoding": "gzip"} if body.is_compressed else {}
    with watched_health(port) as waits:
        sleep(1)
        quiet, noted, cpu, start = len(waits), len(memory), cpu_seconds(pid), perf_counter()
        status = send(port, body.path, sent, headers)
        seconds = perf_counter() - start
        sleep(1)
    return {
        "mib": round(len(sent) / (1 << 20), 1),
        "status": status,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds(pid) - cpu, 2),
        "health_ms_before": round(1000 * max(waits[:quiet])),
        "health_ms": round(1000 * max(waits[quiet:])),
        "memory_mib": round(max(memory[noted:]) - memory[noted - 1]),
    }


def send(port: int, path: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of the answer; 0: there was none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    with suppress(OSError):  # the answer may come before the end of the body
        connection.request("POST", path, body, headers)
    try:
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


@contextmanager
def watched_health(port: int) -> Iterator[list[float]]:
    """Ask /health again and again while the block runs, and note the seconds of each answer."""
    waits: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.01):
            start = perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request("GET", "/health")
            connection.getresponse().read()
            waits.append(perf_counter() - start)
            connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
