"""A decoding process holds nothing of the server, and does not outlive it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sonant.errors import UndecodableAudio
from sonant.server.intake.process import Decoded, Incoming, WorkerProcess
from sonant.server.intake.worker import BEGUN, DONE, ERROR, LENGTH, REQUEST, RESPONSE, SAMPLES, Bounds
from tests.server.intake import forge

BOUNDS = Bounds(seconds=20, audio_bytes=1 << 20, audio_seconds=60, decoded_bytes=1 << 30)
HEAVY = {"torch", "fastapi", "starlette", "pydantic", "sqlalchemy", "uvicorn", "asyncio", "transformers"}

needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")

SERVER = """
import asyncio, os, signal
from sonant.server.intake.decoder import AudioDecoder
from sonant.server.settings import Limits
from tests.server.intake import forge

async def main():
    async with AudioDecoder(Limits(decoded_bytes=1 << 40), workers=2) as decoder:
        pids = [worker.pid for worker in decoder._idle]
        slow = forge.flac(300, channels=8, rate=655350, promised=0)
        work = asyncio.create_task(decoder.decode(slow, share="a", sampling_rate=16000, min_samples=400))
        await asyncio.sleep(0.1)
        print(*pids, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def decode(process: WorkerProcess, data: bytes) -> Decoded:
    incoming = Incoming(data, sampling_rate=16000, min_samples=1, admit=lambda *_: None, bounds=BOUNDS)
    while (decoded := await process.turn(incoming)) is None:
        pass
    return decoded


def is_running(pid: int) -> bool:
    """Not counting those that have ended and wait to be noticed."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False


def test_it_imports_what_decoding_needs_and_no_more():
    code = f"import sonant.server.intake.worker, av, sys; print(*sorted({HEAVY} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_their_server(how):
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, process_group=0
    )
    try:
        pids = [int(pid) for pid in server.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(is_running, pids))
        os.killpg(server.pid, how)  # as a terminal does: Ctrl-C goes to the whole group
        server.wait(20)
        deadline = time.monotonic() + 20  # one of them is in the middle of a recording
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(map(is_running, pids))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_interrupts_are_not_for_it():
    async def work():
        process = WorkerProcess(BOUNDS)
        await process.ready()
        os.kill(process.pid, signal.SIGINT)
        samples = await decode(process, forge.wav(bytes(2000)))
        await process.stop()
        return samples.channels.shape

    assert asyncio.run(work()) == (1, 1000)


@pytest.mark.parametrize(
    "messages",
    [
        [(SAMPLES, 1, 4000)],  # without a length
        [(LENGTH, 1, 1 << 60)],
        [(LENGTH, 60000, 10)],
        [(LENGTH, 1, 10), (SAMPLES, 1, 1 << 60)],
        [(LENGTH, 1, 10), (SAMPLES, 2, 8)],
        [(LENGTH, 1, 10), (99, 0, 0)],
        [(DONE, 0, 1 << 60)],
        *(
            [(kind, 0, len(text)), text]
            for kind in (DONE, ERROR)
            for text in (b"[1]", b"no JSON", b'"text"', b"[" * 9999)
        ),
        *([(ERROR, 0, len(text)), text] for text in (b"[]", b'["UndecodableAudio"]', b'["SystemExit", ""]')),
    ],
)
def test_what_a_sane_process_would_not_send_is_not_received(messages):
    async def work():
        process = WorkerProcess(BOUNDS)
        await process.ready()
        own, other = process._socket, socket.socketpair()
        process._socket = other[0]
        other[0].setblocking(False)
        for message in [(BEGUN, 0, 0), *messages]:
            other[1].sendall(message if isinstance(message, bytes) else RESPONSE.pack(*message))
        with pytest.raises(UndecodableAudio, match="broke down"):
            await decode(process, b"a recording")
        assert not process.is_usable
        await process.stop()
        own.close()
        other[1].close()

    asyncio.run(work())


@needs_proc
def test_it_knows_no_secrets_and_writes_no_files(monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "a secret")

    async def work():
        process = WorkerProcess(BOUNDS)
        await process.ready()
        await decode(process, forge.wav(bytes(2000)))
        room = Path(f"/proc/{process.pid}")
        found = (room / "environ").read_bytes(), (room / "limits").read_text(), list((room / "fd").iterdir())
        niceness = os.getpriority(os.PRIO_PROCESS, process.pid)
        outputs = {str((room / "fd" / name).readlink()) for name in ("1", "2")}
        await process.stop()
        return *found, niceness, outputs

    environment, limits, files, niceness, outputs = asyncio.run(work())
    assert b"secret" not in environment
    soft = {line[:26].strip(): line[26:47].strip() for line in limits.splitlines()}
    assert soft["Max core file size"] == soft["Max file size"] == "0"
    assert 256 << 20 < int(soft["Max data size"]) < 512 << 20
    assert niceness > os.getpriority(os.PRIO_PROCESS, 0)
    assert outputs == {os.devnull}
    assert len(files) == 3


HANGING = """
import sys, time
from sonant.server.intake import worker
worker.GRACE_SECONDS = 0.2
worker.audio.open_stream = lambda *_, **__: time.sleep(60)
worker.main()
"""


def test_a_process_that_hangs_in_a_codec_ends_by_its_own_alarm():
    """Though its server has gone, and kills nothing any more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        bounds = replace(BOUNDS, seconds=0.1)
        process = subprocess.Popen([sys.executable, "-c", HANGING, bounds.to_json()], stdin=theirs.fileno())
        assert ours.recv(RESPONSE.size)
        ours.sendall(REQUEST.pack(4, 16000, 1, -1) + b"data")
        assert process.wait(20) == -signal.SIGALRM
