"""From activity to turns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sonant.decoding.results import SpeakerTurn
from sonant.decoding.rttm import rttm
from sonant.decoding.speaker_turns import matching_speakers, median, runs, speakers_in, turns

RATE = 50.0


def speaking(*spans: tuple[int, int], frames: int = 100) -> np.ndarray:
    column = np.zeros(frames)
    for start, end in spans:
        column[start:end] = 0.9
    return column


def test_turns_may_overlap_and_are_named_as_they_begin() -> None:
    activity = np.stack([speaking((40, 90)), speaking((0, 60))], axis=1)
    assert turns(activity, frame_rate=RATE) == [
        SpeakerTurn("speaker_0", 0.0, 60 / RATE),
        SpeakerTurn("speaker_1", 40 / RATE, 90 / RATE),
    ]


def test_single_frames_neither_make_nor_break_a_turn() -> None:
    activity = speaking((10, 40), (41, 80), (95, 97))[:, None]
    assert turns(activity, frame_rate=RATE) == [SpeakerTurn("speaker_0", 10 / RATE, 80 / RATE)]
    assert turns(activity, frame_rate=RATE, median_seconds=0, min_turn_seconds=0) == [
        SpeakerTurn("speaker_0", start / RATE, end / RATE) for start, end in ((10, 40), (41, 80), (95, 97))
    ]
    assert turns(np.zeros((0, 2)), frame_rate=RATE) == []


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 9))
def test_the_median_is_that_of_numpy(values: list[bool], width: int) -> None:
    column = np.array(values, dtype=bool)[:, None]
    reach = width // 2
    found = median(column, width)[:, 0]
    for i in range(len(values)):
        around = np.array(values[max(0, i - reach) : i + reach + 1], dtype=float)
        middle = np.median(around)
        assert found[i] == (values[i] if middle == 0.5 else middle > 0.5)


@given(st.lists(st.booleans(), max_size=40))
def test_runs_cover_what_is_true(values: list[bool]) -> None:
    column = np.array(values, dtype=bool)
    covered = np.zeros(len(values), dtype=bool)
    for start, end in runs(column):
        covered[start:end] = True
        assert end == len(values) or not column[end]
    np.testing.assert_array_equal(covered, column)


def test_speakers_are_taken_in_the_order_of_the_window_before() -> None:
    before = np.random.default_rng(0).random((50, 3))
    order = np.array([2, 0, 1])
    now = np.empty_like(before)
    now[:, order] = before + 0.05
    np.testing.assert_array_equal(now[:, matching_speakers(before, now)], before + 0.05)


def test_rttm() -> None:
    found = [SpeakerTurn("speaker_0", 0.5, 2.0), SpeakerTurn("speaker_1", 2.0, 2.25), SpeakerTurn("speaker_0", 3, 4)]
    assert rttm(found, "my call").splitlines()[:2] == [
        "SPEAKER my_call 1 0.500 1.500 <NA> <NA> speaker_0 <NA> <NA>",
        "SPEAKER my_call 1 2.000 0.250 <NA> <NA> speaker_1 <NA> <NA>",
    ]
    assert speakers_in(found) == ["speaker_0", "speaker_1"]
