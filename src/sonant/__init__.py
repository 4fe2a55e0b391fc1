"""Self-supervised speech: pretrain, load and use WavLM, HuBERT and wav2vec 2.0.

    encoder = sonant.load("sonant/wavlm-tiny")
    frames = encoder.encode("speech.wav")          # (frames, dim)

The public names live in `sonant.api` and are fetched when first used, so that `import sonant` stays quick.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sonant.api import (
        SpeakerTurn,
        SpeechEncoder,
        Transcript,
        Verification,
        Word,
        diarize,
        load,
        transcribe,
        units,
        verify,
    )

__version__ = "0.1.0"

__all__ = [
    "SpeakerTurn",
    "SpeechEncoder",
    "Transcript",
    "Verification",
    "Word",
    "__version__",
    "diarize",
    "load",
    "transcribe",
    "units",
    "verify",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        from sonant import api

        return getattr(api, name)
    raise AttributeError(f"module 'sonant' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
