"""The speed of the extraction engine on a folder of short files, compared with batches of a fixed number of clips."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from sonant.benchmark.cases import MIXED_SECONDS
from sonant.extraction.engine import Engine, collect
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.inference import Precision, optimize
from sonant.layers.packed import Packed
from sonant.models import Backbone

CLIPS_A_BATCH = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class CorpusRow:
    """The timings of one way to encode the folder.

    Attributes:
        way: "engine", with decoding, or "by hand": batches of similar lengths, decoded beforehand.
        clips: clips per batch; 0 for the engine, whose batches have a budget of seconds.
        seconds: duration of each pass.
        audio_seconds: seconds of audio in the folder.
        files: number of files in the folder.
    """

    way: str
    clips: int
    seconds: list[float]
    audio_seconds: float
    files: int

    @property
    def speed(self) -> float:
        """Seconds of audio encoded per second."""
        return self.audio_seconds / statistics.median(self.seconds)


def write_corpus(folder: Path, *, files: int, sampling_rate: int) -> list[Path]:
    """Write FLAC files of noise, 2 to 15 s each, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    paths = []
    for number in range(files):
        paths.append(folder / f"{number:04}.flac")
        if not paths[-1].exists():
            seconds = MIXED_SECONDS[number % len(MIXED_SECONDS)]
            noise = 0.1 * generator.standard_normal(round(seconds * sampling_rate), dtype=np.float32)
            soundfile.write(paths[-1], noise.clip(-1, 1), sampling_rate)
    return paths


@torch.inference_mode()
def measure_corpus(
    backbone: Backbone, precision: Precision, folder: Path, *, seconds: float, turns: int = 3
) -> list[CorpusRow]:
    """Measure all ways in turn, `turns` times or until `seconds` have passed, at least once.

    Batches by hand are made of decoded, sorted clips; the engine decodes, sorts and packs itself.
    """
    rate, paths = backbone.sampling_rate, sorted(folder.glob("*.flac"))
    sources = [AudioSource(str(path), rate) for path in paths]
    optimized = optimize(backbone, precision)
    engine, request = Engine([optimized]), EncodeRequest(pool="mean")
    clips = sorted((torch.from_numpy(source.read()) for source in sources), key=len, reverse=True)

    def through_engine() -> None:
        collect(engine, sources, request)

    def by_hand(size: int) -> None:
        for start in range(0, len(clips), size):
            _pooled(optimized, clips[start : start + size])

    ways: dict[int, Callable[[], None]] = {0: through_engine}
    ways |= {size: lambda size=size: by_hand(size) for size in CLIPS_A_BATCH if size <= len(clips)}  # type: ignore[misc]
    _pooled(optimized, clips[-2:])
    collect(engine, sources[1:2], request)
    passes: dict[int, list[float]] = {size: [] for size in ways}
    begun = time.perf_counter()
    for turn in range(turns):
        for size in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            start = time.perf_counter()
            ways[size]()
            passes[size].append(time.perf_counter() - start)
        if (time.perf_counter() - begun) * (turn + 2) / (turn + 1) > seconds:
            break
    total = sum(map(len, clips)) / rate
    return [
        CorpusRow("by hand" if size else "engine", size, taken, total, len(paths)) for size, taken in passes.items()
    ]


def _pooled(backbone: Backbone, clips: list[Tensor]) -> list[Tensor]:
    """Return the mean vector of each clip, like the engine."""
    encoded = backbone(Packed.pack(clips), layers=["last"])
    assert encoded.last is not None
    return [frames.mean(0) for frames in Packed(encoded.last, encoded.lengths).unpack()]
