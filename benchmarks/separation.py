"""Separation of two speakers, and speech in noise, of speakers never heard: a frozen model beside the STFT alone.

    python -m benchmarks.separation --data DATA --out runs/separation
    python -m benchmarks.separation --data DATA --out runs/separation --tasks enhancement --steps 2000

DATA holds pretrain/manifest.jsonl with a `speaker` a recording, and noise/train.jsonl and noise/dev.jsonl. Speakers are
divided into those to train on, of whom mixtures are made while training, those of the development set, and those of the
test set, whose mixtures are listed once, with noises of noise/dev.jsonl. OUT receives manifests, runs and results.json;
a table is printed. A run that was stopped goes on.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from sonant.data import ManifestEntry, read_manifest
from sonant.recipes.tasks import task_run
from sonant.training.tasks import measure_task, train_task

TESTED, DEVELOPED = 24, 12  # speakers
SECONDS = (2.0, 6.0)  # of the recordings
INPUTS = ("states", "both", "spectrum")
MIXTURES = 80  # of the test set


def main() -> None:
    """Write the manifests, train, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--tasks", nargs="+", default=["separation", "enhancement"])
    parser.add_argument("--inputs", nargs="+", default=list(INPUTS))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    write_sets(given.data, given.out)
    for task in given.tasks:
        for inputs in given.inputs:
            run = task_run(task, [settings(given, task, inputs)])
            train_task(run)
            found[f"{task}, {inputs}"] = dict(measure_task(run, str(given.out / f"{task}_test.jsonl")))
            (given.out / "results.json").write_text(json.dumps(found, indent=2) + "\n")
    print("| task | network reads | SI-SDR in dB | improvement in dB |")
    print("|---|---|---|---|")
    for name, measures in found.items():
        told = (
            "{value:.1f} ({low:.1f} to {high:.1f})".format(**measures[each])
            for each in ("si_sdr", "si_sdr_improvement")
        )
        print(f"| {name.replace(', ', ' | ')} | {' | '.join(told)} |")


def settings(given: argparse.Namespace, task: str, inputs: str) -> dict[str, Any]:
    """Return the settings of a run."""
    mixing = {"noise": str(given.data / "noise" / "train.jsonl"), "dev_noise": str(given.data / "noise" / "dev.jsonl")}
    return {
        "name": f"{task}_{inputs}_{given.steps}",
        "model": given.model,
        "data": str(given.out / "train.jsonl"),
        "dev": str(given.out / f"{task}_dev.jsonl"),
        "output": str(given.out),
        "device": given.device,
        "batching": {"batch_seconds": 16.0, "max_seconds": SECONDS[1]},
        "augmentation": {"crop_seconds": 0.0},
        "training": {"steps": given.steps, "validate_every": 100, "save_every": 100, "log_every": 20},
        "task": {"inputs": inputs, "hidden_dim": 128, "num_layers": 2, "mixing": mixing},
        "trackers": [],
    }


def write_sets(data: Path, out: Path) -> None:
    """Write the manifests: single speakers to train on, and mixtures of others, drawn by a fixed seed."""
    rng = np.random.default_rng(0)
    by_speaker, speakers = divided_speakers(data, rng)
    _write(out / "train.jsonl", [_single(entry) for name in speakers["train"] for entry in by_speaker[name]])
    noises = read_manifest(data / "noise" / "dev.jsonl")
    for part, number in (("dev", MIXTURES // 4), ("test", MIXTURES)):
        pairs = [_drawn(by_speaker, speakers[part], rng) for _ in range(number)]
        _write(out / f"separation_{part}.jsonl", [_pair(first, other, rng) for first, other in pairs])
        _write(out / f"enhancement_{part}.jsonl", [_noisy(first, noises, rng) for first, _ in pairs])


def write_pairs(data: Path, folder: Path, numbers: dict[str, int]) -> None:
    """Write manifests of mixtures of two speakers, as many for each of train, dev and test as given."""
    rng = np.random.default_rng(0)
    by_speaker, speakers = divided_speakers(data, rng)
    for part, number in numbers.items():
        pairs = [_drawn(by_speaker, speakers[part], rng) for _ in range(number)]
        _write(folder / f"{part}.jsonl", [_pair(first, other, rng) for first, other in pairs])


def divided_speakers(
    data: Path, rng: np.random.Generator
) -> tuple[dict[str, list[ManifestEntry]], dict[str, list[str]]]:
    """Return the recordings of each speaker that are neither short nor long, and the speakers of each part."""
    by_speaker: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in read_manifest(data / "pretrain" / "manifest.jsonl"):
        if entry.duration is not None and SECONDS[0] <= entry.duration <= SECONDS[1]:
            by_speaker[str(entry.fields["speaker"])].append(entry)
    names = [sorted(by_speaker)[number] for number in rng.permutation(len(by_speaker))]
    ends = (TESTED, TESTED + DEVELOPED)
    return by_speaker, {"test": names[: ends[0]], "dev": names[ends[0] : ends[1]], "train": names[ends[1] :]}


def _drawn(
    by_speaker: dict[str, list[ManifestEntry]], speakers: list[str], rng: np.random.Generator
) -> tuple[ManifestEntry, ManifestEntry]:
    """Draw a recording of each of two speakers."""
    one, other = (by_speaker[speakers[number]] for number in rng.choice(len(speakers), 2, replace=False))
    return one[rng.integers(len(one))], other[rng.integers(len(other))]


def _single(entry: ManifestEntry) -> dict[str, Any]:
    return {"path": str(entry.path.resolve()), "duration": entry.duration, "speaker": entry.fields["speaker"]}


def _pair(first: ManifestEntry, other: ManifestEntry, rng: np.random.Generator) -> dict[str, Any]:
    """Return a mixture of two speakers who begin together, as long as the shorter one."""
    parts = [_single(first), _single(other)]
    seconds = min(part.pop("duration") for part in parts)
    parts[1]["gain_db"] = float(rng.uniform(-5, 5))
    return {"mix": [{**part, "gain_db": part.get("gain_db", 0.0) - 6.0} for part in parts], "duration": seconds}


def _noisy(entry: ManifestEntry, noises: list[ManifestEntry], rng: np.random.Generator) -> dict[str, Any]:
    """Return a mixture of a speaker and a noise of 5 s, by levels of the files."""
    voice = _single(entry)
    seconds = min(voice.pop("duration"), 5.0)
    noise = noises[int(rng.integers(len(noises)))]
    gain_db = _level(entry) - _level(noise) - float(rng.uniform(-5, 15))
    return {
        "mix": [{**voice, "gain_db": -6.0}, {"path": str(noise.path.resolve()), "gain_db": gain_db - 6.0}],
        "speaker": voice["speaker"],
        "duration": seconds,
    }


def _level(entry: ManifestEntry) -> float:
    """Return the mean power of a recording in dB."""
    from sonant import audio

    return 10 * float(np.log10(np.square(audio.read(entry.path, sampling_rate=16_000)).mean() + 1e-10))


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a manifest; rows are drawn alike by each call."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
