"""The shapes of a run's batches on a corpus, packed exactly and cropped to the shortest: how full, and what is lost.

    python -m benchmarks.batch_shapes MANIFEST [--recipe wavlm_base] [--stage 1] [--epochs 1] [--seed 0]

The manifest needs the durations. Nothing is decoded, and nothing trained.
"""

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from sonant.data import SAMPLERS, read_manifest
from sonant.recipes import pretraining_recipe
from sonant.training.runs import PretrainingRun


def main(arguments: list[str] | None = None) -> None:
    """Lay out the epochs both ways, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe", default="wavlm_base")
    parser.add_argument("--stage", type=int, default=1, help="from 1")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    run = pretraining_recipe(options.recipe)
    rows = read_manifest(options.manifest)
    if unknown := sum(row.duration is None for row in rows):
        parser.error(f"{unknown} of {len(rows)} recordings have no duration in {options.manifest}.")
    seconds = np.array([row.duration for row in rows])
    print("\n".join(table(run, seconds, stage=options.stage - 1, epochs=options.epochs, seed=options.seed)))


def table(run: PretrainingRun, seconds: np.ndarray, *, stage: int, epochs: int, seed: int) -> list[str]:
    """A line for each way to compose batches, under a head.

    Cut is the share of the audio that an epoch does not hear, of all that is neither too short for the run nor beyond
    `max_seconds`; batches and seconds are those of an epoch.
    """
    config, batching = run.model, run.stages[stage].batching
    lengths = np.round(seconds * config.sampling_rate).astype(np.int64)
    lines = [
        (
            f"{run.name}: {batching.batch_seconds:g} s a batch, clips of {batching.min_seconds:g} to "
            f"{batching.max_seconds:g} s; {len(seconds)} recordings, {seconds.sum() / 3600:.2f} h"
        ),
        "",
        "| fill | batches | frames a batch | shapes | fullness | clips | cut | layout |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for fill in SAMPLERS:
        sampler = replace(batching, fill=fill).sampler(
            lengths, config.sampling_rate, stride=config.stride, receptive_field=config.receptive_field, seed=seed
        )
        start = perf_counter()
        batches = [batch for epoch in range(epochs) for batch in sampler.epoch(epoch)]
        layout = (perf_counter() - start) / epochs
        frames = Counter(sum(sampler.num_frames(length) for _, length in batch) for batch in batches)
        clips = [len(batch) for batch in batches]
        budget = sampler.budget // sampler.stride
        heard = sum(length for batch in batches for _, length in batch)
        offered = epochs * int(sampler.lengths[sampler.members].sum())
        lines.append(
            f"| {fill} | {len(batches) / epochs:.0f} | {_span(frames)} | {len(frames)} | "
            f"{min(frames) / budget:.2f} to {max(frames) / budget:.2f} | {_span(clips)} | {1 - heard / offered:.1%} | "
            f"{layout:.3f} s |"
        )
    return lines


def _span(values: Counter[int] | list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


if __name__ == "__main__":
    main()
