"""The memory that making targets takes, while the features of the corpus are far larger.

    python -m benchmarks.targets_memory [--hours 4] [--dim 256] [--clusters 20] [--limit-mib MIB] [--folder FOLDER]

A corpus of noise is decoded to disk, and its frames are labeled by clusters of a layer of a small model with random
weights: all of its features go through k-means. The memory shown is the anonymous one (pages of files that are mapped,
which the system takes back when it needs them, are not counted), before the targets are made and at most meanwhile.
With `--limit-mib` an allocation beyond so much more fails. About as much disk as the features take is needed.
"""

import argparse
import re
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import Self

import numpy as np
import soundfile
import torch

from sonant.benchmark.process_memory import STATUS, limit
from sonant.data import ManifestEntry, WaveformStore
from sonant.models import WavLMConfig, build
from sonant.pretraining import LayerTargets, make_targets

MIB = 2**20
CLIP_SECONDS = 30


def main(arguments: list[str] | None = None) -> None:
    """Make the corpus and its targets, and print sizes, memory and time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--dim", type=int, default=256, help="width of the features")
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--limit-mib", type=int)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        corpus = make_corpus(Path(folder), options.hours)
        model = build(
            WavLMConfig(conv_channels=(8,) * 7, dim=options.dim, num_layers=1, num_heads=4, feed_forward_dim=256)
        )
        before = anonymous()
        if options.limit_mib:
            limit(status("VmData") + options.limit_mib * MIB)
        start = perf_counter()
        with Watch() as watch:
            targets = LayerTargets(layer=0, num_clusters=options.clusters)
            labels = make_targets(corpus, targets, Path(folder, "targets"), previous=model, fit_share=1.0)
        hours, features = corpus.lengths.sum() / 16_000 / 3600, 4 * options.dim * int(labels.lengths.sum())
        print(
            f"{hours:.1f} h of audio, features of {features / MIB:,.0f} MiB: memory from {before / MIB:,.0f} to at "
            f"most {watch.peak / MIB:,.0f} MiB, {(watch.peak - before) / MIB:,.0f} more; {perf_counter() - start:.0f} s"
        )


def make_corpus(folder: Path, hours: float) -> WaveformStore:
    """A store of noise of so many hours; one file, listed again and again."""
    noise = np.random.default_rng(0).normal(0, 0.1, CLIP_SECONDS * 16_000)
    soundfile.write(folder / "noise.wav", noise, 16_000)
    entries = [ManifestEntry(folder / "noise.wav")] * round(hours * 3600 / CLIP_SECONDS)
    return WaveformStore.build(entries, folder / "waveforms")


def anonymous() -> int:
    """Bytes of memory that belong to no file."""
    return status("RssAnon")


def status(field: str) -> int:
    """A size in bytes that Linux tells of this process."""
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
    return int(found[1]) * 1024 if found else 0


class Watch(threading.Thread):
    """Notes the highest memory while it is entered, every few milliseconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self._over = 0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.005):
            self.peak = max(self.peak, anonymous())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
