"""Decoding process, server side."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant import errors
from sonant.audio import Channel
from sonant.errors import AudioError, OversizedAudio, UndecodableAudio
from sonant.server.errors import ApiError
from sonant.server.intake.worker import (
    ALL,
    BEGUN,
    ERROR,
    EXHAUSTED,
    MIX,
    READY,
    REQUEST,
    RESPONSE,
    SAMPLES,
    WARNINGS,
    Bounds,
)

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
# Environment variables of decoding processes: paths of Python and libraries, no secrets.
KEPT_VARIABLES = ("DYLD_LIBRARY_PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "VIRTUAL_ENV")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded recording.

    Attributes:
        channels: float32 (channels, samples): the mean, the requested one, or all.
        warnings: messages about irregularities.
    """

    channels: NDArray[np.float32]
    warnings: tuple[str, ...] = ()


class ProcessLost(Exception):
    """Error of a process that ended before it started to decode."""


class WorkerProcess:
    """A process that decodes one recording at a time; after an error it must be stopped.

    It is started as a program: a fork would copy a process with torch threads, and `multiprocessing` would import the
    server. It is connected by a socket pair in the event loop. Transfers for 10 s of speech (320 kB there, 640 kB back)
    take 0.2 ms; by asyncio's pipes 1.5 ms, by a thread 1 ms, by shared memory 0.1 ms, of which containers have only
    64 MB.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        command = [sys.executable, "-P", "-m", "sonant.server.intake.worker", bounds.to_json()]
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the same sonant as here
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # a module of ours, by this very Python
                command, stdin=theirs.fileno(), env=environment | ONE_THREAD, process_group=0
            )
        self._socket = ours
        self._is_killed = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_usable(self) -> bool:
        return not self._is_killed

    async def ready(self) -> None:
        """Wait until the process has imported its modules. Raises ProcessLost."""
        try:
            async with asyncio.timeout(START_SECONDS):
                kind, _, _ = await self._receive_message()
        except (TimeoutError, EOFError, ConnectionError) as error:
            raise ProcessLost(f"a decoding process did not start ({self._ended()})") from error
        assert kind == READY

    async def decode(self, data: bytes, *, sampling_rate: int, min_samples: int, channel: Channel = "mix") -> Decoded:
        """Decode a recording. Raises AudioError, ApiError, ProcessLost; check `is_usable` afterwards."""
        wanted = {"mix": MIX, "all": ALL}[channel] if isinstance(channel, str) else channel
        begun, most_bytes = False, self._bounds.memory_bytes(sampling_rate, wanted)
        messages: tuple[str, ...] = ()
        try:
            async with asyncio.timeout(self._bounds.seconds):
                await self._send(REQUEST.pack(len(data), sampling_rate, min_samples, wanted))
                await self._send(data)
                begun = (await self._receive_message())[0] == BEGUN
                kind, channels, payload = await self._receive_message(most_bytes)
                if kind == WARNINGS:
                    messages = tuple(map(str, json.loads(bytes(payload))))
                    kind, channels, payload = await self._receive_message(most_bytes)
        except TimeoutError:
            self.kill()
            raise ApiError(
                400,
                "audio_decode_timeout",
                f"a recording of {len(data)} bytes: decoding it took longer than {self._bounds.seconds:g} s. Convert "
                "it to WAV or FLAC, or cut it into parts.",
            ) from None
        except (EOFError, ConnectionError):
            self.kill()
            if not begun:
                raise ProcessLost from None
            logger.warning("a decoding process ended over a recording of %d bytes (%s)", len(data), self._ended())
            raise UndecodableAudio(
                f"a recording of {len(data)} bytes: the decoder broke down over it. It is probably damaged: convert it "
                "to WAV or FLAC."
            ) from None
        if kind == ERROR:
            raise _error(payload)
        if kind == EXHAUSTED:
            self.kill()  # its remaining memory may be too little for the next recording
            raise OversizedAudio(
                f"a recording of {len(data)} bytes: decoding it takes more memory than one recording may. Convert it "
                "to mono WAV or FLAC at 16000 Hz, or cut it into parts."
            )
        assert kind == SAMPLES
        return Decoded(payload.view(np.float32).reshape(channels, -1), messages)

    def kill(self) -> None:
        """Kill the process."""
        self._is_killed = True
        self._process.kill()

    async def stop(self) -> None:
        """Kill the process, wait for its end, and close the socket."""
        self._socket.close()
        self.kill()
        await asyncio.to_thread(self._process.wait)

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def _receive_message(self, most_bytes: int = 0) -> tuple[int, int, NDArray[np.uint8]]:
        """Read a message: kind, number of channels, and content. Raises EOFError, also for more than `most_bytes`."""
        kind, channels, size = RESPONSE.unpack((await self._receive(RESPONSE.size)).data)
        if size > most_bytes:
            raise EOFError
        return kind, channels, await self._receive(size)

    async def _receive(self, size: int) -> NDArray[np.uint8]:
        data = np.empty(size, np.uint8)
        view = data.data
        while view:
            count = await asyncio.get_running_loop().sock_recv_into(self._socket, view)
            if count == 0:
                raise EOFError
            view = view[count:]
        return data

    def _ended(self) -> str:
        try:
            return f"exit code {self._process.wait(0.1)}"  # its socket closes slightly before it ends
        except subprocess.TimeoutExpired:
            return "still running"


def _error(payload: Any) -> AudioError:
    """Make the error that a process reported."""
    name, message = json.loads(bytes(payload))
    kind = getattr(errors, name)
    assert issubclass(kind, AudioError)
    return kind(message)
