"""Everything worth knowing of a GPU, in one call: correctness, embedding speed and memory, pretraining throughput.

    python gpu/report.py --out gpu_report           # on a GPU, about five minutes
    python gpu/report.py --out smoke --tiny --device cpu

Random weights at the published shapes. transformers is measured beside sonant where it is installed. Writes
report.json and report.md into the folder and prints the tables.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sonant.layers.packed import Packed
from sonant.models import WaveformTransformer, WavLMConfig, build
from sonant.models.wavlm import LARGE
from sonant.pretraining import MaskedPrediction, MaskedPredictionConfig, MFCCTargets, SpeechBatch

RATE = 16_000
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    shapes = {"base": WavLMConfig(), "large": LARGE}
    if options.tiny:
        small = {"conv_channels": (32,) * 7, "dim": 64, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 128}
        shapes = {name: replace(config, **small) for name, config in shapes.items()}
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    tables = {
        "Agreement with the CPU, float32": [agreement(shape, config, device) for shape, config in shapes.items()],
        "Embedding, bfloat16, clips of 10 s": [
            row
            for shape, config in shapes.items()
            for clips in ((1, 2) if options.tiny else (1, 8, 32))
            for row in embedding(shape, config, device, clips, options.repeats)
        ],
        "Pretraining step, bfloat16": [
            pretraining("base", shapes["base"], device, seconds, options.repeats)
            for seconds in ((4,) if options.tiny else (87, 350, 1_400))
        ],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(
        json.dumps({"device": name, "torch": torch.__version__, **tables}, indent=1)
    )
    text = f"# {name}, torch {torch.__version__}\n\n" + "\n".join(map(markdown, tables, tables.values()))
    (options.out / "report.md").write_text(text)
    print(text)


def clips_of(seconds: list[float], device: torch.device, dtype: torch.dtype = torch.float32) -> Packed:
    """Noise, as no input should be measured on zeros."""
    generator = torch.Generator().manual_seed(1)
    packed = Packed.pack(0.1 * torch.randn(round(length * RATE), generator=generator) for length in seconds)
    return packed.with_values(packed.values.to(device, dtype))


def relative(ours: torch.Tensor, reference: torch.Tensor) -> float:
    return ((ours.cpu().double() - reference.cpu().double()).norm() / reference.cpu().double().norm()).item()


@torch.no_grad()
def agreement(shape: str, config: WavLMConfig, device: torch.device) -> Row:
    """The device against the CPU, and a clip alone against the same clip in a batch."""
    model = build(config).eval()
    seconds = [0.5, 3.0, 1.7, 3.0]
    reference = model(clips_of(seconds, torch.device("cpu")))
    model.to(device)
    packed = clips_of(seconds, device)
    ours = model(packed)
    alone = model(Packed.pack([packed.unpack()[2]]))
    frames = slice(*torch.nn.functional.pad(ours.lengths.cumsum(0), (1, 0))[2:4].tolist())
    half = model.to(torch.bfloat16)(packed.with_values(packed.values.to(torch.bfloat16)))
    cosine = min(
        torch.cosine_similarity(state.float(), ours.hidden_states[i], dim=-1).min().item()
        for i, state in half.hidden_states.items()
    )
    return {
        "shape": shape,
        "worst layer, relative": max(relative(ours.hidden_states[i], s) for i, s in reference.hidden_states.items()),
        "alone against batch": max(relative(s, ours.hidden_states[i][frames]) for i, s in alone.hidden_states.items()),
        "bfloat16, lowest cosine of a frame": cosine,
    }


def embedding(shape: str, config: WavLMConfig, device: torch.device, clips: int, repeats: int) -> list[Row]:
    """Seconds of audio a second and peak memory, sonant and transformers in turn."""
    model = build(config).eval().to(device, torch.bfloat16)
    packed = clips_of([10.0] * clips, device, torch.bfloat16)
    calls: dict[str, Callable[[], object]] = {"sonant": lambda: model(packed, layers=["last"])}
    if theirs := transformers_model(config):
        theirs.eval().to(device, torch.bfloat16)
        padded = packed.to_padded()[0]
        calls["transformers"] = lambda: theirs(padded)
    with torch.no_grad():
        return [
            {"shape": shape, "clips": clips, "code": name, "audio s / s": 10 * clips / seconds, "peak GB": memory}
            for name, (seconds, memory) in measure(calls, device, repeats).items()
        ]


def pretraining(shape: str, config: WavLMConfig, device: torch.device, seconds: int, repeats: int) -> Row:
    """Forward, backward and optimiser on clips of 15 s, or shorter ones for a small batch."""
    length = min(15.0, seconds / 2)
    backbone: WaveformTransformer = build(config)
    objective = (
        MaskedPrediction(backbone, MaskedPredictionConfig(targets=MFCCTargets(num_clusters=500))).to(device).train()
    )
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4, fused=True)
    speech = clips_of([length] * max(1, round(seconds / length)), device)
    frames = backbone.num_frames(round(length * RATE)) * len(speech)
    batch = SpeechBatch(speech, torch.rand(frames) < 0.5, torch.randint(500, (frames,))).to(device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = objective.loss(batch)
        loss.sum.backward()
        optimizer.step()
        optimizer.zero_grad()

    ((time_, memory),) = measure({"step": step}, device, repeats).values()
    return {"shape": shape, "batch s": seconds, "audio s / s": len(speech) * length / time_, "peak GB": memory}


def transformers_model(config: WavLMConfig) -> torch.nn.Module | None:
    """The same shape in transformers, if it is installed."""
    try:
        from transformers import WavLMConfig as Config
        from transformers import WavLMModel
    except ImportError:
        return None
    return WavLMModel(
        Config(
            hidden_size=config.dim,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.feed_forward_dim,
            conv_dim=config.conv_channels,
            feat_extract_norm=config.extractor_norm,
            do_stable_layer_norm=config.pre_norm,
        )
    )


def measure(
    calls: dict[str, Callable[[], object]], device: torch.device, repeats: int
) -> dict[str, tuple[float, float]]:
    """Median seconds of each call, all in turn, and its peak memory over what was there before, in GB."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    memory = dict.fromkeys(calls, 0.0)
    on_gpu = device.type == "cuda"
    for repeat in range(repeats + 2):
        for name, call in calls.items():
            if on_gpu:
                torch.cuda.synchronize(device)
                torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device) if on_gpu else 0
            start = time.perf_counter()
            call()
            if on_gpu:
                torch.cuda.synchronize(device)
                memory[name] = max(memory[name], (torch.cuda.max_memory_allocated(device) - before) / 1e9)
            if repeat >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: (median(times[name]), memory[name]) for name in calls}


def markdown(title: str, rows: list[Row]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(rows[0])} |", f"|{'---|' * len(rows[0])}"]
    for row in rows:
        cells = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
