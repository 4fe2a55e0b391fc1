"""The machine: versions, the kernels that are used on it, and its limits of speed."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import torch.nn.functional as F
from contact import Contact
from facts import Fact

from sonant.inference.cuda.encoder import GraphedEncoder
from sonant.inference.cuda.exact_float32 import exact_float32
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.layers.attention import kernel_for
from sonant.layers.kernels import triton_clip_norm, triton_convolution
from sonant.layers.kernels.triton_blocks import serves


def versions(contact: Contact) -> Iterator[Fact]:
    """Return the GPU and the versions of the software."""
    fact: Fact = {"device": torch.cuda.get_device_name(contact.device) if contact.on_gpu else platform.machine()}
    if contact.on_gpu:
        properties = torch.cuda.get_device_properties(contact.device)
        fact |= {
            "capability": ".".join(map(str, torch.cuda.get_device_capability(contact.device))),
            "GB": properties.total_memory / 1e9,
            "multiprocessors": properties.multi_processor_count,
            "GPUs": torch.cuda.device_count(),
        }
    names = ("torch", "triton", "transformers", "numpy", "soundfile")
    fact |= {"python": sys.version.split()[0], "CPUs": os.cpu_count(), **{name: _version(name) for name in names}}
    yield fact


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def what_serves(contact: Contact) -> Iterator[Fact]:
    """Name the kernels that run, by their own report and by a trial, lest a fallback be measured as ours."""
    heads = torch.randn(8, 2, 64, device=contact.device, dtype=contact.half)
    frames = torch.randn(8, 128, device=contact.device, dtype=contact.half)
    convolution = triton_convolution.available(frames, contact.half, 64)
    name = "WavLM Base"
    model = optimize_for_cuda(contact.plain(name), "bfloat16")
    encoder = model.encoder
    assert isinstance(encoder, GraphedEncoder)
    clip = contact.clips([2.0])
    with torch.no_grad():
        for _ in range(3):
            model(clip, layers=["last"])
    with exact_float32():
        tf32 = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    fact = {
        "attention": kernel_for(heads, dropout=0.0),
        "attention in training": kernel_for(heads, dropout=0.1),
        "positional convolution": "triton" if convolution else "torch",
        "norm of the extractor in training": "triton" if triton_clip_norm.available(heads) else "torch",
        "norms": "triton" if serves(contact.device) else "torch",
        "CUDA graphs": encoder.graphs.count,
        "float32 convolutions": tf32,
    }
    kernels = ("attention", "attention in training", "positional convolution", "norm of the extractor in training")
    ours = all(fact[part] == "triton" for part in kernels) and encoder.graphs.count == 1
    yield {**fact, "passed": ours or not contact.on_gpu}


def limits(contact: Contact) -> Iterator[Fact]:
    """Time a large product and a large copy, on random numbers; then products of a model's shapes."""
    size = 64 if contact.trial else 8192
    a, b = (torch.randn(size, size, device=contact.device, dtype=torch.bfloat16) for _ in range(2))
    ms = contact.milliseconds(lambda: a @ b)
    yield {"what": f"product, bf16, {size} cubed", "ms": ms, "TFLOP/s": 2e-9 * size**3 / ms}
    copied = torch.randn(size * size * 8, device=contact.device)
    into = torch.empty_like(copied)
    ms = contact.milliseconds(lambda: into.copy_(copied))
    yield {"what": "copy, read and written", "ms": ms, "GB/s": 2e-6 * copied.nbytes / ms}
    frames = 64 if contact.trial else 16_000
    for given, made in ((1024, 3104), (1024, 1024), (1024, 4096), (4096, 1024)):
        x = torch.randn(frames, given, device=contact.device, dtype=torch.bfloat16)
        weight = torch.randn(made, given, device=contact.device, dtype=torch.bfloat16)
        ms = contact.milliseconds(lambda x=x, weight=weight: F.linear(x, weight))
        yield {"what": f"linear, {frames} x {given} to {made}", "ms": ms, "TFLOP/s": 2e-9 * frames * given * made / ms}


def cache_folder() -> Path:
    """Return where Triton keeps what it compiled."""
    return Path(os.environ.get("TRITON_CACHE_DIR", Path.home() / ".triton" / "cache"))
