"""Segments that fit on a screen, and the two files that players read."""

import re

from hypothesis import given
from hypothesis import strategies as st

from sonant.decoding.results import Word
from sonant.decoding.subtitles import LONGEST_CHARACTERS, LONGEST_SECONDS, PAUSE_SECONDS, segments, srt, vtt


def word(text: str, start: float, end: float) -> Word:
    return Word(text, start, end, 0.5)


@st.composite
def spoken(draw: st.DrawFn) -> list[Word]:
    words, time = [], 0.0
    for _ in range(draw(st.integers(0, 40))):
        time += draw(st.sampled_from([0.02, 0.1, 0.3, 0.79, 0.81, 3.0]))
        end = time + draw(st.sampled_from([0.02, 0.4, 2.0, 9.0]))
        words.append(word("x" * draw(st.sampled_from([1, 7, 30, 100])), time, end))
        time = end
    return words


@given(spoken())
def test_every_word_once_and_within_the_limits(words: list[Word]) -> None:
    parts = segments(words)
    assert [each for part in parts for each in part.words] == words
    for part in parts:
        assert part.text == " ".join(each.text for each in part.words)
        assert (part.start_seconds, part.end_seconds) == (part.words[0].start_seconds, part.words[-1].end_seconds)
        if len(part.words) > 1:
            assert part.end_seconds - part.start_seconds <= LONGEST_SECONDS
            assert len(part.text) <= LONGEST_CHARACTERS
        gaps = [b.start_seconds - a.end_seconds for a, b in zip(part.words, part.words[1:], strict=False)]
        assert all(gap < PAUSE_SECONDS for gap in gaps)


def test_too_long_a_segment_is_cut_at_a_pause() -> None:
    late = [0.4 * (i > 4) for i in range(9)]
    words = [word(str(i), i + late[i], i + 0.9 + late[i]) for i in range(9)]
    assert [part.text for part in segments(words)] == ["0 1 2 3 4", "5 6 7 8"]


def test_scripts_without_spaces_are_cut_between_characters() -> None:
    words = [Word("字", i * 0.2, i * 0.2 + 0.1, 0.5, before="") for i in range(100)]
    parts = segments(words)
    assert "".join(part.text for part in parts) == "字" * 100
    assert all(part.end_seconds - part.start_seconds <= LONGEST_SECONDS for part in parts)
    fast = [Word("字", i * 0.02, i * 0.02 + 0.02, 0.5, before="") for i in range(100)]
    assert [len(part.text) for part in segments(fast)] == [42, 42, 16]  # as wide as 84 letters


def test_files() -> None:
    parts = segments([word("A", 0.5, 1.25), word("<B>", 1.3, 2.0), word("C&D", 3661.0, 3661.9994)])
    assert srt(parts) == ("1\n00:00:00,500 --> 00:00:02,000\nA <B>\n\n2\n01:01:01,000 --> 01:01:01,999\nC&D\n\n")
    assert vtt(parts) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nA &lt;B&gt;\n\n01:01:01.000 --> 01:01:01.999\nC&amp;D\n\n"
    )
    assert vtt([]) == "WEBVTT\n\n"
    assert re.search("00:01:00,000", srt(segments([word("A", 59.9999, 61)])))  # not 00:00:60
