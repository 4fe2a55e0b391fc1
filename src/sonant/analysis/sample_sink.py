"""The sample of one recording: means, drawn frames and segments of all layers, and log-mel, level and pitch there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sonant.analysis.pitch import pitch, window_samples
from sonant.analysis.plan import Numbers, PlannedSegment
from sonant.audio.mel import fbank, num_mel_frames, window_and_shift
from sonant.extraction.pooling import RunningPool
from sonant.extraction.sources import Source
from sonant.layers.frame_grid import FrameGrid
from sonant.running_moments import RunningMoments

Floats = npt.NDArray[np.float32]
RecordingSample = Mapping[str, Floats]  # by name, see `SampleSink.finish`

NUM_BINS = 80
QUIET_DECIBELS = -35.0  # below the mean power of the recording, where no pitch is looked for


class SampleSink:
    """A sink that keeps what a plan says of a recording.

    Args:
        frames: numbers of the frames to keep.
        segments: whose means are kept; abx: whose frames are kept.
    """

    def __init__(
        self,
        source: Source,
        frames: Numbers,
        segments: Sequence[PlannedSegment],
        abx: Sequence[PlannedSegment],
        grid: FrameGrid,
        sampling_rate: int,
    ) -> None:
        self._source, self._frames, self._grid, self._rate = source, frames, grid, sampling_rate
        self._segments, self._abx = segments, abx
        self._pool = RunningPool("mean+std")
        self._seen = 0
        self._kept: list[Tensor] = []
        self._sums: list[Tensor | float] = [0.0] * len(segments)
        self._counts = np.zeros(len(segments), dtype=np.int64)
        self._parts: list[list[Tensor]] = [[] for _ in abx]

    def append(self, frames: Tensor) -> None:
        """Add states (layers, frames, dim)."""
        self._pool.append(frames)
        start, end = self._seen, self._seen + frames.shape[1]
        chosen = self._frames[(self._frames >= start) & (self._frames < end)] - start
        self._kept.append(frames[:, torch.from_numpy(chosen).to(frames.device)].cpu())
        for number, segment in enumerate(self._segments):
            low, high = max(segment.first, start), min(segment.last, end)
            if low < high:
                self._sums[number] = self._sums[number] + frames[:, low - start : high - start].double().sum(1).cpu()
                self._counts[number] += high - low
        for number, segment in enumerate(self._abx):
            low, high = max(segment.first, start), min(segment.last, end)
            if low < high:
                self._parts[number].append(frames[:, low - start : high - start].cpu().clone())
        self._seen = end

    def finish(self) -> RecordingSample:
        """Return the sample.

        pooled (layers, 2 dim): mean and deviation; frames (layers, frames, dim) with mel (frames, bins), level
        (frames,) in dB over the mean power, pitch (frames,) in Hz, NaN where unvoiced; segments (layers, segments,
        dim), NaN where there was no frame; abx (layers, all frames, dim) with abx_sizes (segments,); mel_pooled
        (1, 2 bins).
        """
        pooled = self._pool.finish()
        layers, dim = pooled.shape[0], pooled.shape[1] // 2
        kept = torch.cat(self._kept, dim=1)
        numbers = self._frames[self._frames < self._seen]
        means = np.full((layers, len(self._segments), dim), np.nan, dtype=np.float32)
        for number, (total, count) in enumerate(zip(self._sums, self._counts, strict=True)):
            if isinstance(total, Tensor):
                means[:, number] = (total / int(count)).float().numpy()
        parts = [torch.cat(each, dim=1) if each else torch.zeros(layers, 0, dim) for each in self._parts]
        whole = torch.cat(parts, dim=1) if parts else torch.zeros(layers, 0, dim)
        centers = numbers * self._grid.stride + self._grid.receptive_field // 2
        return {
            "pooled": pooled.numpy(),
            "frames": kept.float().numpy(),
            "segments": means,
            "abx": whole.float().numpy(),
            "abx_sizes": np.array([each.shape[1] for each in parts], dtype=np.float32),
            **audio_features(self._source.blocks(), centers, self._rate),
        }

    def abandon(self) -> None:
        self._kept.clear()
        self._parts.clear()


def audio_features(
    blocks: Iterable[npt.NDArray[np.float32]], centers: Numbers, sampling_rate: int
) -> dict[str, Floats]:
    """Compute log-mel, level and pitch around samples of a recording, in constant memory; see `SampleSink.finish`."""
    window, shift = window_and_shift(sampling_rate)
    width = window_samples(sampling_rate)
    starts = centers - width // 2
    windows = np.zeros((len(centers), width), dtype=np.float32)
    zeros = np.zeros(NUM_BINS)
    moments = RunningMoments(zeros, zeros)
    held = np.zeros(0, dtype=np.float32)
    position, power = 0, 0.0
    for block in blocks:
        end = position + len(block)
        for number in np.flatnonzero((starts < end) & (starts + width > position)).tolist():
            low, high = max(int(starts[number]), position), min(int(starts[number]) + width, end)
            windows[number, low - starts[number] : high - starts[number]] = block[low - position : high - position]
        power += float(np.square(block, dtype=np.float64).sum())
        held = np.concatenate([held, block.astype(np.float32)])
        if count := num_mel_frames(len(held), sampling_rate=sampling_rate):
            energies = _log_mel(held, sampling_rate)
            mean = energies.mean(0)
            moments.add(count, mean, np.square(energies - mean).sum(0))
            held = held[count * shift :]
        position = end
    inner = windows[:, (width - window) // 2 :][:, :window]
    level = _decibels(np.square(inner, dtype=np.float64).mean(1)) - _decibels(power / max(position, 1))
    hertz = pitch(windows, sampling_rate) if len(windows) else np.zeros(0)
    mel = _log_mel(inner, sampling_rate)[:, 0] if len(windows) else np.zeros((0, NUM_BINS))
    deviation = np.sqrt(moments.squares / max(moments.count, 1))
    return {
        "mel": mel.astype(np.float32),
        "level": level.astype(np.float32),
        "pitch": np.where(level >= QUIET_DECIBELS, hertz, np.nan).astype(np.float32),
        "mel_pooled": np.concatenate([moments.mean, deviation]).astype(np.float32)[None],
    }


def _log_mel(samples: Floats, sampling_rate: int) -> npt.NDArray[np.float64]:
    found = fbank(torch.from_numpy(np.ascontiguousarray(samples)), sampling_rate=sampling_rate, num_bins=NUM_BINS)
    return found.double().numpy()


def _decibels(power: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(10 * np.log10(np.asarray(power) + 1e-12))
