"""Diarization by a frame classification head: speaker turns from the activity of each speaker in each frame."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio import Window, keep
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_turns import turns
from sonant.decoding.window_speakers import WindowSpeakers
from sonant.extraction.finiteness import require_finite
from sonant.extraction.frame_decisions import FrameDecisions
from sonant.extraction.heads import one_clip
from sonant.tasks import FrameClassificationHead

Activity = NDArray[np.float32]  # (frames, speakers), probabilities


class SpeakerActivitySink:
    """A sink that computes speaker turns, or segments of classes, with a frame classification head.

    The order of speakers in a window is arbitrary. It is that of the previous window by the frames that both share, and
    for a speaker who is silent in these by the voice, see `sonant.decoding.window_speakers`. A head for two speakers
    thus distinguishes two in a recording of any length.

    Args:
        head_on: returns the head on a device.
        decisions: meaning of its outputs.
        num_states: of the states that come, the first ones, which the head reads.
        voice_state: number of the one that voices are computed from.
        stride: samples per frame.
        num_speakers: at most as many as the head distinguishes; None: as many as are found.
    """

    def __init__(
        self,
        head_on: Callable[[torch.device], FrameClassificationHead],
        decisions: FrameDecisions,
        *,
        num_states: int,
        voice_state: int,
        stride: int,
        frame_rate: float,
        num_speakers: int | None = None,
    ) -> None:
        self._head_on, self._decisions = head_on, decisions
        self._num_states, self._voice_state, self._stride = num_states, voice_state, stride
        self._frame_rate, self._num_speakers = frame_rate, num_speakers
        self._kept: list[Activity] = []
        self._speakers = WindowSpeakers(threshold=decisions.threshold, frame_rate=frame_rate)

    @torch.no_grad()
    def _activity(self, states: Tensor) -> Activity:
        logits = self._head_on(states.device)(one_clip(states[: self._num_states])).values
        found: Activity = self._decisions.activity(require_finite(logits, "frame")).cpu().numpy()
        return found

    def append(self, frames: Tensor) -> None:
        self._kept.append(self._activity(frames))

    def append_window(self, states: Tensor, window: Window) -> None:
        now = self._activity(states)
        if self._decisions.are_speakers:
            voices = states[self._voice_state].float().cpu().numpy()
            now = now[:, self._speakers.order(window.start_sample // self._stride, now, voices)]
        self._kept.append(keep(now, window))

    def finish(self) -> list[SpeakerTurn]:
        activity = np.concatenate(self._kept)
        if self._num_speakers is not None:
            most = np.sort(np.argsort(-activity.sum(0), kind="stable")[: self._num_speakers])
            activity = activity[:, most]
        return turns(
            activity,
            frame_rate=self._frame_rate,
            threshold=self._decisions.threshold,
            median_seconds=self._decisions.median_seconds,
            min_turn_seconds=self._decisions.min_seconds,
            names=self._decisions.names,
        )

    def abandon(self) -> None:
        self._kept.clear()
