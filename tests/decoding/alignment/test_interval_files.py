"""TextGrid and CTM: read again as they were written."""

import re

import pytest

from sonant.decoding.alignment.aligned_text import AlignedCharacter
from sonant.decoding.alignment.interval_files import ctm, textgrid

WORDS = [AlignedCharacter('say "hi"', 0.5, 0.75, 0.0), AlignedCharacter("né", 0.75, 1.0, -0.5)]


def test_intervals_of_a_textgrid_fill_the_recording() -> None:
    text = textgrid({"words": WORDS, "characters": []}, 1.5)
    numbers = re.findall(r"xmin = ([\d.]+)\n\s+xmax = ([\d.]+)\n\s+text = \"(.*)\"", text)
    words = [("0", "0.5", ""), ("0.5", "0.75", 'say ""hi""'), ("0.75", "1", "né"), ("1", "1.5", "")]
    assert numbers == [*words, ("0", "1.5", "")]
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    assert "size = 2" in text


def test_praatio_reads_it(tmp_path) -> None:
    reader = pytest.importorskip("praatio.textgrid")
    (tmp_path / "a.TextGrid").write_text(textgrid({"words": WORDS}, 1.5), encoding="utf-8")
    tier = reader.openTextgrid(str(tmp_path / "a.TextGrid"), includeEmptyIntervals=False).getTier("words")
    assert [(each.label, each.start, each.end) for each in tier.entries] == [('say "hi"', 0.5, 0.75), ("né", 0.75, 1.0)]


def test_ctm_has_six_fields() -> None:
    lines = ctm(WORDS, "my talk", 1).splitlines()
    assert lines == ['my_talk 2 0.500 0.250 say_"hi" 1.0000', "my_talk 2 0.750 0.250 né 0.6065"]
