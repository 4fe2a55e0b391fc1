"""Calibration of a speaker model on the voices of its development set that are not in its training set."""

from collections import defaultdict
from collections.abc import Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from sonant.checkpoints import load_checkpoint, make_backbone
from sonant.data import WaveformStore
from sonant.errors import MeasurementError
from sonant.evaluation.calibration import calibrate_voices
from sonant.extraction.engine import Engine, collect
from sonant.extraction.head_store import Heads
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.extraction.speech_sums import voice_fingerprint
from sonant.extraction.voice_calibrations import FILE_NAME, write_calibration
from sonant.extraction.voice_samples import voice_sampling
from sonant.inference.optimization import OptimizedCopies
from sonant.models.identity import fingerprint

LEAST_SPEAKERS = 10  # with two recordings or more
MOST_RECORDINGS = 800  # compared in all pairs
MOST_OF_ONE = 20  # recordings of a speaker


def calibrate_saved(folder: Path, waveforms: WaveformStore, speakers: Mapping[int, str], *, device: str) -> None:
    """Calibrate a saved model on recordings of known speakers, and write `voices.json` beside its weights.

    Voices are compared as `verify` does. At most 800 of the recordings are compared, 20 of each speaker.

    Args:
        folder: of the model.
        waveforms: at the rate of the model.
        speakers: of the waveforms to compare, by number.

    Raises:
        MeasurementError: there are fewer than ten speakers with two recordings, or they are not told apart.
    """
    rows = _compared(speakers)
    checkpoint = load_checkpoint(folder)
    backbone, heads = make_backbone(checkpoint, device=torch.device(device)), Heads(checkpoint.heads)
    pipeline = voice_sampling(backbone, heads, name=str(folder))
    samples, _ = collect(
        Engine([OptimizedCopies().get(backbone, None, backbone.device)]),
        [AudioSource(waveforms[row], backbone.sampling_rate, min_samples=pipeline.min_samples) for row in rows],
        EncodeRequest(layers=pipeline.layers),
        on_error="skip",
        make_sink=pipeline.make_sink,
    )
    used = [(sample, speakers[row]) for sample, row in zip(samples, rows, strict=True) if sample is not None]
    calibration = calibrate_voices(
        np.array([sample.vector for sample, _ in used]),
        [speaker for _, speaker in used],
        parts=[sample.parts for sample, _ in used],
        data="dev, which chose the weights of the model",
    )
    write_calibration(
        folder / FILE_NAME, voice_fingerprint(backbone, heads, weights=fingerprint(backbone)), calibration
    )


def _compared(speakers: Mapping[int, str]) -> list[int]:
    """Return the numbers of the recordings to compare, of one speaker after another in the order of their names."""
    of_speaker: dict[str, list[int]] = defaultdict(list)
    for number, speaker in sorted(speakers.items()):
        of_speaker[speaker].append(number)
    several = [numbers[:MOST_OF_ONE] for _, numbers in sorted(of_speaker.items()) if len(numbers) > 1]
    if len(several) < LEAST_SPEAKERS:
        raise MeasurementError(
            f"dev has {len(several)} speaker{'s' * (len(several) != 1)} with two recordings or more who are not in "
            f"data, and a threshold takes {LEAST_SPEAKERS}."
        )
    return list(chain.from_iterable(several))[:MOST_RECORDINGS]
