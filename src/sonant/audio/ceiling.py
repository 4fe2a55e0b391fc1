"""Limits on the decoded size of a recording: a small file from an untrusted source can hold days of silence."""

from collections.abc import Iterator
from dataclasses import dataclass

from sonant.audio.formats.decoder import FileDecoder, Frames
from sonant.errors import OversizedAudio

SAMPLE_BYTES = 4  # float32


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The limits on the decoded size of a file.

    Attributes:
        seconds: the longest duration.
        decoded_bytes: the largest size of its float32 samples at the file's own rate, all channels together.
    """

    seconds: float
    decoded_bytes: int

    def guard(self, decoder: FileDecoder) -> Iterator[Frames]:
        """Yield the blocks of a decoder (samples, channels) while they stay within the limits.

        A header that promises more is refused before anything is decoded. Raises OversizedAudio.
        """
        self._check(decoder, decoder.frames or 0, "its header promises")
        frames = 0
        for block in decoder.blocks():
            frames += len(block)
            self._check(decoder, frames, "it goes on after")
            yield block

    def _check(self, decoder: FileDecoder, frames: int, how: str) -> None:
        seconds, size = frames / decoder.rate, frames * decoder.channels * SAMPLE_BYTES
        if seconds > self.seconds:
            raise OversizedAudio(
                f"{decoder.name}: {how} {seconds:.1f} s, and at most {self.seconds:g} s are taken. Cut it into parts, "
                "or write the file again if that cannot be true."
            )
        if size > self.decoded_bytes:
            raise OversizedAudio(
                f"{decoder.name}: {how} {size / 2**20:.0f} MiB of samples ({seconds:.1f} s of {decoder.channels} "
                f"channels at {decoder.rate} Hz), and at most {self.decoded_bytes / 2**20:.0f} MiB are taken. Make it "
                "mono, at 16000 Hz, or cut it into parts."
            )
