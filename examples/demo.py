"""Embed the example recordings, say what was found, and draw one of them: what `make demo` runs.

    python examples/demo.py [--model ID] [--output FOLDER]

Writes FOLDER/frames (a vector every 20 ms), FOLDER/speakers (one vector per recording) and FOLDER/picture.png.
"""

import argparse
import shutil
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

import sonant
from sonant import audio
from sonant.audio.mel import fbank
from sonant.data import ManifestEntry, read_manifest

SPEECH = Path(__file__).parent / "speech"
DRAWN = "es-allison-queue.flac"
LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French", "it": "Italian", "ru": "Russian"}

INK, FAINT = "#1c2733", "#8b98a5"
RATE = 16_000


def main() -> None:
    """Run the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sonant/wavlm-tiny", help="a hub id, a folder or a file")
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="where the results go")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    recordings = read_manifest(SPEECH)

    started = time.perf_counter()
    encoder = sonant.load(options.model)
    size = sum(parameter.numel() for parameter in encoder.model.parameters())
    console.print(
        f"[bold]{encoder.name}[/]: {size / 1e6:.1f} million parameters, {encoder.num_layers} layers, vectors of "
        f"{encoder.dim} numbers, {encoder.frame_rate:g} a second; loaded in {time.perf_counter() - started:.1f} s\n"
    )

    for name in ("frames", "speakers"):  # the demonstration starts afresh, though `embed` would go on
        shutil.rmtree(options.output / name, ignore_errors=True)
    frames = encoder.embed(SPEECH / "manifest.jsonl", options.output / "frames", progress=None)
    console.print(_recordings_table(recordings, encoder))
    console.print(
        f"{frames.computed} recordings, {frames.seconds:.1f} s of speech, encoded in {frames.wall_seconds:.1f} s on "
        f"{next(encoder.model.parameters()).device}: real-time factor {frames.wall_seconds / frames.seconds:.3f}, "
        f"{frames.seconds / frames.wall_seconds:.0f} times faster than real time\n"
    )

    encoder.embed(SPEECH / "manifest.jsonl", options.output / "speakers", task="speaker", progress=None)
    vectors = np.load(options.output / "speakers/vectors.npy")
    similarity = encoder.similarity(vectors - vectors.mean(0), vectors - vectors.mean(0))
    console.print(_similarity_table(recordings, similarity))
    console.print("cosine of the speaker vectors, their common mean taken away; on average:")
    for pairs, mean in _averages(recordings, similarity).items():
        console.print(f"  {pairs:32} {mean:5.2f}")
    console.print()

    picture = options.output / "picture.png"
    drawn = next(recording for recording in recordings if recording.path.name == DRAWN)
    _draw(encoder, drawn, recordings, similarity, picture)
    console.print(
        f"vectors   {options.output / 'frames'}    (frames, {encoder.dim}) a recording, .npy; see index.jsonl"
    )
    console.print(f"          {options.output / 'speakers'}  {vectors.shape}: vectors.npy")
    console.print(f"picture   {picture}")


def _recordings_table(recordings: list[ManifestEntry], encoder: sonant.SpeechEncoder) -> Table:
    table = Table("recording", "language", "speaker", box=None, pad_edge=False, header_style=FAINT)
    for heading in ("seconds", "shape of the vectors"):
        table.add_column(heading, justify="right", header_style=FAINT)
    for recording in recordings:
        frames = encoder.model.num_frames(round(recording.duration * encoder.sampling_rate))
        table.add_row(
            recording.path.name,
            LANGUAGES[recording.fields["language"]],
            recording.fields["speaker"],
            f"{recording.duration:.2f}",
            f"({frames}, {encoder.dim})",
        )
    return table


def _similarity_table(recordings: list[ManifestEntry], similarity: np.ndarray) -> Table:
    """Cosines in two digits, colored from blue (unlike) to red (alike)."""
    table = Table(box=None, pad_edge=False, padding=(0, 0), header_style=FAINT)
    table.add_column("who sounds alike?", no_wrap=True)
    for recording in recordings:
        table.add_column(f"{recording.fields['speaker'][:3]}\n{recording.fields['language']}", justify="right", width=5)
    for recording, row in zip(recordings, similarity, strict=True):
        cells = [Text(f"{value:5.2f}".replace("0.", "."), style=f"#101010 on {_warmth(value)}") for value in row]
        table.add_row(f"{recording.fields['speaker']:9} {recording.fields['language']}  ", *cells, style="default")
    return table


def _warmth(value: float) -> str:
    """A color between blue (-1), white (0) and red (+1)."""
    cold, warm = np.array([120, 160, 230]), np.array([240, 120, 100])
    mixed = np.array([250, 250, 250]) * (1 - abs(value)) + (warm if value > 0 else cold) * abs(value)
    return "#" + "".join(f"{round(float(channel)):02x}" for channel in np.clip(mixed, 0, 255))


def _averages(recordings: list[ManifestEntry], similarity: np.ndarray) -> dict[str, float]:
    """Mean similarity of pairs of recordings, by whether speaker and language are the same."""
    speakers, languages = (
        np.array([recording.fields[name] for recording in recordings]) for name in ("speaker", "language")
    )
    same_speaker, same_language = speakers[:, None] == speakers, languages[:, None] == languages
    groups = {
        "one speaker, one language": same_speaker & same_language & ~np.eye(len(speakers), dtype=bool),
        "one speaker, two languages": same_speaker & ~same_language,
        "two speakers": ~same_speaker,
    }
    return {name: float(similarity[pairs].mean()) for name, pairs in groups.items()}


def _draw(
    encoder: sonant.SpeechEncoder,
    recording: ManifestEntry,
    recordings: list[ManifestEntry],
    speakers: np.ndarray,
    path: Path,
) -> None:
    """Waveform, log-mel, layers and frame similarity of one recording; and the speaker similarity of all."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams |= {
        "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
        "text.color": INK,
        "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK, "axes.linewidth": 0.6,
        "axes.spines.top": False, "axes.spines.right": False, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    }  # fmt: skip
    wave = audio.read(recording.path, sampling_rate=RATE)
    seconds = len(wave) / RATE
    states = encoder.encode(wave, layer="all")  # (layers + 1, frames, dim)
    frames = encoder.encode(wave, layer=round(0.7 * encoder.num_layers))  # (frames, dim)

    figure = plt.figure(figsize=(14, 8.4), dpi=150, facecolor="white")
    grid = figure.add_gridspec(
        3, 2, width_ratios=[2.15, 1], height_ratios=[0.75, 1.35, 1.75], left=0.05, right=0.955, top=0.865, bottom=0.08,
        wspace=0.17, hspace=0.3,
    )  # fmt: skip
    speaker = recording.fields["speaker"].capitalize()
    figure.text(0.05, 0.95, f"“{recording.fields['text']}”", fontsize=13, weight="bold")
    figure.text(
        0.05, 0.918, f"{speaker}, {LANGUAGES[recording.fields['language']]}, {seconds:.1f} s, seen by {encoder.name}",
        fontsize=10, color=FAINT,
    )  # fmt: skip
    waveform = figure.add_subplot(grid[0, 0])
    _draw_waveform(waveform, wave)
    _draw_mel(figure.add_subplot(grid[1, 0], sharex=waveform), wave, seconds)
    _draw_layers(figure.add_subplot(grid[2, 0], sharex=waveform), states, seconds)
    right = grid[:, 1].subgridspec(2, 1, hspace=0.3)
    _draw_frame_similarity(figure, figure.add_subplot(right[0]), frames, seconds)
    _draw_speakers(figure, figure.add_subplot(right[1]), recordings, speakers)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)


