"""The layout of a file, as found by walking through it: its recordings in order, each in pieces for a decoder."""

import warnings
from dataclasses import dataclass

from sonant.audio.formats.spliced import Piece
from sonant.errors import AudioWarning

MOST_PARTS = 10_000
CURE = "Fetch it again, or keep what there is by writing it anew (ffmpeg -i OLD NEW)."
_MOST_NAMED = 3  # oddities in a warning


@dataclass(frozen=True)
class Part:
    """One recording.

    Attributes:
        pieces: of the file, from which a decoder reads it.
        samples: per channel, where the walk counted them.
    """

    pieces: tuple[Piece, ...]
    samples: int | None = None


@dataclass(frozen=True)
class FileLayout:
    """The recordings of a file, which are read as one.

    Attributes:
        parts: in order.
        oddities: what the reader should be told of, as parts of a sentence.
        is_plain: whether the file, front to end, is the only part, so that decoders may try it as it is.
    """

    parts: tuple[Part, ...]
    oddities: tuple[str, ...] = ()
    is_plain: bool = False

    def warn(self, name: str) -> None:
        """Issue an AudioWarning if anything is odd about the recording of this name."""
        if self.oddities:
            more = len(self.oddities) - _MOST_NAMED
            named = [*self.oddities[:_MOST_NAMED], *([f"{more} more of the kind"] if more > 0 else [])]
            warnings.warn(
                f"{name}: {'; '.join(named)}. If that is not as it should be, fetch it again, or compare it with its "
                "source.",
                AudioWarning,
                stacklevel=2,
            )
