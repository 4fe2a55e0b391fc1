"""Program of a decoding process: reads recordings from its socket, and writes samples to it.

It imports nothing of the server, so that untrusted data is decoded without access to keys, database and models.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sonant import audio
from sonant.errors import AudioError, AudioWarning

NICENESS = 5  # lower priority than the server
SCRATCH_BYTES = 256 << 20  # memory of a codec beside its input and output
GRACE_SECONDS = 5.0

REQUEST = struct.Struct("<QIIi")  # size of the recording that follows, sampling rate, fewest samples, channel
MIX, ALL = -1, -2  # instead of a channel number
RESPONSE = struct.Struct("<BHQ")  # kind of the content that follows, number of channels, size in bytes
# Content of SAMPLES: float32 (channels, samples); WARNINGS: JSON [message, ...], before SAMPLES; ERROR: JSON [class
# of the AudioError, message].
READY, BEGUN, SAMPLES, ERROR, EXHAUSTED, WARNINGS = range(6)
MOST_WARNINGS, WARNING_CHARACTERS = 8, 500


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of decoding one recording.

    Attributes:
        seconds: of wall time.
        audio_bytes: of the encoded recording.
        audio_seconds: of the decoded recording.
        decoded_bytes: of the decoded recording at its original rate, all channels.
        total_seconds: of all channels together, if all are returned.
    """

    seconds: float
    audio_bytes: int
    audio_seconds: float
    decoded_bytes: int
    total_seconds: float

    def memory_bytes(self, sampling_rate: int, channel: int) -> int:
        """Memory beyond that of the idle process: twice the recording, its samples, and the codec's."""
        seconds = max(self.audio_seconds, self.total_seconds) if channel == ALL else self.audio_seconds
        return 2 * self.audio_bytes + round(4 * sampling_rate * seconds) + SCRATCH_BYTES

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def main() -> None:
    """Serve the socket on standard input until the other side closes it."""
    bounds = Bounds(**json.loads(sys.argv[1]))
    _keep_quiet()
    with contextlib.suppress(ImportError):  # without PyAV, formats that need it are refused
        import av  # noqa: F401  # import it before the first recording
    idle_bytes = _confine()
    with socket.socket(fileno=0) as stream, contextlib.suppress(EOFError, ConnectionError):
        stream.sendall(RESPONSE.pack(READY, 0, 0))
        while True:
            size, sampling_rate, min_samples, channel = REQUEST.unpack(_receive(stream, REQUEST.size))
            data = _receive(stream, size)
            stream.sendall(RESPONSE.pack(BEGUN, 0, 0))  # from here, a crash is caused by this recording
            _set_alarm(bounds.seconds + GRACE_SECONDS)
            _set_memory(idle_bytes + bounds.memory_bytes(sampling_rate, channel))
            _answer(stream, data, bounds, sampling_rate, min_samples, channel)
            _set_alarm(0)


def _answer(
    stream: socket.socket, data: bytearray, bounds: Bounds, sampling_rate: int, min_samples: int, channel: int
) -> None:
    try:
        with warnings.catch_warnings(record=True, action="always", category=AudioWarning) as caught:
            blocks = _blocks(data, bounds, sampling_rate, min_samples, channel)
    except AudioError as error:
        _send_error(stream, type(error).__name__, str(error))
    except MemoryError:
        stream.sendall(RESPONSE.pack(EXHAUSTED, 0, 0))
    except Exception as error:  # noqa: BLE001  # any error of a codec
        why = f"{type(error).__name__}: {error}"
        _send_error(stream, "UndecodableAudio", f"a recording of {len(data)} bytes: it cannot be decoded ({why}).")
    else:
        messages = [str(warning.message)[:WARNING_CHARACTERS] for warning in caught[:MOST_WARNINGS]]
        if messages:
            _send_json(stream, WARNINGS, messages)
        channels = len(blocks[0])
        stream.sendall(RESPONSE.pack(SAMPLES, channels, sum(block.nbytes for block in blocks)))
        for number in range(channels):
            for block in blocks:
                stream.sendall(block[number].data)


def _blocks(data: bytearray, bounds: Bounds, sampling_rate: int, min_samples: int, channel: int) -> list[np.ndarray]:
    """Decode channels of a recording into at least one block (channels, samples)."""
    wanted: audio.Channel = channel
    seconds = bounds.audio_seconds
    if channel == MIX:
        wanted = "mix"
    elif channel == ALL:
        wanted, seconds = "all", min(seconds, bounds.total_seconds / audio.num_channels(data))
    ceiling = audio.Ceiling(seconds=seconds, decoded_bytes=bounds.decoded_bytes)
    return [
        np.atleast_2d(block)
        for block in audio.blocks(
            data, sampling_rate=sampling_rate, min_samples=min_samples, ceiling=ceiling, channel=wanted
        )
    ]


def _send_error(stream: socket.socket, name: str, message: str) -> None:
    _send_json(stream, ERROR, [name, message])


def _send_json(stream: socket.socket, kind: int, content: list[str]) -> None:
    payload = json.dumps(content).encode()
    stream.sendall(RESPONSE.pack(kind, 0, len(payload)) + payload)


def _receive(stream: socket.socket, size: int) -> bytearray:
    """Receive exactly `size` bytes. Raises EOFError."""
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = stream.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return data


def _keep_quiet() -> None:
    """Discard stdout and stderr, to which codecs write messages about damaged files."""
    null = os.open(os.devnull, os.O_RDWR)
    for output in (1, 2):
        os.dup2(null, output)
    os.close(null)


def _confine() -> int:
    """Forbid core dumps and writing of files, lower the priority, and return the idle process's memory, in bytes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C, and closes the socket
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        os.nice(NICENESS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
        return int(pages[5]) * resource.getpagesize()
    return SCRATCH_BYTES


def _set_memory(size: int) -> None:
    """Limit memory to `size` bytes, on Linux; beyond it, MemoryError or the end of the process."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _set_alarm(seconds: float) -> None:
    """Let the process end itself after `seconds` (0: cancel), in case the server has ended and cannot kill it."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main()
