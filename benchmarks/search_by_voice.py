"""Query by example on keywords: maximum term-weighted value (MTWV) and equal error rate by layer, and the speed.

    python -m benchmarks.search_by_voice --data DATA [--model sonant/wavlm-tiny] [--queries 5] [--recordings 150]

DATA holds keywords/commands_{dev,test}.jsonl with a `label` and a `speaker` of each recording. Queries are recordings
of single words; what is searched is made of four words each, of other speakers, with pauses between. On dev the layer
is chosen, on test it is measured; both are printed for every layer, with distances as they are and mapped to 0 to 1 in
each recording. A term is a query; MTWV has the costs of QUESST 2014, and
the equal error rate is over all pairs of query and recording.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import sonant
from sonant.audio import read
from sonant.decoding.spoken_terms import matches
from sonant.evaluation import eer, max_term_weighted_value, normalized_scores
from sonant.layers.packed import Packed

RATE = 16_000
PAUSE_SECONDS = 0.2
WORDS = 4  # of a recording
PARTS = ("dev", "test")
Wave = NDArray[np.float32]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--queries", type=int, default=5, help="of each word")
    parser.add_argument("--recordings", type=int, default=150, help="that are searched")
    options = parser.parse_args(arguments)
    encoder = sonant.load(options.model)
    values: dict[tuple[str, bool], list[str]] = {}
    seconds = searched = 0.0
    for part in PARTS:
        queries, words, recordings, said = drawn(options.data, part, options.queries, options.recordings)
        stacks = [torch.from_numpy(each) for each in encoder.encode([*queries, *recordings], layer="all")]
        terms = [f"{number}" for number in range(len(queries)) for _ in recordings]
        labels = [word in of_recording for word in words for of_recording in said]
        for layer in range(encoder.num_layers + 1):
            frames = standardized([stack[layer] for stack in stacks], len(queries))
            for relative in (False, True):
                began = time.monotonic()
                found = matches(*frames, relative=relative)
                seconds += time.monotonic() - began
                searched += sum(map(len, recordings)) / RATE
                distances = np.array([each.distance for each in found]).reshape(len(queries), -1)
                scores = np.concatenate([normalized_scores(row) for row in distances])
                value = max_term_weighted_value(scores, labels, terms)
                values.setdefault((part, relative), []).append(f"{value:.3f}, {100 * eer(scores, labels):.1f} %")
    print("| layer | dev | test | dev, relative | test, relative |\n|---|---|---|---|---|")
    for layer in range(encoder.num_layers + 1):
        row = [values[part, relative][layer] for relative in (False, True) for part in PARTS]
        print(f"| {layer} | {' | '.join(row)} |")
    print(
        f"{len(queries)} queries and {len(recordings)} recordings a part; {searched / seconds:,.0f} s of audio are "
        f"searched a second for all queries, {searched / seconds * len(queries):,.0f} for one, frames computed before."
    )


def drawn(
    data: Path, part: str, per_word: int, number: int
) -> tuple[list[Wave], list[str], list[Wave], list[set[str]]]:
    """Draw queries with their words, and recordings with the words in them, of other speakers."""
    rng = np.random.default_rng(0)
    manifest = data / f"keywords/commands_{part}.jsonl"
    rows = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    rows = [rows[each] for each in rng.permutation(len(rows))]
    words = sorted({row["label"] for row in rows})
    asked = [row for word in words for row in [each for each in rows if each["label"] == word][:per_word]]
    speakers = {row["speaker"] for row in asked}
    others = [row for row in rows if row["speaker"] not in speakers]

    def wave(row: dict[str, str]) -> Wave:
        return trimmed(read(manifest.parent / row["path"], sampling_rate=RATE))

    pause = np.zeros(round(PAUSE_SECONDS * RATE), np.float32)
    recordings, said = [], []
    for _ in range(number):
        chosen = [others[each] for each in rng.choice(len(others), WORDS, replace=False)]
        recordings.append(np.concatenate([part for row in chosen for part in (wave(row), pause)]))
        said.append({row["label"] for row in chosen})
    return [wave(row) for row in asked], [row["label"] for row in asked], recordings, said


def trimmed(wave: Wave) -> Wave:
    """Return a recording from the first to the last hundredth of a second within 30 dB of the loudest."""
    width = RATE // 100
    levels = np.sqrt(np.mean(wave[: len(wave) // width * width].reshape(-1, width) ** 2, axis=1))
    loud = np.flatnonzero(levels > levels.max() * 10 ** (-30 / 20))
    return wave[max(0, loud[0] - 2) * width : (loud[-1] + 3) * width]


def standardized(frames: Sequence[Tensor], num_queries: int) -> tuple[Packed, Packed]:
    """Return queries and recordings, standardized by mean and deviation over the recordings."""
    every = torch.cat(list(frames[num_queries:]))
    mean, deviation = every.mean(0), every.std(0).clamp(min=1e-9)
    scaled = [(each - mean) / deviation for each in frames]
    return Packed.pack(scaled[:num_queries]), Packed.pack(scaled[num_queries:])


if __name__ == "__main__":
    main()
