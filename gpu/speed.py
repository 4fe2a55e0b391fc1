"""How fast sonant is on a GPU, and how right, in one call of less than ten minutes.

    python gpu/speed.py --out gpu_speed             # on a GPU
    python gpu/speed.py --out smoke --trial         # small shapes on a CPU, to try the script

Random weights at the published shapes, noise for speech. Without --out, tables go to the folder that OUT names. Writes
speed.json, speed.md and profiles, and prints the tables, the most important last. A part that fails says so in its
place and the rest goes on; a part for which no time is left is named.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports Triton
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from report import RATE, Row, clips_of, markdown, measure, relative, transformers_model

from sonant.audio.augment import Mixing, mix_utterances
from sonant.inference import prepare
from sonant.inference.cuda import encoder as cuda_encoder
from sonant.inference.cuda import prepare_cuda
from sonant.inference.cuda.extractor import CudaExtractor
from sonant.layers.attention import attend_by_torch, attend_reference
from sonant.layers.kernels import flex_attention, triton_attention, triton_convolution
from sonant.layers.kernels.flex_attention import attend_flex
from sonant.layers.kernels.triton_attention import HALF, Tiling, attend_triton
from sonant.layers.kernels.triton_blocks import HAS_TRITON, block_table
from sonant.layers.kernels.triton_norm import norm_reference, norm_rows
from sonant.layers.packed import Packed
from sonant.layers.positions import RelativeBias, RelativeKeyBias
from sonant.models import Backbone, WavLMConfig, build
from sonant.models.wavlm import LARGE
from sonant.pretraining import MaskedPrediction, MaskedPredictionConfig, MFCCTargets, SpeechBatch

Bias = RelativeBias | RelativeKeyBias
TILINGS = {
    "forward": [(64, 64, 4, 2), (64, 64, 4, 1), (64, 64, 4, 3), (128, 64, 8, 2), (128, 64, 4, 2), (128, 32, 4, 2)],
    "query_gradient": [(64, 32, 4, 2), (64, 64, 4, 2), (64, 64, 4, 1), (128, 32, 8, 2)],
    "key_gradient": [(64, 32, 4, 2), (64, 64, 4, 1), (128, 32, 8, 2), (128, 64, 8, 1)],
    "table_gradient": [(64, 64, 4, 1), (64, 64, 8, 1), (32, 32, 4, 1)],
}


class Plan:
    """What is measured where, and for how long."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.trial: bool = options.trial
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.type == "cuda"
        self.out: Path = options.out
        self.models = {"WavLM Base": WavLMConfig(), "WavLM Large": LARGE}
        if self.trial:
            small = {"conv_channels": (32,) * 7, "dim": 64, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 128}
            self.models = {name: replace(config, **small) for name, config in self.models.items()}

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Median of one call, on the device's own clock."""
        if not self.on_gpu:
            call()
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        for _ in range(3):
            call()
        torch.cuda.synchronize()
        times: list[float] = []
        start = time.monotonic()
        while len(times) < 5 or (time.monotonic() - start < 0.25 and len(times) < 50):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            call()
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last))
        return median(times)

    def free(self) -> None:
        """Give memory of the last part back, so that it does not count in the next."""
        if self.on_gpu:
            torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=os.environ.get("OUT"), help="folder for the tables")
    parser.add_argument("--trial", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--seconds", type=float, default=560, help="for all parts together")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), help="only these")
    options = parser.parse_args()
    if options.out is None:
        parser.error("--out names the folder for the tables")
    options.out = Path(options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(options)
    alone = plan.on_gpu and len(options.parts) > 1
    end = time.monotonic() + options.seconds
    tables: dict[str, list[Row]] = {}
    for part in options.parts:
        start = time.monotonic()
        tables[PARTS[part].title] = in_a_process(part, options.out, end - start) if alone else in_here(part, plan)
        print(f"{part}: {time.monotonic() - start:.0f} s", flush=True)
        write(plan, tables)
    print(write(plan, tables))


def write(plan: Plan, tables: dict[str, list[Row]]) -> str:
    """Into the folder, what there is so far; the last run comes first, so that the first stands at the end."""
    name = torch.cuda.get_device_name() if plan.on_gpu else "CPU"
    report = {"device": name, "torch": torch.__version__, "triton": HAS_TRITON, **tables}
    (plan.out / "speed.json").write_text(json.dumps(report, indent=1))
    lines = [f"# {name}, torch {torch.__version__}", *(markdown(title, tables[title]) for title in reversed(tables))]
    (plan.out / "speed.md").write_text("\n\n".join(lines))
    return "\n\n".join(lines)


def in_here(part: str, plan: Plan) -> list[Row]:
    torch.manual_seed(0)
    try:
        return PARTS[part].function(plan)
    except Exception as error:  # noqa: BLE001  the other parts are worth having
        return [{"failed": f"{type(error).__name__}: {str(error)[:300]}"}]


def in_a_process(part: str, out: Path, seconds: float) -> list[Row]:
    """A part by itself, so that what it breaks or how long it hangs is its own affair."""
    if seconds < 20:
        return [{"left out": "no time was left"}]
    limit = min(seconds, PARTS[part].seconds)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--parts", part, "--out", folder]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            return [{"failed": f"took longer than {limit:.0f} s"}]
        for profile_ in Path(folder).glob("profile_*.txt"):
            shutil.copy(profile_, out)
        report = Path(folder) / "speed.json"
        if done.returncode or not report.exists():
            return [{"failed": done.stderr[-300:].replace("\n", " ")}]
        rows: list[Row] = json.loads(report.read_text())[PARTS[part].title]
        return rows


# Limits of the machine


def limits(plan: Plan) -> list[Row]:
    """What nothing can be faster than: a large product, a large copy. On random numbers."""
    size = 256 if plan.trial else 8192
    a, b = (torch.randn(size, size, device=plan.device, dtype=torch.bfloat16) for _ in range(2))
    copied = torch.randn(size * size * 8, device=plan.device)
    into = torch.empty_like(copied)
    product = plan.milliseconds(lambda: a @ b)
    copy = plan.milliseconds(lambda: into.copy_(copied))
    rows: list[Row] = [
        {"what": f"product, bf16, {size} cubed", "ms": product, "reached": f"{2e-9 * size**3 / product:.0f} TFLOP/s"},
        {"what": "copy", "ms": copy, "reached": f"{2e-6 * copied.nbytes / copy:.0f} GB/s"},
    ]
    frames = 512 if plan.trial else 16_000
    for given, made in ((1024, 3072), (1024, 1024), (1024, 4096), (4096, 1024)):
        x = torch.randn(frames, given, device=plan.device, dtype=torch.bfloat16)
        weight = torch.randn(made, given, device=plan.device, dtype=torch.bfloat16)
        ms = plan.milliseconds(lambda x=x, weight=weight: F.linear(x, weight))
        reached = f"{2e-9 * frames * given * made / ms:.0f} TFLOP/s"
        rows.append({"what": f"linear, bf16, {frames} x {given} -> {made}", "ms": ms, "reached": reached})
    return rows


# Attention


def parts_of(
    lengths: list[int], heads: int, head_dim: int, kind: str, dtype: torch.dtype, device: torch.device
) -> list[Tensor]:
    """Query, key, value; then gate and table, or scores. With gradients."""
    total = sum(lengths)
    shapes = {
        "none": [],
        "gated": [(total, heads), (heads, 2 * max(lengths) - 1)],
        "keys": [(total, heads, 73)],
    }[kind]
    parts = [torch.randn(total, heads, head_dim, device=device).to(dtype) for _ in range(3)]
    wide = torch.float32 if kind == "gated" else dtype
    parts += [torch.randn(shape, device=device).to(wide) for shape in shapes]
    return [part.requires_grad_() for part in parts]


def bias_of(parts: list[Tensor]) -> Bias | None:
    match parts[3:]:
        case [gate, table]:
            return RelativeBias(table, gate)
        case [scores]:
            return RelativeKeyBias(scores, 64)
    return None


def correctness(plan: Plan) -> list[Row]:
    """Worst relative deviation from the reference in float64, of the output and of any gradient."""
    if not HAS_TRITON:
        return [{"left out": "Triton is not installed"}]
    dtypes = [torch.float32, torch.float16] + ([torch.bfloat16] if plan.on_gpu else [])  # the interpreter lacks that
    lengths = [20, 1, 40] if plan.trial else [*torch.randint(1, 900, (12,)).tolist(), 1, 128, 64]
    rows = []
    for kind in ("none", "gated", "keys"):
        for dtype in dtypes[:1] if plan.trial else dtypes:
            for head_dim in (16,) if plan.trial else (64, 80):
                parts = parts_of(lengths, 4, head_dim, kind, dtype, plan.device)
                exact = [part.detach().double().requires_grad_() for part in parts]
                weights = torch.randn(parts[0].shape, device=plan.device, dtype=torch.float64)
                ours = attend_triton(*parts[:3], lengths, bias_of(parts))
                expected = attend_reference(*exact[:3], lengths, bias_of(exact))
                given = torch.autograd.grad((ours * weights).sum(), parts, retain_graph=True)
                again = torch.autograd.grad((ours * weights).sum(), parts)
                wanted = torch.autograd.grad((expected * weights).sum(), exact)
                rows.append(
                    {
                        "bias": kind,
                        "type": str(dtype).removeprefix("torch."),
                        "head": head_dim,
                        "output": relative(ours, expected),
                        "worst gradient": max(map(relative, given, wanted)),
                        "same twice": all(map(torch.equal, given, again)),
                        "dropout agrees": dropout_agrees(parts, lengths),
                    }
                )
    return rows


def convolution_correctness(plan: Plan) -> list[Row]:
    """The positional convolution's kernel: worst relative deviation from the reference in float64."""
    if not HAS_TRITON:
        return [{"left out": "Triton is not installed"}]
    dtypes = [torch.float16] + ([torch.bfloat16] if plan.on_gpu else [])
    lengths = [20, 1, 40] if plan.trial else [*torch.randint(1, 900, (12,)).tolist(), 1, 128]
    rows = []
    for dtype in dtypes:
        for channels, groups, taps in ((16, 2, 4),) if plan.trial else ((48, 16, 128), (64, 16, 128)):
            dim = channels * groups
            shapes = (sum(lengths), dim), (dim, channels, taps), (dim,)
            parts = [torch.randn(shape, device=plan.device).to(dtype).requires_grad_() for shape in shapes]
            exact = [part.detach().double().requires_grad_() for part in parts]
            ours = triton_convolution.convolve(*parts, lengths)
            expected = triton_convolution.convolve_reference(*exact, lengths)
            weights = torch.randn_like(expected)
            given = torch.autograd.grad((ours * weights).sum(), parts, retain_graph=True)
            again = torch.autograd.grad((ours * weights).sum(), parts)
            wanted = torch.autograd.grad((expected * weights).sum(), exact)
            rows.append(
                {
                    "type": str(dtype).removeprefix("torch."),
                    "channels": channels,
                    "output": relative(ours, expected),
                    "worst gradient": max(map(relative, given, wanted)),
                    "same twice": all(map(torch.equal, given, again)),
                }
            )
    return rows


def dropout_agrees(parts: list[Tensor], lengths: list[int]) -> float:
    """The output is linear in the values: times any weights it is the values times their gradient, or masks differ."""
    ours = attend_triton(*parts[:3], lengths, bias_of(parts), dropout=0.3)
    weights = torch.randn_like(ours)
    (of_value,) = torch.autograd.grad(ours, parts[2], weights)
    there, back = ((a.double() * b.double()) for a, b in ((ours, weights), (of_value, parts[2])))
    return ((there.sum() - back.sum()).abs() / there.norm()).item()


def attention(plan: Plan) -> list[Row]:
    """A layer of WavLM Large, 16,000 frames in clips of each length: milliseconds forward, and both ways."""
    heads, head_dim, total = (2, 16, 64) if plan.trial else (16, 64, 16_000)
    rows = []
    for length in (32,) if plan.trial else (100, 250, 500, 780, 1500, 3000, 16_000):
        lengths = [length] * max(1, total // length)
        parts = parts_of(lengths, heads, head_dim, "gated", torch.bfloat16, plan.device)
        flops = 4e-9 * sum(lengths) * length * heads * head_dim

        def one_by_one(*parts: Tensor, lengths: list[int] = lengths) -> Tensor:
            """PyTorch's attention with the bias spelled out."""
            length, (q, k, v) = lengths[0], (x.unflatten(0, (len(lengths), -1)).transpose(1, 2) for x in parts[:3])
            position = torch.arange(length, device=q.device)
            wide = parts[4].to(q.dtype)[:, position[None, :] - position[:, None] + length - 1]
            gate = parts[3].to(q.dtype).unflatten(0, (len(lengths), -1)).transpose(1, 2)[..., None]
            return F.scaled_dot_product_attention(q, k, v, attn_mask=gate * wide).transpose(1, 2).flatten(0, 1)

        calls: dict[str, Callable[..., Tensor]] = {
            "SDPA, bias spelled out": one_by_one,
            "in blocks of queries": lambda *p, n=lengths: attend_by_torch(*p[:3], n, bias_of(list(p))),
            "SDPA without a bias": lambda *p, n=lengths: attend_by_torch(*p[:3], n),
        }
        if length * total > 6e7:  # tens of gigabytes
            del calls["SDPA, bias spelled out"]
        if HAS_TRITON and plan.on_gpu:
            calls["Triton"] = lambda *p, n=lengths: attend_triton(*p[:3], n, bias_of(list(p)))
            calls["Triton without a bias"] = lambda *p, n=lengths: attend_triton(*p[:3], n)
            if length in {500, 1500}:
                calls["FlexAttention"] = lambda *p, n=lengths: attend_flex(*p[:3], n, bias_of(list(p)))
        for name, call in calls.items():
            given = parts[:3] if "without" in name else parts
            row: Row = {"clips of": length, "kernel": name}
            try:
                row |= both_ways(plan, call, given, flops)
            except Exception as error:  # noqa: BLE001  one kernel that fails leaves the others
                row |= {"forward": "-", "TFLOP/s": "-", "both ways": str(error)[:80]}
            rows.append(row)
    return rows


def both_ways(plan: Plan, call: Callable[..., Tensor], parts: list[Tensor], flops: float) -> Row:
    with torch.no_grad():
        forward = plan.milliseconds(lambda: call(*parts))
    slope = torch.randn_like(call(*parts))
    back = plan.milliseconds(lambda: torch.autograd.grad(call(*parts), parts, slope))
    return {"forward": forward, "TFLOP/s": flops / forward, "both ways": back}


def tilings(plan: Plan) -> list[Row]:
    """Other cuts of each kernel, on clips of 10 s and of 15.6 s: the fastest should be the one in use."""
    if not (HAS_TRITON and plan.on_gpu):
        return [{"left out": "needs a GPU"}]
    rows = []
    for kernel, cuts in TILINGS.items():
        kept = HALF[kernel]
        for cut in cuts:
            HALF[kernel] = Tiling(*cut)
            row: Row = {"kernel": kernel, "rows, step, warps, stages": str(cut), "in use": cut == tuple_of(kept)}
            for length in (500, 3000) if kernel == "forward" else (500, 780):
                lengths = [length] * (16_000 // length)
                parts = parts_of(lengths, 16, 64, "gated", torch.bfloat16, plan.device)
                try:
                    row[f"ms at {length}"] = of_one_kernel(plan, kernel, parts, lengths)
                except Exception as error:  # noqa: BLE001  a cut that does not fit this device
                    row[f"ms at {length}"] = type(error).__name__
            rows.append(row)
        HALF[kernel] = kept
    return rows


def tuple_of(tiling: Tiling) -> tuple[int, int, int, int]:
    return tiling.block, tiling.step, tiling.warps, tiling.stages


def of_one_kernel(plan: Plan, kernel: str, parts: list[Tensor], lengths: list[int]) -> float:
    if kernel == "forward":
        with torch.no_grad():
            return plan.milliseconds(lambda: attend_triton(*parts[:3], lengths, bias_of(parts)))
    query, key, value, gate, table = (part.detach() for part in parts)
    blocks = block_table(tuple(lengths), query.device)
    out, log_sums = triton_attention.packed_attention(query, key, value, blocks, gate, table, 0, None, 0.0)
    slope = torch.randn_like(out)
    return plan.milliseconds(
        lambda: triton_attention.packed_attention_backward(
            slope, out, log_sums, query, key, value, blocks, gate, table, 0, None, 0.0
        )
    )


# Encoding


def encoding(plan: Plan) -> list[Row]:
    """Clips of 10 s in bfloat16: seconds of audio a second and peak memory, all in turn in this run."""
    rows = []
    for name, config in plan.models.items():
        plain = build(config).eval().to(plan.device)
        half = prepare(plain, "bfloat16") if plan.on_gpu else prepare_cuda(plain, "bfloat16")
        theirs = transformers_model(config)
        if theirs is not None:
            theirs.eval().to(plan.device, torch.bfloat16)
        for clips in (1, 2) if plan.trial else (1, 8, 32, 128):
            packed = clips_of([1.0 if plan.trial else 10.0] * clips, plan.device)
            seconds = len(packed.values) / RATE
            calls: dict[str, Callable[[], object]] = {
                "sonant": lambda half=half, packed=packed: half(packed, layers=["last"])
            }
            if theirs is not None and clips <= 32:
                padded = packed.to_padded()[0].to(torch.bfloat16)
                calls["transformers"] = lambda theirs=theirs, padded=padded: theirs(padded)
            with torch.no_grad():
                took = measure(calls, plan.device, 1 if plan.trial else 7)
            for code, (time_, memory) in took.items():
                row = {"model": name, "clips": clips, "code": code, "audio s / s": seconds / time_, "peak GB": memory}
                rows.append({**row, "times transformers": took.get("transformers", (0, 0))[0] / time_})
    return rows


def deviations(plan: Plan) -> list[Row]:
    """Of what the encoding above computes, from the plain model in float32: every frame of every layer."""
    rows = []
    for name, config in plan.models.items():
        plain = build(config).eval().to(plan.device)
        packed = clips_of([1.0, 0.3] if plan.trial else [10.0, 3.3, 7.7, 0.1], plan.device)
        with torch.no_grad():
            expected = plain(packed)
            for precision in ("float32", "bfloat16", "float16"):
                readied = prepare_cuda(plain, precision)
                given = readied(packed)
                again = readied(packed)  # by a recording, where there is one
                third = readied(Packed.pack(packed.unpack()[:1]))
                frames = slice(0, int(given.lengths[0]))
                states = expected.hidden_states
                rows.append(
                    {
                        "model": name,
                        "precision": precision,
                        "relative, worst layer": max(relative(given.hidden_states[i], states[i]) for i in states),
                        "lowest cosine of a frame": min(
                            F.cosine_similarity(given.hidden_states[i], states[i], dim=-1).min().item() for i in states
                        ),
                        "recorded": relative(again.last, given.last),
                        "alone": relative(third.last, given.last[frames]),
                    }
                )
    return rows


def breakdown(plan: Plan) -> list[Row]:
    """Where the time of 32 clips of 10 s goes, and other ways to do the same."""
    config = plan.models["WavLM Large"]
    model = prepare_cuda(build(config).eval().to(plan.device), "bfloat16")
    packed = clips_of([0.5] * 2 if plan.trial else [10.0] * 32, plan.device)
    rows: list[Row] = []

    def add(what: str, call: Callable[[], object]) -> None:
        try:
            rows.append({"what": what, "ms": plan.milliseconds(call)})
        except Exception as error:  # noqa: BLE001  what fails here is no part of the library
            rows.append({"what": f"{what}: {str(error)[:80]}", "ms": "-"})

    with torch.no_grad():
        features = model.extractor(packed)
        frames = features.with_values(model.projection(model.projection.norm(features.values)))
        encoder: Any = model.encoder.encoder
        add("all", lambda: model(packed, layers=["last"]))
        add("extractor", lambda: model.extractor(packed))
        add("extractor, convolutions of channels last", lambda: channels_last(model.extractor, packed))
        add("positional convolution", lambda: encoder.positions(frames))
        with without(triton_convolution):
            add("positional convolution, the library's", lambda: encoder.positions(frames))
        add("positional convolution, the library's, channels last", lambda: channels_last_positions(encoder, frames))
        add("layers", lambda: model.encoder(frames, [], last=True))
        layer, x = encoder.layers[0], frames.values
        table = encoder.relative_positions.table(max(frames.sizes)).contiguous()
        add("a layer", lambda: layer(x, frames.sizes, table))
        add("its attention, with the products", lambda: layer.attention(x, frames.sizes, table))
        add("its feed-forward block", lambda: layer.feed_forward(x))
        norm = layer.feed_forward_norm
        arguments = (norm.weight, norm.bias, norm.eps, torch.bfloat16)
        mixed = layer.attention(x, frames.sizes, table)
        add("its sum and norm", lambda: norm_rows(x, *arguments, added=mixed, kept="sum"))
        add("its sum and norm, by torch", lambda: norm_reference(x, *arguments, added=mixed, kept="sum"))
        if plan.on_gpu:
            compiled = torch.compile(lambda x: layer(x, frames.sizes, table))
            add("a layer, compiled", lambda: compiled(x))
            profile(plan, "profile_encoding.txt", lambda: model(packed, layers=["last"]))
    return rows


def channels_last(extractor: CudaExtractor, speech: Packed) -> Tensor:
    """The convolutions after the first as the library of the GPU has them."""
    start = torch.randn(
        extractor.num_frames(speech.lengths).sum() * 64 + 15, extractor.channels, device=speech.values.device
    )
    x = start.to(extractor.dtype).T[None, :, None].contiguous(memory_format=torch.channels_last)
    for layer in extractor.rest:
        taps = torch.cat([part.unflatten(1, (-1, x.shape[1])) for part in layer.parts], 1)  # (out, kernel, in)
        weight = taps.transpose(1, 2)[:, :, None].contiguous(memory_format=torch.channels_last)
        x = layer.finish.activation(F.conv2d(x, weight, layer.bias, (1, layer.stride)))
    return x


def channels_last_positions(encoder: Any, frames: Packed) -> Tensor:
    positions = encoder.positions
    x = frames.values.to(positions.weight.dtype).T[None, :, None].contiguous(memory_format=torch.channels_last)
    weight = positions.weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, positions.bias, padding=(0, positions.kernel // 2), groups=positions.groups)


@contextmanager
def without(kernel: ModuleType) -> Iterator[None]:
    """As if our kernel could not serve: the library's operations take its place."""
    available = kernel.available
    kernel.available = lambda *_: False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        kernel.available = available  # type: ignore[attr-defined]


def little_audio(plan: Plan) -> list[Row]:
    """One clip at a time, from the first call on: what starting costs, and what recording the layers saves."""
    rows: list[Row] = []
    for name, config in plan.models.items():
        plain = build(config).eval().to(plan.device)
        for seconds in (1.0,) if plan.trial else (1.0, 5.0, 10.0, 30.0):
            model = prepare_cuda(plain, "bfloat16")
            packed = clips_of([seconds], plan.device)
            row: Row = {"model": name, "seconds": seconds}
            with torch.no_grad():
                for call in ("first ms", "second ms"):  # the second records
                    start = time.perf_counter()
                    model(packed, layers=["last"])
                    if plan.on_gpu:
                        torch.cuda.synchronize()
                    row[call] = 1e3 * (time.perf_counter() - start)
                row["then ms"] = plan.milliseconds(lambda model=model, packed=packed: model(packed, layers=["last"]))
                few, cuda_encoder.FEW_FRAMES = cuda_encoder.FEW_FRAMES, 0
                try:
                    row["unrecorded ms"] = plan.milliseconds(
                        lambda model=model, packed=packed: model(packed, layers=["last"])
                    )
                finally:
                    cuda_encoder.FEW_FRAMES = few
            rows.append(row)
    return rows


def long_audio(plan: Plan) -> list[Row]:
    """One clip in a single pass: peak memory beside the weights, and speed."""
    model = prepare_cuda(build(plan.models["WavLM Large"]).eval().to(plan.device), "bfloat16")
    rows = []
    for minutes in (0.05,) if plan.trial else (1 / 6, 1, 5, 15, 30, 60):
        packed = clips_of([60 * minutes], plan.device)
        with torch.no_grad():
            call = {"": lambda packed=packed: model(packed, layers=["last"])}
            ((time_, memory),) = measure(call, plan.device, 1 if plan.trial or minutes > 10 else 3).values()
        rows.append({"minutes": minutes, "peak GB": memory, "audio s / s": 60 * minutes / time_})
        del packed
        plan.free()
    return rows


# Pretraining


def pretraining(plan: Plan) -> list[Row]:
    """Forward, backward and update of WavLM Base on clips of 15.6 s, in bfloat16 with every dropout."""
    rows = []
    ways: dict[str, tuple[ModuleType, ...]] = {
        "sonant": (),
        "without our attention": (triton_attention, flex_attention),
        "without our positional convolution": (triton_convolution,),
    }
    for way, left_out in ways.items():
        for clips in (2,) if plan.trial else (22,) if left_out else (6, 22, 90):
            step, seconds = pretraining_step(plan, clips)
            with ExitStack() as stack:
                for kernel in left_out:
                    stack.enter_context(without(kernel))
                ((time_, memory),) = measure({"": step}, plan.device, 1 if plan.trial else 5).values()
                if plan.on_gpu and clips == 22 and not left_out:
                    profile(plan, "profile_pretraining.txt", step)
            rate = seconds / time_
            rows.append({"batch s": seconds, "how": way, "ms": 1e3 * time_, "audio s / s": rate, "peak GB": memory})
            plan.free()
    rows.append(
        {"batch s": "", "how": "mixing, one CPU thread", "ms": "", "audio s / s": mixing_rate(plan), "peak GB": ""}
    )
    return rows


def pretraining_step(plan: Plan, clips: int) -> tuple[Callable[[], None], float]:
    """One step of the published recipe's objective, and the seconds of audio in it."""
    backbone: Backbone = build(plan.models["WavLM Base"])
    config = MaskedPredictionConfig(targets=MFCCTargets(num_clusters=500))
    objective = MaskedPrediction(backbone, config).to(plan.device).train()
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-4, fused=True)
    length = 1.0 if plan.trial else 15.625
    speech = clips_of([length] * clips, plan.device)
    frames = backbone.num_frames(round(length * RATE)) * clips
    batch = SpeechBatch(speech, torch.rand(frames) < 0.5, torch.randint(500, (frames,))).to(plan.device)

    def step() -> None:
        with torch.autocast(plan.device.type, torch.bfloat16):
            loss = objective.loss(batch)
        loss.sum.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()

    return step, clips * length


def mixing_rate(plan: Plan) -> float:
    """Seconds of audio a second that one thread mixes, as WavLM Base's batches are."""
    rng = np.random.default_rng(0)
    crops = [rng.standard_normal(RATE if plan.trial else 250_000).astype(np.float32) for _ in range(6)]
    start, repeats = time.perf_counter(), 2 if plan.trial else 20
    for _ in range(repeats):
        mix_utterances(crops, Mixing(), rng)
    return repeats * sum(map(len, crops)) / RATE / (time.perf_counter() - start)


def profile(plan: Plan, name: str, call: Callable[[], object]) -> None:
    """What the device does during one call, longest first, into a file."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as seen:
        call()
        torch.cuda.synchronize()
    table = seen.key_averages().table(sort_by="self_cuda_time_total", row_limit=50, max_name_column_width=90)
    (plan.out / name).write_text(table)


class Part(NamedTuple):
    title: str
    function: Callable[[Plan], list[Row]]
    seconds: float  # at most


# What matters most comes first, in case time runs out.
PARTS = {
    "correctness": Part("The attention kernel against its reference in float64", correctness, 120),
    "convolution": Part("The positional convolution's kernel against its reference", convolution_correctness, 60),
    "encoding": Part("Encoding, bfloat16, clips of 10 s", encoding, 120),
    "pretraining": Part("Pretraining WavLM Base, bfloat16", pretraining, 120),
    "deviations": Part("Deviations of encoding from the plain model in float32", deviations, 60),
    "breakdown": Part("WavLM Large, 32 clips of 10 s, bfloat16", breakdown, 90),
    "little_audio": Part("One clip, bfloat16", little_audio, 90),
    "limits": Part("Limits of the machine", limits, 30),
    "long_audio": Part("WavLM Large, bfloat16, one clip in a single pass", long_audio, 90),
    "tilings": Part("Cuts of the attention kernels", tilings, 120),
    "attention": Part("Attention, 16,000 frames of WavLM Large, bfloat16, ms", attention, 120),
}


if __name__ == "__main__":
    main()
