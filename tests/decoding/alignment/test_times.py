"""Times of words from the path and from loudness; scores; lines, stars and original spelling."""

import numpy as np
import pytest

from sonant.decoding.alignment.forced_path import ForcedPath
from sonant.decoding.alignment.spelled_text import SpelledCharacter, SpelledText, SpelledWord
from sonant.decoding.alignment.times import LOUDNESS_RATE, align

STAR = 9
HI = SpelledWord("Hi,", (SpelledCharacter("h", (1,)), SpelledCharacter("i", (2,))))
YO = SpelledWord("yo!", (SpelledCharacter("y", (3,)), SpelledCharacter("o", (4,))))
UNKNOWN = SpelledWord("99", (SpelledCharacter("99", (STAR,)),))


def path_of(frames: list[int], *, loss: float = 0.0) -> ForcedPath:
    """Return a path with a unit of log-probability -0.5 on each of these frames."""
    return ForcedPath(np.array(frames), np.array(frames), np.full(len(frames), -0.5), loss)


def loud(*spans: tuple[float, float], seconds: float = 2.0) -> np.ndarray:
    times = np.arange(round(seconds * LOUDNESS_RATE)) / LOUDNESS_RATE
    return np.any([(times >= start - 1e-9) & (times < end - 1e-9) for start, end in spans], axis=0)


def aligned(text: SpelledText, path: ForcedPath, sound: np.ndarray, decibels: np.ndarray | None = None):
    return align(
        path,
        text,
        frame_rate=50.0,
        decibels=np.where(sound, 0.0, -60.0) if decibels is None else decibels,
        loud=sound,
        duration_seconds=len(sound) / LOUDNESS_RATE,
        normalization="lower",
    )


def test_words_reach_from_where_sound_begins_to_where_it_ends() -> None:
    text = SpelledText(((HI, YO),), (0,), STAR, stars_between=False, unspelled=())
    found = aligned(text, path_of([20, 25, 32, 60, 70]), loud((0.31, 0.62), (1.05, 1.5)))
    assert [(word.text, word.start_seconds, word.end_seconds) for word in found.words] == [
        ("Hi,", 0.31, 0.62),
        ("yo!", 1.05, 1.5),
    ]
    assert [(each.text, each.start_seconds, each.end_seconds) for each in found.words[0].characters] == [
        ("h", 0.31, 0.42),
        ("i", 0.5, 0.62),
    ]
    assert found.segments[0].text == "Hi, yo!"
    assert found.words[0].score == -0.5
    assert found.words[0].confidence == pytest.approx(np.exp(-0.5))


def test_words_without_a_pause_meet_where_it_is_quietest() -> None:
    text = SpelledText(((HI, YO),), (), STAR, stars_between=False, unspelled=())
    sound = loud((0.0, 2.0))
    decibels = np.zeros(len(sound))
    decibels[110] = -5.0
    found = aligned(text, path_of([20, 40, 70, 80]), sound, decibels)
    assert found.words[0].end_seconds == 1.1
    assert found.words[1].start_seconds == 1.1


def test_quiet_at_the_end_is_not_part_of_a_word() -> None:
    text = SpelledText(((HI,),), (), STAR, stars_between=False, unspelled=())
    found = aligned(text, path_of([20, 45]), loud((0.3, 0.6)))
    assert (found.words[0].start_seconds, found.words[0].end_seconds) == (0.3, 0.6)


def test_silence_has_times_within_the_recording() -> None:
    text = SpelledText(((HI, YO),), (), STAR, stars_between=False, unspelled=())
    found = aligned(text, path_of([10, 12, 20, 99]), np.zeros(200, np.bool_))
    times = [time for word in found.words for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times)
    assert times[-1] <= 2.0


def test_stars_have_times_and_no_part_in_the_score() -> None:
    text = SpelledText(((HI, UNKNOWN), (YO,)), (), STAR, stars_between=True, unspelled=("99",))
    assert text.units.tolist() == [STAR, 1, 2, STAR, STAR, 3, 4, STAR]
    found = aligned(text, path_of([0, 10, 15, 30, 40, 60, 70, 99], loss=-4 * 0.5 - 12.0), loud((0.0, 2.0)))
    assert found.score == pytest.approx(-12.0 / 4)
    assert not found.is_match
    assert [len(segment.words) for segment in found.segments] == [2, 1]
    assert [word.is_spelled for word in found.words] == [True, False, True]
    assert found.unspelled == ("99",)