def _draw_waveform(axes, wave: np.ndarray) -> None:  # noqa: ANN001 - matplotlib is not typed
    """The span of the samples in each of 1200 slices."""
    slices = np.array_split(wave, 1200)
    times = np.linspace(0, len(wave) / RATE, len(slices))
    low, high = [part.min() for part in slices], [part.max() for part in slices]
    axes.fill_between(times, low, high, color="#3b6ea5", linewidth=0.4)
    axes.set(title="waveform", xlim=(0, times[-1]), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.tick_params(labelbottom=False)


def _draw_mel(axes, wave: np.ndarray, seconds: float) -> None:  # noqa: ANN001
    mel = fbank(torch.from_numpy(wave), num_bins=80).numpy()  # (frames, 80)
    low, high = np.percentile(mel, [5, 99.7])
    axes.imshow(
        mel.T, origin="lower", aspect="auto", extent=(0, seconds, 0, 80), cmap="magma", vmin=low, vmax=high,
        interpolation="bilinear",
    )  # fmt: skip
    hertz = np.array([250, 500, 1000, 2000, 4000])
    axes.set(title="log-mel spectrogram", ylabel="Hz", yticks=80 * _mel(hertz) / _mel(np.array(8000.0)))
    axes.set_yticklabels([f"{value}" for value in hertz])
    axes.tick_params(labelbottom=False)


def _mel(hertz: np.ndarray) -> np.ndarray:
    """Kaldi's mel scale, counted from its lowest edge of 20 Hz."""
    return 1127 * (np.log1p(hertz / 700) - np.log1p(20 / 700))


def _draw_layers(axes, states: np.ndarray, seconds: float) -> None:  # noqa: ANN001
    """A band a layer: the first three principal components of its frames as red, green and blue.

    Components have neither order nor sign of their own, so each layer's are turned towards those of the layer below:
    where colors change from band to band, the features do.
    """
    parts = [_principal(state) for state in states]
    for below, part in pairwise(parts):
        left, _, right = np.linalg.svd(part.T @ below)
        part[:] = part @ left @ right
    bands = np.stack([_as_colors(part) for part in parts])  # (layers + 1, frames, 3)
    axes.imshow(
        bands, origin="lower", aspect="auto", extent=(0, seconds, -0.5, len(bands) - 0.5), interpolation="nearest"
    )
    for edge in range(1, len(bands)):
        axes.axhline(edge - 0.5, color="white", linewidth=1.2)
    step = max(1, len(bands) // 9)
    axes.set(
        title="features by layer: their three principal components as colors", xlabel="seconds", ylabel="layer",
        yticks=range(0, len(bands), step),
    )  # fmt: skip


def _principal(frames: np.ndarray) -> np.ndarray:
    """(frames, dim) to (frames, 3): the directions of most variance, each scaled to variance one."""
    left, _, _ = np.linalg.svd(frames - frames.mean(0), full_matrices=False)
    return left[:, :3] * np.sqrt(len(frames))


def _as_colors(parts: np.ndarray) -> np.ndarray:
    """Red, green and blue between dark and light, never glaring."""
    low, high = np.percentile(parts, [1, 99], axis=0)
    return 0.13 + 0.8 * np.clip((parts - low) / np.maximum(high - low, 1e-9), 0, 1)


def _draw_frame_similarity(figure, axes, frames: np.ndarray, seconds: float) -> None:  # noqa: ANN001
    unit = frames - frames.mean(0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    image = axes.imshow(unit @ unit.T, origin="lower", extent=(0, seconds, 0, seconds), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set(title="which moments are alike?", xlabel="seconds", ylabel="seconds")
    _draw_scale(figure, axes, image)


def _draw_speakers(figure, axes, recordings: list[ManifestEntry], similarity: np.ndarray) -> None:  # noqa: ANN001
    image = axes.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1)
    speakers = [recording.fields["speaker"] for recording in recordings]
    for edge in [i for i in range(1, len(speakers)) if speakers[i] != speakers[i - 1]]:
        axes.axhline(edge - 0.5, color=INK, linewidth=0.8)
        axes.axvline(edge - 0.5, color=INK, linewidth=0.8)
    names = [f"{recording.fields['speaker']} {recording.fields['language']}" for recording in recordings]
    axes.set(title="who sounds alike?", yticks=range(len(names)))
    axes.set_yticklabels(names, fontsize=8)
    places = {name: np.mean([i for i, speaker in enumerate(speakers) if speaker == name]) for name in speakers}
    axes.set_xticks(list(places.values()), list(places), fontsize=8)
    axes.tick_params(length=0)
    _draw_scale(figure, axes, image)


def _draw_scale(figure, axes, image) -> None:  # noqa: ANN001
    scale = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.03, shrink=0.6, ticks=[-1, 0, 1], label="cosine")
    scale.outline.set_visible(False)
    scale.ax.tick_params(length=0, labelsize=8)


if __name__ == "__main__":
    main()
