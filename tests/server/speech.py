"""Short pieces of the recordings in examples/speech, as clients would send them."""

import io
from pathlib import Path

import soundfile

SPEECH = Path(__file__).parents[2] / "examples" / "speech"


def clip(name: str, seconds: float, *, start: float = 0.3) -> bytes:
    """A wav file of so many seconds."""
    with soundfile.SoundFile(SPEECH / f"{name}.flac") as file:
        file.seek(round(start * file.samplerate))
        samples, rate = file.read(round(seconds * file.samplerate), dtype="int16"), file.samplerate
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format="WAV")
    return written.getvalue()
