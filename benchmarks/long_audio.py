"""How far stitched features are from those of the whole clip, layer by layer, as a function of the overlap.

    python -m benchmarks.long_audio [--model ID] [--audio FILE|MANIFEST|FOLDER] [--window 20] [--overlaps 0,1,2,4,8]

Prints the table of docs/long_audio.md. The recordings are laid one behind another into one long clip, encoded whole and
in windows. Two numbers an entry: the root mean square distance of a frame from its place in the whole clip's features,
and that of the worst frame, both in units of how far frames of the clip are from their mean.
"""

import argparse
import platform
from pathlib import Path

import numpy as np
import torch

import sonant
from sonant import audio
from sonant.extraction.inputs import gather

EXAMPLES = Path(__file__).parent.parent / "examples/speech/manifest.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--audio", default=str(EXAMPLES))
    parser.add_argument("--max-seconds", type=float, default=120.0, help="length of the clip")
    parser.add_argument("--window", type=float, default=20.0, help="seconds")
    parser.add_argument("--overlaps", default="0,1,2,4,8", help="seconds, with commas between")
    options = parser.parse_args()
    encoder = sonant.load(options.model)
    rate = encoder.sampling_rate
    clips = [audio.read(entry.audio, sampling_rate=rate) for entry in gather(options.audio)]
    wave = np.concatenate(clips)[: round(options.max_seconds * rate)]
    whole = encoder.encode(wave, layer="all", window_seconds=None, to="torch")
    last = encoder.encode(wave, window_seconds=None, to="torch")
    names = [f"layer {layer}" for layer in range(len(whole))] + ["last"]
    states = [*whole, last]

    config = encoder.model.config
    print(f"model {encoder.name}, {type(config).__name__}, extractor norm {config.extractor_norm}")
    print(f"clip of {len(wave) / rate:.1f} s, windows of {options.window:g} s")
    print(f"torch {torch.__version__}, {platform.machine()}")
    print()
    print("| overlap, s | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for overlap in map(float, options.overlaps.split(",")):
        _row(encoder, wave, states, f"{overlap:g}", options.window, overlap)
    if encoder.model.clip_statistics() is not None:
        # What it would be if every window took the statistics of its group norm from itself, as elsewhere.
        encoder.model.clip_statistics = lambda: None
        _row(encoder, wave, states, f"{overlap:g}, window's own norm", options.window, overlap)


def _row(
    encoder: sonant.SpeechEncoder,
    wave: np.ndarray,
    states: list[torch.Tensor],
    title: str,
    window: float,
    overlap: float,
) -> None:
    how = {"window_seconds": window, "overlap_seconds": overlap, "to": "torch"}
    stitched = [*encoder.encode(wave, layer="all", **how), encoder.encode(wave, **how)]
    cells = [_distance(one, other) for one, other in zip(stitched, states, strict=True)]
    print(f"| {title} | " + " | ".join(cells) + " |", flush=True)


def _distance(stitched: torch.Tensor, whole: torch.Tensor) -> str:
    """Over all frames, and of the worst one."""
    centred = whole - whole.mean(0)
    gaps = (stitched - whole).norm(dim=1)
    typical = centred.norm(dim=1).square().mean().sqrt()
    return f"{_number((gaps.square().mean().sqrt() / typical).item())} ({_number((gaps.max() / typical).item())})"


def _number(value: float) -> str:
    return f"{100 * value:.2g} %" if value >= 1e-5 else "0"


if __name__ == "__main__":
    main()
