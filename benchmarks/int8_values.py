"""The values of a model in integers of eight bits: worst frames with and without smoothing, plain and with outliers.

    python -m benchmarks.int8_values                        # the shipped model and WavLM Base with random weights
    python -m benchmarks.int8_values --model wavlm-large:outliers --layers 4

Every state of every recording is compared with float32, whether this machine multiplies integers fast or not. Cosines
are the lowest of any frame: as it is, with every channel over its root mean square (which is what an optimized model is
judged by), and with every channel standardized.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sonant.audio import read
from sonant.benchmark.deviation import standardized
from sonant.benchmark.subjects import OUTLIERS, subject
from sonant.checkpoints import load_backbone
from sonant.inference.cpu.arithmetic import int8_arithmetic
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.cpu_copy import optimize_for_cpu
from sonant.inference.int8.calibration import calibrate
from sonant.inference.int8.check import equalized, lowest_cosine
from sonant.inference.int8.optimization import integer_form
from sonant.layers.packed import Packed
from sonant.models import Backbone, Encoded

MODELS = ("sonant/wavlm-tiny", f"sonant/wavlm-tiny{OUTLIERS}", "wavlm-base", f"wavlm-base{OUTLIERS}")


@torch.no_grad()
def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", default=MODELS, help=f"{OUTLIERS} behind a name makes channels large")
    parser.add_argument("--audio", type=Path, default=Path("examples/speech"), help="folder of FLAC files")
    parser.add_argument("--layers", type=int, help="so many of a model's layers alone")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each recording")
    options = parser.parse_args(arguments)
    samples = round(options.seconds * 16_000)
    clips = [torch.from_numpy(read(path))[:samples] for path in sorted(options.audio.glob("*.flac"))]
    print("| model | form | as it is | channels equalized | channels standardized |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.model:
            drawn = subject(name, Path(folder), published=name.startswith("sonant/"), num_layers=options.layers)
            report(drawn.title, load_backbone(drawn.source), clips)


def report(title: str, backbone: Backbone, clips: Sequence[Tensor]) -> None:
    """Print the rows of a model."""
    speech = Packed.pack(clips)
    expected, arithmetic = backbone(speech), int8_arithmetic()
    found = calibrate(backbone).peaks
    unknown = {name: Peaks(*(torch.full_like(part, torch.nan) for part in peaks)) for name, peaks in found.items()}
    form = integer_form(backbone, arithmetic)
    forms = {
        f"beside integers, all in {arithmetic.linear}": optimize_for_cpu(backbone, arithmetic),
        "int8 without smoothing": optimize_for_cpu(backbone, arithmetic, unknown),
        "int8, smoothed": optimize_for_cpu(backbone, arithmetic, found),
        f"as optimized, {len(form.floats)} of {len(found)} blocks in floats": form.optimized,
    }
    for label, model in forms.items():
        cosines = " | ".join(f"{cosine:.4f}" for cosine in lowest(model(speech), expected))
        print(f"| {title} | {label} | {cosines} |", flush=True)


def lowest(given: Encoded, expected: Encoded) -> list[float]:
    """Return the lowest cosines of any frame of any state: as it is, equalized, standardized."""
    pairs = [(given.hidden_states[number], state) for number, state in expected.hidden_states.items()]
    return [
        min(lowest_cosine(*pair) for pair in pairs),
        min(lowest_cosine(*equalized(*pair)) for pair in pairs),
        min(lowest_cosine(*standardized(*pair)) for pair in pairs),
    ]


if __name__ == "__main__":
    main()
