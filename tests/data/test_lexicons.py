"""Lexicon files are read line by line, with or without spellings."""

from pathlib import Path

import pytest

from sonant.data.lexicons import read_lexicon_lines
from sonant.errors import ConfigurationError


def test_lines_have_a_word_and_its_units(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.txt"
    path.write_bytes("\ufeffHI\tH I |\r\n\n  été \nHI HH AY\n".encode())
    assert read_lexicon_lines(path) == [(1, "HI", ("H", "I", "|")), (3, "été", ()), (4, "HI", ("HH", "AY"))]


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("été".encode("latin-1"))
    for name in ("latin.txt", "missing.txt"):
        with pytest.raises(ConfigurationError, match=f"{name} cannot be read"):
            read_lexicon_lines(tmp_path / name)
