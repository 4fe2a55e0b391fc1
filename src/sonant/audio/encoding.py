"""Recordings as audio files in memory: WAV in pieces, as they are sent, and FLAC."""

import io
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import soundfile
from numpy.typing import NDArray

FLAC_CHANNELS = 8  # at most
WAV_HEADER_BYTES = 58
MAX_WAV_BYTES = (1 << 32) - 1 - WAV_HEADER_BYTES  # of samples: chunk sizes are of 32 bits
IEEE_FLOAT = 3  # the WAVE format of floating-point samples
BLOCK = 1 << 15  # samples of each channel in a piece of WAV


def wav(recording: Sequence[NDArray[np.float32]], sampling_rate: int) -> Iterator[bytes]:
    """Yield a WAV file of 32-bit floating-point samples, exactly those of `recording`: (samples,) of each channel."""
    channels, num_samples = len(recording), len(recording[0])
    size = 4 * channels * num_samples
    yield b"".join(
        (
            struct.pack("<4sI4s", b"RIFF", WAV_HEADER_BYTES - 8 + size, b"WAVE"),
            struct.pack("<4sIHH", b"fmt ", 18, IEEE_FLOAT, channels),
            struct.pack("<IIHHH", sampling_rate, 4 * channels * sampling_rate, 4 * channels, 32, 0),
            struct.pack("<4sII", b"fact", 4, num_samples),  # required of formats other than PCM
            struct.pack("<4sI", b"data", size),
        )
    )
    for start in range(0, num_samples, BLOCK):
        block = [channel[start : start + BLOCK] for channel in recording]
        yield np.stack(block, axis=1).astype("<f4", copy=False).tobytes()


def wav_bytes(recording: Sequence[NDArray[np.float32]]) -> int:
    """Return the length of the file that `wav` writes."""
    return WAV_HEADER_BYTES + 4 * len(recording) * len(recording[0])


class FlacEncoder:
    """An encoder of FLAC files of 24-bit samples.

    Args:
        channels: up to `FLAC_CHANNELS`.
        sampling_rate: in hertz.
    """

    def __init__(self, channels: int, sampling_rate: int) -> None:
        self._file = io.BytesIO()
        self._writer = soundfile.SoundFile(self._file, "w", sampling_rate, channels, "PCM_24", format="FLAC")

    def write(self, block: Sequence[NDArray[np.float32]]) -> None:
        """Add samples of each channel; those beyond -1 and 1 are clipped."""
        self._writer.write(np.stack(block, axis=1))

    def finish(self) -> bytes:
        """Return the file."""
        self._writer.close()
        return self._file.getvalue()
