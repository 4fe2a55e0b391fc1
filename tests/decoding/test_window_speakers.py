"""A speaker keeps the place in all windows of a recording, whoever is silent where two of them meet."""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest

from sonant.decoding.window_speakers import WindowSpeakers

RATE, WINDOW, SHARED = 50.0, 400, 80  # frames
ORDERS = [np.array(order) for order in permutations(range(3))]
Talk = Sequence[tuple[int, int, int]]  # person, first frame, end


def places_of(talk: Talk, orders: Sequence[np.ndarray], *, noise: float = 1.0) -> np.ndarray:
    """Number the speakers of each window by another order, and return the activity by place in all frames."""
    draw = np.random.default_rng(0)
    hop = WINDOW - SHARED
    total = hop * len(orders) + SHARED
    activity = np.full((total, 3), 0.1)
    for person, start, end in talk:
        activity[start:end, person] = 0.9
    voices = draw.normal(0, 1, (3, 32)) + 5.0  # what all have in common is the largest part
    states = (activity > 0.5) @ voices + draw.normal(0, noise, (total, 32))
    speakers = WindowSpeakers(threshold=0.5, frame_rate=RATE)
    found = np.zeros_like(activity)
    for number, order in enumerate(orders):
        here = slice(number * hop, number * hop + WINDOW)
        window = activity[here][:, order]
        found[here] = window[:, speakers.order(here.start, window, states[here])]
    return found


def persons(talk: Talk, total: int) -> np.ndarray:
    activity = np.full((total, 3), 0.1)
    for person, start, end in talk:
        activity[start:end, person] = 0.9
    return activity


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shared", [(), ((0, 320, 400),), ((2, 330, 380),)])
def test_a_speaker_who_is_silent_between_two_windows_keeps_the_place(order: np.ndarray, shared: Talk) -> None:
    talk = [*((each, 100 * each, 100 * each + 90) for each in range(3)), *shared]
    talk += [(each, 410 + 90 * each, 490 + 90 * each) for each in range(3)]
    found = places_of(talk, [np.arange(3), order])
    np.testing.assert_array_equal(found, persons(talk, len(found)))


def test_who_speaks_at_once_is_known_by_the_frames_that_windows_share() -> None:
    talk = [(0, 0, 420), (1, 350, 450), (2, 365, 500)]  # but for the first no one is ever alone long enough
    for order in ORDERS:
        found = places_of(talk, [np.arange(3), order])
        np.testing.assert_array_equal(found, persons(talk, len(found)))


@pytest.mark.parametrize("order", ORDERS)
def test_a_new_speaker_gets_a_place_that_is_free(order: np.ndarray) -> None:
    talk = [(0, 0, 90), (1, 100, 200), (0, 300, 400), (2, 450, 550), (0, 600, 700), (1, 760, 860), (2, 900, 1000)]
    found = places_of(talk, [np.arange(3), order, order[::-1]])
    np.testing.assert_array_equal(found, persons(talk, len(found)))


def test_a_lone_voice_after_a_pause_is_the_one_before() -> None:
    talk = [(0, 0, 200), (0, 500, 700)]
    for order in ORDERS:
        found = places_of(talk, [np.arange(3), order])
        np.testing.assert_array_equal(found, persons(talk, len(found)))
