"""Limits on the decoded size of a recording, for untrusted files: a small file can contain days of silence."""

from collections.abc import Iterator
from dataclasses import dataclass

from sonant.audio.formats.decoder import FileDecoder, Frames
from sonant.errors import OversizedAudio

SAMPLE_BYTES = 4  # float32


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """The limits on the decoded size of a file.

    Attributes:
        seconds: largest duration.
        decoded_bytes: largest size of the float32 samples of all channels at the rate of the file.
    """

    seconds: float
    decoded_bytes: int

    def guard(self, decoder: FileDecoder, first: int = 0, stop: int | None = None) -> Iterator[Frames]:
        """Return the blocks of a decoder (samples, channels) up to the limits; OversizedAudio is raised beyond.

        Args:
            first, stop: as in `FileDecoder.blocks`; the limits are those of the whole recording.

        Raises OversizedAudio: the header announces more.
        """
        self._check(decoder, decoder.frames or 0, "its header promises")
        return self._limited(decoder, first, stop)

    def _limited(self, decoder: FileDecoder, first: int, stop: int | None) -> Iterator[Frames]:
        frames = first
        for block in decoder.blocks(first, stop):
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
