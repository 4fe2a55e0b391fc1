"""Decoding process, server side."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant import errors
from sonant.audio import Channel
from sonant.audio.arrays import MAX_CHANNELS
from sonant.errors import AudioError, OversizedAudio, UndecodableAudio
from sonant.server.errors import ApiError
from sonant.server.intake import worker
from sonant.server.intake.worker import ALL, DROP, GO, MIX, REQUEST, RESPONSE, Bounds
from sonant.server.uninterrupted import to_the_end

logger = logging.getLogger(__name__)

START_SECONDS = 60.0
MOST_JSON_BYTES = 1 << 20
AUDIO_ERRORS = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AudioError)
}
SLACK_SAMPLES = 1 << 12  # that resampling may add to what the length of a recording makes expect
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


Admit = Callable[[int, int], None]  # given numbers of channels and samples; raises ApiError if they are too many


class Incoming:
    """A recording that is being decoded, and its samples as they arrive.

    Args:
        admit: called with the channels and samples that the header announces, before these are decoded, and with all
            samples beyond that as they come; what it raises ends the recording.

    Attributes:
        request, data: what is sent to a process.
        num_bytes: of the encoded recording.
        has_begun: whether a process has received it.
        seconds: duration of its turns so far.
    """

    def __init__(
        self,
        data: bytes,
        *,
        sampling_rate: int,
        min_samples: int,
        channel: Channel = "mix",
        admit: Admit,
        bounds: Bounds,
    ) -> None:
        wanted = {"mix": MIX, "all": ALL}[channel] if isinstance(channel, str) else channel
        self.request, self.data = REQUEST.pack(len(data), sampling_rate, min_samples, wanted), data
        self.num_bytes, self.has_begun, self.seconds = len(data), False, 0.0
        self._admit = admit
        self._refusal: ApiError | None = None
        self._most_samples = round(bounds.audio_seconds * sampling_rate) + SLACK_SAMPLES
        self._samples = np.empty((0, 0), np.float32)  # (channels, capacity)
        self._count = self._admitted = 0

    def announce(self, channels: int, samples: int) -> None:
        """Note the length by the header; 0 samples: it is unknown. Raises ApiError, EOFError if it cannot be."""
        if not 0 < channels <= MAX_CHANNELS or samples > self._most_samples:
            raise EOFError
        self._admit(channels, samples)
        self._admitted = samples
        self._samples = np.empty((channels, samples + SLACK_SAMPLES), np.float32)

    def rows(self, channels: int, size: int) -> Iterator[memoryview]:
        """Return the place of each channel of the next block. Raises EOFError for what cannot be."""
        count, rest = divmod(size, 4 * max(1, channels))
        end = self._count + count
        if channels != len(self._samples) or rest or end > self._most_samples:
            raise EOFError
        if end > self._admitted and self._refusal is None:
            try:
                self._admit(channels, end - self._admitted)
            except ApiError as error:
                self._refusal = error  # raised at the end of the turn, when the process listens again
            self._admitted = end
        if self._refusal is not None:
            end = count
            self._count = 0  # overwrite what came before
        if end > self._samples.shape[1]:
            larger = np.empty((channels, 2 * end), np.float32)
            larger[:, : self._count] = self._samples[:, : self._count]
            self._samples = larger
        begin, self._count = self._count, end
        return (row[begin:end].data.cast("B") for row in self._samples)

    def check(self) -> None:
        """Raise the ApiError with which samples were not admitted."""
        if self._refusal is not None:
            raise self._refusal

    def decoded(self, warnings: tuple[str, ...]) -> Decoded:
        return Decoded(self._samples[:, : self._count], warnings)


class ProcessLost(Exception):
    """Error of a process that ended before it started to decode."""


class WorkerProcess:
    """A process that decodes one recording at a time, in turns; it must be stopped once it is not `is_usable`.

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
        self._is_killed = self._is_paused = False
        self._work: asyncio.Future[Decoded | None] | None = None

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
                kind, _, _ = RESPONSE.unpack((await self._receive(RESPONSE.size)).data)
        except (TimeoutError, EOFError, ConnectionError) as error:
            raise ProcessLost(f"a decoding process did not start ({self._ended()})") from error
        if kind != worker.READY:
            raise ProcessLost(f"a decoding process began with a message of kind {kind}")

    async def turn(self, incoming: Incoming) -> Decoded | None:
        """Decode a recording for one turn; return None if it is not at its end.

        Raises AudioError, ApiError; ProcessLost if it was not begun. Check `is_usable` afterwards. A cancellation takes
        effect at the end of the turn.
        """
        self._work = asyncio.ensure_future(self._turn(incoming))
        return await to_the_end(self._work)

    async def _turn(self, incoming: Incoming) -> Decoded | None:
        begin = time.monotonic()
        try:
            async with asyncio.timeout(self._bounds.seconds - incoming.seconds):
                return await self._exchange(incoming)
        except TimeoutError:
            self.kill()
            raise ApiError(
                400,
                "audio_decode_timeout",
                f"a recording of {incoming.num_bytes} bytes: decoding it took longer than {self._bounds.seconds:g} s. "
                "Convert it to WAV or FLAC, or cut it into parts.",
            ) from None
        except (EOFError, ConnectionError):
            self.kill()
            if not incoming.has_begun:
                raise ProcessLost from None
            logger.warning(
                "a decoding process ended over a recording of %d bytes (%s)", incoming.num_bytes, self._ended()
            )
            raise UndecodableAudio(
                f"a recording of {incoming.num_bytes} bytes: the decoder broke down over it. It is probably damaged: "
                "convert it to WAV or FLAC."
            ) from None
        finally:
            incoming.seconds += time.monotonic() - begin

    async def _exchange(self, incoming: Incoming) -> Decoded | None:
        if not incoming.has_begun:
            await self._send(incoming.request)
            await self._send(incoming.data)
        elif self._is_paused:
            await self._go_on()
        while True:
            kind, channels, size = RESPONSE.unpack((await self._receive(RESPONSE.size)).data)
            match kind:
                case worker.BEGUN:
                    incoming.has_begun, incoming.data = True, b""
                case worker.LENGTH:
                    self._is_paused = True
                    incoming.announce(channels, size)
                    await self._go_on()
                case worker.SAMPLES:
                    for row in incoming.rows(channels, size):
                        await self._receive_into(row)
                case worker.TURN:
                    self._is_paused = True
                    incoming.check()
                    return None
                case worker.DONE:
                    incoming.check()
                    return incoming.decoded(tuple(await self._receive_texts(size)))
                case worker.ERROR:
                    raise _error(await self._receive_texts(size))
                case worker.EXHAUSTED:
                    self.kill()  # its remaining memory may be too little for the next recording
                    raise OversizedAudio(
                        f"a recording of {incoming.num_bytes} bytes: decoding it takes more memory than one recording "
                        "may. Convert it to mono WAV or FLAC at 16000 Hz, or cut it into parts."
                    )
                case _:
                    raise EOFError

    async def _go_on(self) -> None:
        self._is_paused = False
        await self._send(GO)

    def drop(self) -> None:
        """Give up a recording that is not at its end."""
        if self._is_paused and self.is_usable:
            self._is_paused = False
            try:
                self._socket.send(DROP)
            except OSError:
                self.kill()

    def kill(self) -> None:
        """Kill the process."""
        self._is_killed = True
        self._process.kill()

    async def stop(self) -> None:
        """Kill the process, wait for its end and that of its turn, and close the socket."""
        self.kill()
        if self._work is not None:
            await asyncio.wait([self._work])
        self._socket.close()
        await asyncio.to_thread(self._process.wait)

    async def _send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def _receive(self, size: int) -> NDArray[np.uint8]:
        data = np.empty(size, np.uint8)
        await self._receive_into(data.data)
        return data

    async def _receive_into(self, view: memoryview) -> None:
        while view:
            count = await asyncio.get_running_loop().sock_recv_into(self._socket, view)
            if count == 0:
                raise EOFError
            view = view[count:]

    async def _receive_texts(self, size: int) -> list[str]:
        """Receive a JSON list of texts. Raises EOFError, as for a process that has ended: it is something else."""
        if size > MOST_JSON_BYTES:
            raise EOFError
        try:
            texts = json.loads(bytes(await self._receive(size)))
        except (ValueError, RecursionError):
            raise EOFError from None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise EOFError
        return texts

    def _ended(self) -> str:
        try:
            return f"exit code {self._process.wait(0.1)}"  # its socket closes slightly before it ends
        except subprocess.TimeoutExpired:
            return "still running"


def _error(reported: list[str]) -> AudioError:
    """Make the error that a process reported. Raises EOFError: it is none."""
    match reported:
        case [name, message] if name in AUDIO_ERRORS:
            return AUDIO_ERRORS[name](message)
    raise EOFError
