"""Augmentation of pretraining waveforms: overlapping speech, noise and reverberation. Labels are never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError

Waveform = NDArray[np.float32]


class Waveforms(Protocol):
    """Waveforms by number: a list of them, or a store on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Waveform: ...


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Utterance mixing of WavLM; the defaults are the paper's for speech, with noise off.

    Source: WavLM (arXiv 2110.13900, section 3.1, algorithm 1) and `utterance_mixing_dataset.py` of
    github.com/microsoft/UniSpeech.

    Attributes:
        probability: share of utterances that get something mixed in.
        noise_probability: share of these that get noise instead of another utterance (Base+ and Large: 0.1).
        speech_snr_db, noise_snr_db: range of the energy ratio, utterance to what is mixed in.
        max_overlap: longest share of the utterance that may be covered.
        allow_self: whether an utterance may be mixed with itself, as the original code allows.
        from_clean: take what is mixed in from the clean utterances. The original works in place, so an utterance that
            was mixed before may be mixed into a later one; that is the default.
    """

    probability: float = 0.2
    noise_probability: float = 0.0
    speech_snr_db: tuple[float, float] = (-5.0, 5.0)
    noise_snr_db: tuple[float, float] = (-5.0, 20.0)
    max_overlap: float = 0.5
    allow_self: bool = False
    from_clean: bool = False

    def __post_init__(self) -> None:
        for name in ("probability", "noise_probability", "max_overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(
                    f"Mixing.{name} is a share between 0 and 1, but {getattr(self, name)} was given."
                )


def mix_utterances(
    waveforms: Sequence[Waveform], mixing: Mixing, rng: np.random.Generator, *, noises: Waveforms = ()
) -> list[Waveform]:
    """Mix parts of other utterances of the batch, or of noises, into some of the utterances.

    Args:
        waveforms: (samples,) each; not changed.
        noises: the noises to draw from where `mixing.noise_probability` asks for noise.

    Returns:
        The waveforms in the same order and of the same lengths.
    """
    if mixing.noise_probability > 0 and not noises:
        raise ConfigurationError(
            f"Mixing.noise_probability is {mixing.noise_probability}, but no noises were given. Give some or set "
            "it to 0."
        )
    mixed = [np.array(waveform, dtype=np.float32) for waveform in waveforms]
    sources = waveforms if mixing.from_clean else mixed
    for i, primary in enumerate(mixed):
        if rng.random() >= mixing.probability:
            continue
        if rng.random() < mixing.noise_probability:
            secondary, snr_db = noises[int(rng.integers(len(noises)))], rng.uniform(*mixing.noise_snr_db)
        else:
            others = [j for j in range(len(mixed)) if j != i or mixing.allow_self]
            if not others:
                continue
            secondary, snr_db = sources[others[int(rng.integers(len(others)))]], rng.uniform(*mixing.speech_snr_db)
        gain = gain_for_snr(primary, secondary, snr_db)
        length = min(int(rng.integers(int(len(primary) * mixing.max_overlap) + 1)), len(secondary))
        source_end = int(rng.integers(length, len(secondary) + 1))
        end = int(rng.integers(length, len(primary) + 1))
        primary[end - length : end] += gain * np.array(secondary[source_end - length : source_end], dtype=np.float32)
    return mixed


def gain_for_snr(signal: Waveform, noise: Waveform, snr_db: float) -> np.float32:
    """The factor on `noise` that puts `signal` so many decibels above it, by mean power; 0 for a silent noise."""
    power = float(np.mean(np.square(noise, dtype=np.float64)))
    if power == 0:
        return np.float32(0)
    return np.float32(np.sqrt(float(np.mean(np.square(signal, dtype=np.float64))) / (power * 10 ** (snr_db / 10))))


def reverberate(waveform: Waveform, impulse_response: Waveform) -> Waveform:
    """The waveform as heard in a room: same length, same onset (the direct sound is not delayed), same energy."""
    size = 1 << (len(waveform) + len(impulse_response) - 2).bit_length()
    wet = np.fft.irfft(np.fft.rfft(waveform, size) * np.fft.rfft(impulse_response, size), size)
    direct = int(np.abs(impulse_response).argmax())
    heard = wet[direct : direct + len(waveform)].astype(np.float32)
    return heard * gain_for_snr(waveform, heard, 0.0)
