"""The distance of stitched features from those of the whole clip, layer by layer, as a function of the overlap.

    python -m benchmarks.long_audio [--model ID] [--audio FILE|MANIFEST|FOLDER] [--window 20] [--overlaps 0,1,2,4,8]
                                    [--write docs/long_audio.md]

The recordings are joined into one long clip, which is encoded whole and in windows. Each entry has two numbers: the
root mean square distance of a frame from the same frame of the whole clip, and that of the worst frame, both relative
to the root mean square distance of frames from their mean. `--write` puts the table between the marks of a page.
"""

import argparse
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

import sonant
from benchmarks.page_blocks import write_block
from sonant.extraction.inputs import gather

EXAMPLES = Path(__file__).parent.parent / "examples/speech/manifest.jsonl"
BLOCK = "measured"  # of a page


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="sonant/wavlm-tiny")
    parser.add_argument("--audio", default=str(EXAMPLES))
    parser.add_argument("--max-seconds", type=float, default=120.0, help="length of the clip")
    parser.add_argument("--window", type=float, default=20.0, help="seconds")
    parser.add_argument("--overlaps", default="0,1,2,4,8", help="seconds, with commas between")
    parser.add_argument("--write", type=Path, help="a page with marks for the table")
    options = parser.parse_args(arguments)
    lines = []
    for line in measure(sonant.load(options.model, device="cpu"), options):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        write_block(options.write, BLOCK, lines)


def measure(encoder: sonant.SpeechEncoder, options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the report, as they are measured."""
    rate, config = encoder.sampling_rate, encoder.model.config
    clips = [entry.read() for entry in gather(options.audio, sampling_rate=rate)]
    wave = np.concatenate(clips)[: round(options.max_seconds * rate)]
    yield (
        f"`{encoder.name}` ({encoder.revision}), a clip of {len(wave) / rate:.1f} s in windows of {options.window:g} s"
        f", float32, torch {torch.__version__}, {platform.machine()}:"
    )
    yield ""
    whole = _states(encoder, wave, window_seconds=None)
    names = [*map(str, range(config.num_layers + 1)), "last"]
    yield "| overlap, s | layer " + " | ".join(names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    overlaps = [float(overlap) for overlap in options.overlaps.split(",")]
    for overlap in overlaps:
        yield _row(f"{overlap:g}", _states(encoder, wave, options.window, overlap), whole)
    if encoder.model.clip_statistics() is not None:
        # What it would be if every window took the statistics of its group norm from itself.
        encoder.model.clip_statistics = lambda: None
        yield _row(f"{overlaps[-1]:g}, own norm", _states(encoder, wave, options.window, overlaps[-1]), whole)


def _states(
    encoder: sonant.SpeechEncoder, wave: np.ndarray, window_seconds: float | None, overlap_seconds: float = 0.0
) -> list[torch.Tensor]:
    """Return all layers and the output, (frames, dim) each."""
    layers = [*range(encoder.num_layers + 1), "last"]
    how = {"window_seconds": window_seconds, "overlap_seconds": overlap_seconds, "to": "torch"}
    return list(encoder.encode(wave, layer=layers, **how))


def _row(title: str, stitched: list[torch.Tensor], whole: list[torch.Tensor]) -> str:
    return f"| {title} | " + " | ".join(_distance(*pair) for pair in zip(stitched, whole, strict=True)) + " |"


def _distance(stitched: torch.Tensor, whole: torch.Tensor) -> str:
    """Return the distance over all frames, and of the worst one, in per cent."""
    typical = (whole - whole.mean(0)).norm(dim=1).square().mean().sqrt()
    gaps = (stitched - whole).norm(dim=1) / typical
    return f"{_percent(gaps.square().mean().sqrt())} ({_percent(gaps.max())})"


def _percent(share: torch.Tensor) -> str:
    value = 100 * share.item()
    return "0" if value < 0.005 else f"{value:.2f}" if value < 1 else f"{value:.1f}"


if __name__ == "__main__":
    main()
