"""Program of a decoding process: reads recordings from its socket, and writes samples to it, in turns.

It imports nothing of the server, so that untrusted data is decoded without access to keys, database and models.
"""

import contextlib
import json
import os
import signal
import socket
import struct
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sonant import audio
from sonant.errors import AudioError, AudioWarning

NICENESS = 5  # lower priority than the server
SCRATCH_BYTES = 256 << 20  # memory of a codec and of its blocks, beside its input
GRACE_SECONDS = 5.0

TURN_SECONDS = 0.02  # of decoding, before other recordings get a turn; ended between two blocks

REQUEST = struct.Struct("<QIIi")  # size of the recording that follows, sampling rate, fewest samples, channel
MIX, ALL = -1, -2  # instead of a channel number
GO, DROP = b"g", b"d"  # go on with a turn; drop the recording
RESPONSE = struct.Struct("<BHQ")  # kind, number of channels, size
# In this order: READY once; then for each recording BEGUN, LENGTH, and, after GO, SAMPLES and TURN, until DONE. The
# size of LENGTH is the number of samples of a channel by the header, 0 if unknown; other sizes are those of the content
# in bytes: of SAMPLES float32 (channels, samples), of DONE JSON [warning, ...], of ERROR JSON [class of the AudioError,
# message]. The process waits for GO or DROP after LENGTH and after TURN.
READY, BEGUN, LENGTH, SAMPLES, TURN, DONE, ERROR, EXHAUSTED = range(8)
MOST_WARNINGS, WARNING_CHARACTERS = 8, 500


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Limits of decoding one recording.

    Attributes:
        seconds: of wall time, in the turns of the recording.
        audio_bytes: of the encoded recording.
        audio_seconds: of the decoded recording.
        decoded_bytes: of the decoded recording at its original rate, all channels.
    """

    seconds: float
    audio_bytes: int
    audio_seconds: float
    decoded_bytes: int

    @property
    def memory_bytes(self) -> int:
        """Memory beyond that of the idle process: twice the recording, and the codec's."""
        return 2 * self.audio_bytes + SCRATCH_BYTES

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
            size, *wanted = REQUEST.unpack(_receive(stream, REQUEST.size))
            data = _receive(stream, size)
            stream.sendall(RESPONSE.pack(BEGUN, 0, 0))  # from here, a crash is caused by this recording
            _set_alarm(bounds.seconds + GRACE_SECONDS)
            _set_memory(idle_bytes + bounds.memory_bytes)
            _answer(stream, data, bounds, *wanted)
            _set_alarm(0)


class _Dropped(Exception):
    """The server wants no more of a recording."""


def _answer(
    stream: socket.socket, data: bytearray, bounds: Bounds, sampling_rate: int, min_samples: int, channel: int
) -> None:
    try:
        with warnings.catch_warnings(record=True, action="always", category=AudioWarning) as caught:
            _decode(stream, data, bounds, sampling_rate, min_samples, channel)
    except _Dropped:
        pass
    except AudioError as error:
        _send_json(stream, ERROR, [type(error).__name__, str(error)])
    except MemoryError:
        stream.sendall(RESPONSE.pack(EXHAUSTED, 0, 0))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001  # any error of a codec
        why = f"{type(error).__name__}: {error}"
        message = f"a recording of {len(data)} bytes: it cannot be decoded ({why})."
        _send_json(stream, ERROR, ["UndecodableAudio", message])
    else:
        _send_json(stream, DONE, [str(warning.message)[:WARNING_CHARACTERS] for warning in caught[:MOST_WARNINGS]])


def _decode(
    stream: socket.socket, data: bytearray, bounds: Bounds, sampling_rate: int, min_samples: int, channel: int
) -> None:
    """Send the length of a recording, and its blocks in turns that the server grants."""
    wanted: audio.Channel = "mix" if channel == MIX else "all" if channel == ALL else channel
    ceiling = audio.Ceiling(seconds=bounds.audio_seconds, decoded_bytes=bounds.decoded_bytes)
    with audio.open_stream(
        data, sampling_rate=sampling_rate, min_samples=min_samples, ceiling=ceiling, channel=wanted
    ) as recording:
        stream.sendall(RESPONSE.pack(LENGTH, recording.channels, recording.samples or 0))
        turn_end = _next_turn(stream, bounds)
        for block in recording.blocks:
            if time.monotonic() >= turn_end:
                stream.sendall(RESPONSE.pack(TURN, 0, 0))
                turn_end = _next_turn(stream, bounds)
            rows = np.atleast_2d(block)
            stream.sendall(RESPONSE.pack(SAMPLES, len(rows), rows.nbytes))
            for row in rows:
                stream.sendall(row.data)


def _next_turn(stream: socket.socket, bounds: Bounds) -> float:
    """Wait until the server grants a turn, and return its end by `time.monotonic`. Raises _Dropped, EOFError."""
    _set_alarm(0)
    if bytes(_receive(stream, 1)) != GO:
        raise _Dropped
    _set_alarm(bounds.seconds + GRACE_SECONDS)
    return time.monotonic() + TURN_SECONDS


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
