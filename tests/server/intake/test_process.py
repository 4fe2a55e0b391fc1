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
from sonant.server.intake.process import WorkerProcess
from sonant.server.intake.worker import BEGUN, RESPONSE, SAMPLES, Bounds
from tests.server.intake import forge

BOUNDS = Bounds(seconds=20, audio_bytes=1 << 20, audio_seconds=60, decoded_bytes=1 << 30, total_seconds=60)
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
        work = asyncio.create_task(decoder.decode(slow, sampling_rate=16000, min_samples=400))
        await asyncio.sleep(0.1)
        print(*pids, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


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
        samples = await process.decode(forge.wav(bytes(2000)), sampling_rate=16000, min_samples=1)
        await process.stop()
        return samples.channels.shape

    assert asyncio.run(work()) == (1, 1000)


def test_more_than_a_sane_process_would_send_is_not_received():
    async def work():
        process = WorkerProcess(BOUNDS)
        await process.ready()
        own, other = process._socket, socket.socketpair()
        process._socket = other[0]
        other[0].setblocking(False)
        other[1].sendall(RESPONSE.pack(BEGUN, 0, 0) + RESPONSE.pack(SAMPLES, 1, 1 << 60))
        with pytest.raises(UndecodableAudio, match="broke down"):
            await process.decode(b"a recording", sampling_rate=16000, min_samples=1)
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
        await process.decode(forge.wav(bytes(2000)), sampling_rate=16000, min_samples=1)
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


@needs_proc
@pytest.mark.slow
def test_a_process_without_a_server_ends_by_its_own_alarm(monkeypatch):
    bounds = Bounds(seconds=0.1, audio_bytes=1 << 20, audio_seconds=1e6, decoded_bytes=1 << 50, total_seconds=1e6)
    slow = forge.flac(100_000, channels=8, rate=655350, promised=0)  # minutes of work

    async def work():
        process = WorkerProcess(bounds)
        await process.ready()
        monkeypatch.setattr(process, "kill", lambda: None)  # as if the server had gone
        monkeypatch.setattr(process, "_bounds", replace(bounds, seconds=1.0))
        with suppress(Exception):
            await process.decode(slow, sampling_rate=16000, min_samples=1)
        return process

    process = asyncio.run(work())
    assert is_running(process.pid)
    assert process._process.wait(20) == -signal.SIGALRM
    process._socket.close()
