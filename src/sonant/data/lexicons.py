"""Files of lexicons: words, and the units that spell them."""

import os
from pathlib import Path
from typing import NamedTuple

from sonant.errors import ConfigurationError


class LexiconLine(NamedTuple):
    """One line of a lexicon.

    Attributes:
        number: of the line in its file, from 1.
        word: as it is written.
        units: that spell it; none if the word stands alone.
    """

    number: int
    word: str
    units: tuple[str, ...]


def read_lexicon_lines(path: str | os.PathLike[str]) -> list[LexiconLine]:
    """Read a file with a word on each line, alone or with the units that spell it behind white space.

    This is the format of fairseq, flashlight and Kaldi. Empty lines are skipped.

    Raises ConfigurationError: it cannot be read.
    """
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The lexicon {os.fspath(path)} cannot be read: {error}") from error
    fields = ((number, line.split()) for number, line in enumerate(lines, start=1))
    return [LexiconLine(number, words[0], tuple(words[1:])) for number, words in fields if words]
