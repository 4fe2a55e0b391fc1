"""Errors of the boundaries of alignment on recordings whose true times are known.

    python -m benchmarks.alignment --data DATA/keywords --model MODEL --out OUT [--recordings 40] [--peers]
    python -m benchmarks.alignment --data DATA/keywords --out OUT --corpus

DATA/keywords holds manifests commands_*.jsonl and digits_*.jsonl of words spoken alone, with a label and a path. Each
word is trimmed to what is less than 35 dB below its loudest 5 ms; four to eight are laid one behind another, with 50 to
700 ms of faint noise between. `--corpus` writes such recordings of the train and dev words as manifests, to train
a MODEL on by `sonant train ctc`; without it those of the test words are aligned, in these ways:

- `sonant`: as by `encoder.align`;
- `units`: a word lasts from the first to the last frame of its letters on the best path;
- `to the next word`: the same, but a word lasts until the next one begins;
- with `--peers`, those of `alignment_peers.py`, on the same emissions.

OUT receives spliced recordings and alignment.json: median and mean of the absolute errors in ms, and shares within 20,
50 and 100 ms; scores of the right texts and of those of other recordings.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import sonant
from benchmarks.alignment_peers import Peer, Spans, installed
from sonant import audio
from sonant.decoding.alignment.forced_path import ForcedPath, forced_path

RATE = 16_000
TRIM_DECIBELS, TRIM_SAMPLES = 35.0, 80


@dataclass(frozen=True)
class Spliced:
    """A recording of words with known times: their text, and start and end of each in seconds."""

    path: Path
    text: str
    spans: Spans


def trimmed(samples: np.ndarray) -> np.ndarray:
    """Return a word without the quiet before and after it, at half of full scale."""
    blocks = samples[: len(samples) // TRIM_SAMPLES * TRIM_SAMPLES].reshape(-1, TRIM_SAMPLES)
    decibels = 10 * np.log10(np.square(blocks).mean(1) + 1e-10)
    loud = np.flatnonzero(decibels >= decibels.max() - TRIM_DECIBELS)
    word = samples[loud[0] * TRIM_SAMPLES : (loud[-1] + 1) * TRIM_SAMPLES]
    return word / np.abs(word).max() / 2


def splice(data: Path, part: str, folder: Path, *, most: int | None = None) -> list[Spliced]:
    """Write spliced recordings of the words of a part, and a manifest of them."""
    rng = np.random.default_rng(0)
    rows = [json.loads(line) for kind in ("digits", "commands") for line in (data / f"{kind}_{part}.jsonl").open()]
    rows = [rows[number] for number in rng.permutation(len(rows))]
    folder.mkdir(parents=True, exist_ok=True)
    made: list[Spliced] = []
    while rows and (most is None or len(made) < most):
        count = int(rng.integers(4, 9))
        words, rows = rows[:count], rows[count:]
        pieces, spans = [_pause(rng, 0.1, 0.8)], []
        for word in words:
            samples = trimmed(audio.read(data / word["path"], sampling_rate=RATE))
            start = sum(map(len, pieces)) / RATE
            spans.append((start, start + len(samples) / RATE))
            pieces += [samples, _pause(rng, 0.05, 0.7)]
        path = folder / f"{len(made):03}.flac"
        soundfile.write(path, np.concatenate(pieces), RATE)
        made.append(Spliced(path, " ".join(word["label"] for word in words), spans))
    lines = (json.dumps({"path": one.path.name, "text": one.text}) + "\n" for one in made)
    (folder / "manifest.jsonl").write_text("".join(lines))
    return made


def _pause(rng: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    return rng.normal(0, 3e-4, round(rng.uniform(shortest, longest) * RATE)).astype(np.float32)


class Emissions:
    """Emissions of recordings by a CTC model of characters, and their words as units."""

    def __init__(self, encoder: sonant.SpeechEncoder) -> None:
        vocabulary = encoder.ctc_vocabulary
        self.blank, self.rate, self.separator = vocabulary.blank, encoder.frame_rate, min(vocabulary.delimiters)
        self.of: Callable[[Path], np.ndarray] = encoder.emissions
        self._numbers = {token: number for number, token in enumerate(vocabulary.tokens)}

    def words(self, text: str) -> list[list[int]]:
        """Return the units of each word, in the case of the vocabulary."""
        text = text.upper() if "A" in self._numbers else text
        return [[self._numbers[character] for character in word] for word in text.split()]

    def units(self, text: str) -> np.ndarray:
        """Return all units, with a separator between words."""
        words = self.words(text)
        return np.array([unit for word in words for unit in (*word, self.separator)][:-1])

    def path(self, emission: np.ndarray, text: str) -> ForcedPath:
        """Return the best path of a text."""
        greatest = emission.max(1)
        return forced_path(emission - greatest[:, None], greatest, self.units(text), blank=self.blank)

    def spans(self, emission: np.ndarray, text: str) -> Spans:
        """Return the spans of words from their first to their last frame on the best path."""
        path, spans, first = self.path(emission, text), [], 0
        for word in self.words(text):
            last = first + len(word) - 1
            spans.append((path.first_frames[first] / self.rate, (path.last_frames[last] + 1) / self.rate))
            first = last + 2
        return spans


def errors_of(found: list[Spans], true: list[Spans]) -> dict[str, Any]:
    """Return the errors of starts and ends."""
    result: dict[str, Any] = {}
    for place, name in enumerate(("start", "end")):
        pairs = ((one, other) for a, b in zip(found, true, strict=True) for one, other in zip(a, b, strict=True))
        errors = np.abs([1000 * (one[place] - other[place]) for one, other in pairs])
        shares = {f"within_{limit}_ms": round(float((errors <= limit).mean()), 3) for limit in (20, 50, 100)}
        median, mean = float(np.median(errors)), float(errors.mean())
        result[name] = {"median_ms": round(median, 1), "mean_ms": round(mean, 1), **shares}
    return result


def boundaries(
    encoder: sonant.SpeechEncoder, recordings: list[Spliced], emitted: Emissions, peers: Mapping[str, Peer]
) -> dict[str, Any]:
    """Measure all ways, and the scores of right and wrong texts."""
    emissions = [emitted.of(one.path) for one in recordings]
    texts, true = [one.text for one in recordings], [one.spans for one in recordings]
    paths = [one.path for one in recordings]
    right = encoder.align(paths, texts)
    wrong = encoder.align(paths, texts[1:] + texts[:1], on_error="skip", on_failure=lambda *_: None)
    units = [emitted.spans(*each) for each in zip(emissions, texts, strict=True)]
    starts = [[start for start, _ in spans] for spans in units]
    to_the_next = [[*pairwise(each), (each[-1], spans[-1][1])] for each, spans in zip(starts, units, strict=True)]
    sonants = [[(word.start_seconds, word.end_seconds) for word in found.words] for found in right]
    ways = {"sonant": sonants, "units": units, "to the next word": to_the_next}
    for name, align in peers.items():
        ways[name] = [
            align(emission, emitted.words(text), emitted.separator, emitted.blank, emitted.rate)
            for emission, text in zip(emissions, texts, strict=True)
        ]
    quartiles = [0, 25, 50, 75, 100]
    return {
        "recordings": len(recordings),
        "words": sum(map(len, true)),
        "errors": {name: errors_of(spans, true) for name, spans in ways.items()},
        "scores_of_right_texts": np.percentile([one.score for one in right], quartiles).round(3).tolist(),
        "scores_of_wrong_texts": np.percentile([one.score for one in wrong if one], quartiles).round(3).tolist(),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--corpus", action="store_true")
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--peers", action="store_true")
    given = parser.parse_args(arguments)
    if given.corpus or given.model is None:
        for part in ("train", "dev"):
            print(f"{len(splice(given.data, part, given.out / part))} recordings in {given.out / part}")
        return
    encoder = sonant.load(given.model)
    emitted = Emissions(encoder)
    recordings = splice(given.data, "test", given.out / "test", most=given.recordings)
    result = boundaries(encoder, recordings, emitted, installed() if given.peers else {})
    (given.out / "alignment.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
