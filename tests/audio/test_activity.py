"""Loud enough to be speech."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.audio.activity import loud_frames

RATE, FRAME = 16_000, 320


def bursts(*spans: tuple[float, float], seconds: float = 4.0, room: float = 1e-4) -> np.ndarray:
    """A quiet room with loud noise in these spans of seconds."""
    draw = np.random.default_rng(0)
    wave = room * draw.standard_normal(round(seconds * RATE))
    for start, end in spans:
        wave[round(start * RATE) : round(end * RATE)] += 0.1 * draw.standard_normal(round((end - start) * RATE))
    return wave.astype(np.float32)


def spans_of(loud: np.ndarray) -> list[tuple[float, float]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(np.int8), [0]]))) * FRAME / RATE
    return [(round(a, 2), round(b, 2)) for a, b in edges.reshape(-1, 2).tolist()]


@pytest.mark.parametrize("room", [0.0, 1e-4, 1e-2])
def test_bursts_are_found(room: float) -> None:
    wave = bursts((0.5, 1.0), (2.0, 3.5), room=room)
    assert spans_of(loud_frames([wave], frame_samples=FRAME, sampling_rate=RATE)) == [(0.5, 1.0), (2.0, 3.5)]


def test_short_gaps_are_filled_and_clicks_dropped() -> None:
    wave = bursts((0.5, 1.0), (1.2, 2.0), (3.0, 3.04))
    assert spans_of(loud_frames([wave], frame_samples=FRAME, sampling_rate=RATE)) == [(0.5, 2.0)]


@pytest.mark.parametrize("pitch", [97.0, 210.0, 1000.0])
def test_a_steady_sound_is_loud_in_all_of_its_frames(pitch: float) -> None:
    time = np.arange(RATE) / RATE
    wave = (0.2 * np.sin(2 * np.pi * pitch * time) + np.random.default_rng(0).normal(0, 0.005, RATE)).astype(np.float32)
    assert spans_of(loud_frames([wave], frame_samples=FRAME, sampling_rate=RATE)) == [(0.0, 1.0)]


def test_silence_and_nothing() -> None:
    assert not loud_frames([np.zeros(RATE, np.float32)], frame_samples=FRAME, sampling_rate=RATE).any()
    assert len(loud_frames([], frame_samples=FRAME, sampling_rate=RATE)) == 0
    assert len(loud_frames([np.ones(FRAME - 1, np.float32)], frame_samples=FRAME, sampling_rate=RATE)) == 0


@given(st.lists(st.integers(0, 9000), max_size=8))
def test_blocks_of_any_length_tell_the_same(sizes: list[int]) -> None:
    wave = bursts((0.3, 0.8), (1.5, 1.9), seconds=2.0)
    cuts = np.minimum(np.cumsum(sizes), len(wave)) if sizes else []
    blocks = np.split(wave, cuts)
    whole = loud_frames([wave], frame_samples=FRAME, sampling_rate=RATE)
    np.testing.assert_array_equal(loud_frames(blocks, frame_samples=FRAME, sampling_rate=RATE), whole)
