"""A fixed synthetic recording, on which int8 is calibrated and checked."""

import math

import torch
from torch import Tensor

SECONDS = 1.5  # of each clip
VOICES = ((110.0, -14.0), (210.0, -34.0))  # (pitch in Hz, level in dB of full scale): a low and loud one, a high one
TOP_HZ = 7_000.0
HARMONICS = 30


def probe_clips(sampling_rate: int) -> list[Tensor]:
    """Return two clips (samples,) like speech: voiced sounds with moving formants, fricative noise, pauses, room noise.

    They are the same in every process, so that decisions do not depend on the first recording of a user.
    """
    generator = torch.Generator().manual_seed(0)
    return [_clip(pitch, level, sampling_rate, generator) for pitch, level in VOICES]


def _clip(pitch: float, level: float, sampling_rate: int, generator: torch.Generator) -> Tensor:
    seconds = torch.arange(round(SECONDS * sampling_rate)) / sampling_rate

    def wave(hertz: float, phase: float = 0.0) -> Tensor:
        return torch.sin(2 * math.pi * hertz * seconds + phase)

    def noise() -> Tensor:
        return torch.randn(len(seconds), generator=generator)

    phase = 2 * math.pi * torch.cumsum(pitch * (1 + 0.2 * wave(1.3)) / sampling_rate, 0)
    heard = [k for k in range(1, HARMONICS) if 1.2 * k * pitch < min(TOP_HZ, sampling_rate / 2)]
    voiced = torch.stack([torch.sin(k * phase) / k * (1 + 0.8 * wave(0.7 + 0.31 * k, k)) for k in heard]).sum(0)
    hiss = 0.3 * noise() * (wave(2.1) > 0.5)
    speech = (voiced + hiss) * (wave(1.7) > -0.7)
    speech = speech / speech.square().mean().sqrt() + 0.01 * noise()
    return speech * 10 ** (level / 20)
