"""Mixtures with their sources: given ones, and ones made of single speakers while training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sonant.audio.augment import Waveforms, gain_for_snr, reverberate
from sonant.data import WaveformStore
from sonant.errors import ConfigurationError, ManifestError

Waveform = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class SourceMixing:
    """Mixing of single speakers with others, with noise, and in rooms.

    Attributes:
        noise: manifest of noises.
        dev_noise: manifest of those of the development set; "" takes the same.
        impulse_responses: manifest of impulse responses.
        noise_probability: share of mixtures with noise.
        reverb_probability: share of mixtures in which each speaker is heard in a room, by an impulse response.
        speech_snr_db: range of the energy ratio, first speaker to each other one.
        noise_snr_db: range of the energy ratio, all speech to noise.
        dereverberate: the targets are the speakers without the rooms.
    """

    noise: str = ""
    dev_noise: str = ""
    impulse_responses: str = ""
    noise_probability: float = 0.0
    reverb_probability: float = 0.0
    speech_snr_db: tuple[float, float] = (-5.0, 5.0)
    noise_snr_db: tuple[float, float] = (-5.0, 15.0)
    dereverberate: bool = False

    def __post_init__(self) -> None:
        for name in ("noise_probability", "reverb_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"mixing.{name}={getattr(self, name)} was given; expected a share, 0 to 1.")

    def check(self) -> None:
        """Raise ConfigurationError for a probability above 0 without recordings."""
        for name, files in (("noise_probability", "noise"), ("reverb_probability", "impulse_responses")):
            if getattr(self, name) > 0 and not getattr(self, files):
                raise ConfigurationError(
                    f"task.mixing.{name}={getattr(self, name):g} was given without recordings. Name a manifest: "
                    f"task.mixing.{files}=PATH; or set task.mixing.{name}=0."
                )


@dataclass(frozen=True, eq=False)
class Mixer:
    """Maker of the mixtures of a set, and of their sources.

    A recording with given sources is a mixture itself. Any other is a single speaker, with whom others are mixed: parts
    of random recordings, each of another speaker, at random places.

    Attributes:
        num_sources: speakers in a mixture.
        mixing: settings.
        given: numbers of the sources of each mixture, by its number.
        speakers: of each recording, by its number, that may be mixed; equal texts are never mixed.
        noises, impulse_responses: waveforms.
        fingerprint: of these.
    """

    num_sources: int
    mixing: SourceMixing
    given: Mapping[int, Sequence[int]]
    speakers: Mapping[int, str]
    noises: Waveforms = ()
    impulse_responses: Waveforms = ()
    fingerprint: str = ""
    _numbers: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_numbers", list(self.speakers))
        if self.speakers and len(set(self.speakers.values())) < self.num_sources:
            raise ManifestError(
                f"Mixtures of {self.num_sources} speakers were asked for, and the recordings are of "
                f"{len(set(self.speakers.values()))}. Give more, or mixtures with their sources."
            )

    def mix(
        self, waveforms: WaveformStore, number: int, length: int, rng: np.random.Generator
    ) -> tuple[Waveform, Waveform]:
        """Return a mixture (length,) and its sources (length, sources), of a random part of a recording.

        What is drawn depends on the generator alone.
        """
        start = int(rng.integers(int(waveforms.lengths[number]) - length + 1))
        if number in self.given:
            sources = np.stack([waveforms.crop(each, start, length) for each in self.given[number]], axis=1)
            return waveforms.crop(number, start, length), sources
        dry = [waveforms.crop(number, start, length)]
        for other in self._others(number, rng):
            dry.append(_placed(waveforms, other, length, rng))
            dry[-1] *= gain_for_snr(dry[0], dry[-1], rng.uniform(*self.mixing.speech_snr_db))
        heard = dry
        if rng.random() < self.mixing.reverb_probability:
            rooms = [self.impulse_responses[int(rng.integers(len(self.impulse_responses)))] for _ in dry]
            heard = [reverberate(each, room) for each, room in zip(dry, rooms, strict=True)]
        mixture = np.sum(heard, axis=0)
        if rng.random() < self.mixing.noise_probability:
            noise = _repeated(self.noises[int(rng.integers(len(self.noises)))], length, rng)
            mixture = mixture + gain_for_snr(mixture, noise, rng.uniform(*self.mixing.noise_snr_db)) * noise
        sources = np.stack(dry if self.mixing.dereverberate else heard, axis=1)
        scale = np.float32(1 / max(1.0, float(np.abs(mixture).max(initial=0))))  # recordings end at full scale
        return scale * mixture, scale * sources

    def _others(self, number: int, rng: np.random.Generator) -> list[int]:
        """Draw recordings of other speakers, each of another."""
        heard = {self.speakers[number]}
        chosen: list[int] = []
        while len(chosen) < self.num_sources - 1:
            other = self._numbers[int(rng.integers(len(self._numbers)))]
            if self.speakers[other] not in heard:
                heard.add(self.speakers[other])
                chosen.append(other)
        return chosen


def _placed(waveforms: WaveformStore, number: int, length: int, rng: np.random.Generator) -> Waveform:
    """Return a random part of a recording, at a random place in silence if it is shorter: (length,)."""
    whole = int(waveforms.lengths[number])
    size = min(whole, length)
    part = waveforms.crop(number, int(rng.integers(whole - size + 1)), size)
    placed = np.zeros(length, dtype=np.float32)
    begin = int(rng.integers(length - size + 1))
    placed[begin : begin + size] = part
    return placed


def _repeated(noise: Waveform, length: int, rng: np.random.Generator) -> Waveform:
    """Return so many samples of a noise from a random place on, which begins again at its end."""
    start = int(rng.integers(len(noise)))
    return np.take(noise, np.arange(start, start + length), mode="wrap")
