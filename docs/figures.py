"""Draws the figures of recognition.md, speakers.md, diarization.md and units.md.

Run in the root of the repository: `python docs/figures.py`, or with the names of some: `python docs/figures.py units`.
Figures are of the recordings in examples/speech and of the shipped model; those of recognition are read from its page.
"""

import json
import re
import sys
from itertools import combinations, pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

import sonant
from sonant.audio import read
from sonant.audio.mel import fbank
from sonant.pretraining import fit_kmeans

DOCS = Path(__file__).parent
SPEECH = DOCS.parent / "examples/speech"
RATE = 16_000
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by those who see fewer colors, too


def recordings() -> list[dict]:
    rows = [json.loads(line) for line in (SPEECH / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row | {"path": str(SPEECH / row["path"])} for row in rows]


def recognition(path: Path) -> None:
    """The losses of the page's first table."""
    page = (DOCS / "recognition.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| (7\.3 h|1 h|10 min) \| ([^|]+) \|[^|]+\|[^|]+\| ([\d.]+) \|$", re.MULTILINE)
    found = [(f"{ways}, {hours}", float(loss)) for hours, ways, loss in row.findall(page)]
    names, losses = zip(*sorted(found, key=lambda each: -each[1]), strict=True)
    figure, axes = plt.subplots(figsize=(7.5, 2.9), layout="constrained")
    axes.scatter(losses, names, color=[COLORS[1] if "random" in name else COLORS[0] for name in names])
    axes.set(xlabel="CTC loss on dev, nats a letter")
    axes.grid(axis="y", alpha=0.3)
    save(figure, path)


def speakers(path: Path) -> None:
    """The cosines of all pairs of recordings, by whether voice and language are the same; and the threshold."""
    encoder = sonant.load("sonant/wavlm-tiny")
    pairs = list(combinations(recordings(), 2))
    answers = encoder.verify([first["path"] for first, _ in pairs], [second["path"] for _, second in pairs])
    kinds = {"two voices": [], "one voice,\ntwo languages": [], "one voice,\none language": []}
    for (first, second), answer in zip(pairs, answers, strict=True):
        same = [first[name] == second[name] for name in ("speaker", "language")]
        kinds[list(kinds)[sum(same) if same[0] else 0]].append(answer.score)
    figure, axes = plt.subplots(figsize=(7.5, 2.3), layout="constrained")
    jitter = np.random.default_rng(0)
    for place, (scores, color) in enumerate(zip(kinds.values(), COLORS, strict=False)):
        axes.scatter(scores, place + jitter.uniform(-0.2, 0.2, len(scores)), s=18, color=color, alpha=0.7, lw=0)
    axes.axvline(answers[0].threshold, color="#333333", linestyle="--")
    axes.annotate(" threshold", (answers[0].threshold, 2.45), va="center")
    axes.set(xlabel="cosine of the speaker embeddings", ylim=(-0.5, 2.7))
    axes.set_yticks(range(len(kinds)), list(kinds))
    save(figure, path)


def diarization(path: Path) -> None:
    """Four recordings end to end: their speakers, and those that clustering finds."""
    chosen = [row for row in recordings() if row["path"].endswith("queue.flac") and row["language"] != "es"]
    chosen += [row for row in recordings() if row["path"].endswith(("fr-june-busy.flac", "en-allison-busy.flac"))]
    waves = [read(row["path"]) for row in chosen]
    ends = np.cumsum([len(wave) / RATE for wave in waves])
    whole = np.concatenate(waves)
    turns = sonant.load("sonant/wavlm-tiny").diarize(whole, num_speakers=4)
    figure, (above, axes) = plt.subplots(2, 1, figsize=(7.5, 2.8), sharex=True, layout="constrained")
    shape = whole[: len(whole) // 400 * 400].reshape(-1, 400)
    times = np.arange(len(shape)) * 400 / RATE
    above.fill_between(times, shape.min(axis=1), shape.max(axis=1), color="#666666", lw=0)
    above.set(yticks=[], ylabel="waveform")
    who = dict(zip(dict.fromkeys(row["speaker"] for row in chosen), COLORS, strict=True))
    for row, start, end in zip(chosen, [0, *ends], ends, strict=False):
        axes.barh(1, end - start, left=start, color=who[row["speaker"]], edgecolor="white")
        axes.annotate(row["speaker"], ((start + end) / 2, 1), ha="center", va="center", color="white", fontsize=8)
    found = dict(zip(dict.fromkeys(turn.speaker for turn in turns), COLORS, strict=True))
    for turn in turns:
        length = turn.end_seconds - turn.start_seconds
        axes.barh(0, length, left=turn.start_seconds, color=found[turn.speaker], edgecolor="white")
    axes.set(xlabel="seconds", xlim=(0, ends[-1]))
    axes.set_yticks([0, 1], ["found", "speaker"])
    save(figure, path)


def units(path: Path) -> None:
    """Two seconds of speech, and the cluster of each frame."""
    encoder = sonant.load("sonant/wavlm-tiny")
    paths = [row["path"] for row in recordings()]
    frames = torch.from_numpy(np.concatenate(encoder.encode(paths, layer=5)))
    model = fit_kmeans(lambda: [frames], 32)
    kmeans = path.with_suffix(".safetensors")
    model.save(kmeans, {})
    wave = read(paths[0])[: 2 * RATE]
    numbers = encoder.units(wave, kmeans=kmeans, layer=5)
    kmeans.unlink()
    figure, (above, axes) = plt.subplots(
        2, 1, figsize=(7.5, 2.8), sharex=True, layout="constrained", height_ratios=(3, 1)
    )
    mel = fbank(torch.as_tensor(wave), sampling_rate=RATE)
    above.imshow(mel.T, origin="lower", aspect="auto", cmap="magma", extent=(0, 2, 0, mel.shape[1]))
    above.set(yticks=[], ylabel="log-mel")
    colors = plt.get_cmap("twilight")(numbers / 32)  # (frames, 4)
    axes.imshow(colors[None], aspect="auto", extent=(0, len(numbers) / 50, 0, 1), interpolation="none")
    starts = [0, *(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)]
    for start, end in pairwise(starts):
        if end - start > 2:
            place = ((start + end) / 100, 0.5)
            ink = "black" if colors[start, :3].mean() > 0.5 else "white"
            axes.annotate(str(numbers[start]), place, ha="center", va="center", color=ink, fontsize=7)
    axes.set(yticks=[], xlabel="seconds", ylabel="units", xlim=(0, 2))
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    """Write a PNG of 64 colors: a fifth of the bytes."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    with Image.open(path) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(DOCS)}  {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    drawn = {"recognition": recognition, "speakers": speakers, "diarization": diarization, "units": units}
    for name in sys.argv[1:] or drawn:
        drawn[name](DOCS / f"images/{name}.png")
