"""Layout of a file: its recordings in order, each in pieces for a decoder."""

import warnings
from dataclasses import dataclass

from sonant.audio.formats.spliced import Piece
from sonant.errors import AudioWarning

MOST_PARTS = 10_000
CURE = "Fetch it again, or keep what there is by converting it (ffmpeg -i OLD NEW)."
_MOST_NAMED = 3  # notes in a warning


@dataclass(frozen=True)
class Part:
    """One recording of a file.

    Attributes:
        pieces: of the file, for a decoder.
        samples: per channel; None if not counted.
    """

    pieces: tuple[Piece, ...]
    samples: int | None = None


@dataclass(frozen=True)
class FileLayout:
    """The recordings of a file, which are read as one.

    Attributes:
        parts: in order.
        notes: irregularities for a warning, as parts of a sentence.
        is_plain: the only part is the whole file, so that decoders may open it directly.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()
    is_plain: bool = False

    def warn(self, name: str) -> None:
        """Issue an AudioWarning with the notes, if any."""
        if self.notes:
            more = len(self.notes) - _MOST_NAMED
            named = [*self.notes[:_MOST_NAMED], *([f"{more} more of the kind"] if more > 0 else [])]
            warnings.warn(
                f"{name}: {'; '.join(named)}. If that is not as it should be, fetch it again, or compare it with its "
                "source.",
                AudioWarning,
                stacklevel=2,
            )
