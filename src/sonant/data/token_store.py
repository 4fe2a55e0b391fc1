"""Texts of a language model as tokens, in memory-mapped files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ManifestError

TYPES: dict[str, np.dtype[Any]] = {"tokens.u16": np.dtype("<u2"), "tokens.u32": np.dtype("<u4")}
STARTS, START_TYPE = "starts.i64", np.dtype("<i8")


class TokenStore:
    """Sequence of texts, each with its begin and end, int64 (tokens,).

    A text of more than `longest` tokens stands there as several, of which each begins with the last token of the one
    before it, so that every token but the first is predicted once.

    Files: `tokens.u16`, or `tokens.u32` for more than 65,536 different tokens, and `starts.i64`, the place of each
    text and of the end.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name = next(name for name in TYPES if (folder / name).exists())
        self._tokens = np.memmap(folder / name, dtype=TYPES[name], mode="r")
        self.starts: NDArray[np.int64] = np.memmap(folder / STARTS, dtype=START_TYPE, mode="r")

    @classmethod
    def make(
        cls,
        folder: Path,
        texts: Iterable[list[int]],
        *,
        source: str,
        begin: int,
        end: int,
        longest: int,
        num_tokens: int,
    ) -> Self:
        """Write the tokens of texts, given without begin and end; the store exists only if complete.

        Raises ManifestError: there are no texts.

        Args:
            source: of the texts, for the message.
            longest: largest number of tokens of a text with begin and end.
            num_tokens: size of the vocabulary.
        """
        if (folder / STARTS).exists():
            return cls(folder)
        folder.mkdir(parents=True, exist_ok=True)
        name = "tokens.u16" if num_tokens <= 1 << 16 else "tokens.u32"
        for other in TYPES:  # of a store that was not finished
            (folder / other).unlink(missing_ok=True)
        draft, place = folder / f"{STARTS}.part", 0
        with (folder / name).open("wb") as file, draft.open("wb") as starts:
            for text in texts:
                for part in _cut([begin, *text, end], longest):
                    starts.write(np.array(place, START_TYPE).tobytes())
                    file.write(np.array(part, TYPES[name]).tobytes())
                    place += len(part)
            starts.write(np.array(place, START_TYPE).tobytes())
        if not place:
            raise ManifestError(f"{source} has no text; expected at least one that is not empty, a text in each line.")
        draft.replace(folder / STARTS)
        return cls(folder)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """Pickle the folder only: a pickled memory map would contain all tokens."""
        return type(self), (self.folder,)

    @property
    def num_tokens(self) -> int:
        """The number of tokens of all texts, with begins and ends."""
        return int(self.starts[-1])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> NDArray[np.int64]:
        return self._tokens[self.starts[number] : self.starts[number + 1]].astype(np.int64)


def _cut(text: list[int], longest: int) -> list[list[int]]:
    return [text[start : start + longest] for start in range(0, max(1, len(text) - 1), longest - 1)]
