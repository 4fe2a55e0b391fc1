"""Long recordings of a head that says of each frame who speaks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sonant
from sonant.audio.windows import Windowing
from sonant.decoding.results import SpeakerTurn
from sonant.layers.packed import Packed
from sonant.tasks import FrameClassificationHead
from tests.heads import write_frame_classifier

RATE, WINDOW, SHARED = 16_000, 4.0, 1.0
TURNS = [("ann", 0.0, 1.2), ("bob", 1.4, 2.8), ("bob", 4.2, 5.3), ("ann", 5.4, 6.0), ("ann", 8.0, 9.0)]
SPEAKERS = ("ann", "bob")


def recording(seconds: float = 9.2) -> np.ndarray:
    """A deep voice and a high one, which leaves all of the frames silent that the first two windows share."""
    time = np.arange(round(seconds * RATE)) / RATE
    wave = np.random.default_rng(0).normal(0, 0.001, len(time))
    for speaker, start, end in TURNS:
        here = (time >= start) & (time < end)
        pitch = 150.0 if speaker == "ann" else 2_500.0
        wave[here] += 0.3 * np.sin(2 * np.pi * pitch * time[here]) * (1 + 0.5 * np.sin(17 * time[here]))
    return wave.astype(np.float32)


def numbered_otherwise(starts: list[float]) -> Any:
    """Return a head that knows the speakers of each window, and numbers them otherwise in every second one."""
    calls = iter(range(len(starts)))

    def forward(_: FrameClassificationHead, states: Packed) -> Packed:
        number = next(calls)
        time = starts[number] + torch.arange(len(states.values)) / 50
        logits = torch.full((len(time), 2), -9.0)
        for speaker, start, end in TURNS:
            logits[(time >= start) & (time < end), SPEAKERS.index(speaker)] = 9.0
        return states.with_values(logits.flip(1) if number % 2 else logits)

    return forward


def test_a_speaker_who_is_silent_where_windows_meet_keeps_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = recording()
    starts = [window.start_sample / RATE for window in Windowing.of_seconds(WINDOW, SHARED).windows(len(wave))]
    assert len(starts) == 3
    encoder = sonant.load(write_frame_classifier(tmp_path / "model"))
    monkeypatch.setattr(FrameClassificationHead, "forward", numbered_otherwise(starts))
    found = encoder.diarize(wave, window_seconds=WINDOW, overlap_seconds=SHARED)
    names = {"ann": "speaker_0", "bob": "speaker_1"}
    assert [turn.speaker for turn in found] == [names[speaker] for speaker, _, _ in TURNS]
    for turn, (_, start, end) in zip(found, TURNS, strict=True):
        assert isinstance(turn, SpeakerTurn)
        assert (turn.start_seconds, turn.end_seconds) == pytest.approx((start, end), abs=0.05)
