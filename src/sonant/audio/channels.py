"""Selection of channels: their mean, one of them, or all."""

import math
import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonant.audio.formats.decoder import Frames
from sonant.errors import AudioWarning, ConfigurationError, MissingChannel

Channel = int | Literal["mix", "all"]
Block = NDArray[np.float32]  # (samples,), or (samples, channels) for all channels

# The mean of k uncorrelated channels has 1/k of their mean energy, -18 dB for the maximum of 64 channels; so has one
# active channel among k - 1 silent ones. Only channels of opposite phase leave less than a thousandth.
CANCELLED = 1e-3
SILENT_RMS = 1e-4  # -80 dB of full scale: quieter channels may cancel
FAINT = 2.0**-16  # full scale of 16-bit values in 32-bit integers
# A waveform of unit variance peaks at its crest factor, about 20 for speech, 50 with long pauses. 16-bit values below
# 100 are 50 dB below full scale.
BEYOND_SCALE = 100.0


def check_channel(channel: Any) -> None:
    """Raise ConfigurationError unless this is a channel number, "mix", "all" or None."""
    if channel is None or (isinstance(channel, str) and channel in ("mix", "all")):
        return
    if isinstance(channel, int | np.integer) and not isinstance(channel, bool) and channel >= 0:
        return
    raise ConfigurationError(
        f'channel={channel!r} was given; expected the number of a channel, counted from 0, "mix" (their mean), or '
        '"all" (each by itself).'
    )


class ChannelSelection:
    """Selection of channels from the blocks of a recording, with warnings at the end.

    Args:
        channel: a number, "mix" or None (the mean), or "all".
        num_channels: number of channels of the recording.
        name: its name in messages.
        is_wide: whether samples are 32-bit integers.

    Raises:
        MissingChannel: the recording has no such channel.
    """

    def __init__(self, channel: Channel | None, num_channels: int, name: str, *, is_wide: bool = False) -> None:
        self._channel, self._num_channels, self._name, self._is_wide = channel, num_channels, name, is_wide
        if isinstance(channel, int | np.integer) and channel >= num_channels:
            one = num_channels == 1
            raise MissingChannel(
                f"{name}: channel {channel} was asked for, and it has {num_channels} channel{'' if one else 's'}"
                f"{' (number 0)' if one else f' (numbers 0 to {num_channels - 1})'}. Name one of these, or "
                'channel="mix".'
            )
        self._before = self._after = 0.0  # energy of the channels, and of their mean
        self._count, self._peak = 0, 0.0

    def __call__(self, frames: Frames) -> Block:
        """Select from frames (samples, channels): the mean or one channel (samples,), or all channels."""
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are left to check_finite
            chosen = self._chosen(frames)
            if chosen.size:
                self._peak = max(self._peak, float(chosen.max()), -float(chosen.min()))
        return chosen

    def _chosen(self, frames: Frames) -> Block:
        if self._channel == "all":
            return np.ascontiguousarray(frames)
        if self._num_channels == 1:
            return np.ascontiguousarray(frames[:, 0])
        if isinstance(self._channel, int | np.integer):
            return np.ascontiguousarray(frames[:, self._channel])
        frames = np.ascontiguousarray(frames)
        mean = frames[:, 0] + frames[:, 1]  # column by column: three times as fast as frames.mean(axis=1)
        for k in range(2, self._num_channels):
            mean += frames[:, k]
        mean /= self._num_channels
        flat = frames.reshape(-1)
        self._before += float(flat @ flat) / self._num_channels
        self._after += float(mean @ mean)
        self._count += len(mean)
        return mean

    def finish(self) -> None:
        """Warn (AudioWarning) of channels that cancel, and of samples of the wrong scale."""
        audible = self._count > 0 and self._before > self._count * SILENT_RMS**2
        if audible and math.isfinite(self._before) and self._after < CANCELLED * self._before:
            lost = "to silence" if not self._after else f"to {10 * math.log10(self._before / self._after):.0f} dB less"
            warnings.warn(
                f"{self._name}: its {self._num_channels} channels cancel each other {lost} when they are mixed; one is "
                "the other turned upside down. Read one alone: channel=0.",
                AudioWarning,
                stacklevel=2,
            )
        if self._is_wide and 0 < self._peak < FAINT:
            warnings.warn(
                f"{self._name}: no 32-bit sample is larger than {round(self._peak * 2**31)} of {2**31}, which is as "
                "good as silence. They are probably 16-bit values: convert them, array.astype('int16').",
                AudioWarning,
                stacklevel=2,
            )
        if BEYOND_SCALE < self._peak < math.inf:
            warnings.warn(
                f"{self._name}: samples reach {self._peak:.5g}, and floats are read as they are, with full scale at 1. "
                "They are probably 16-bit values stored as floats (divide them by 32768, or give them as int16), or "
                "the file is damaged.",
                AudioWarning,
                stacklevel=2,
            )
