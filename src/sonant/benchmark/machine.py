"""A description of the machine, and its measured limits."""

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.inference import Precision
from sonant.models import BackboneConfig
from sonant.models.families import family_of

PACKAGES = ("sonant", "torch", "transformers", "openvino", "ctranslate2", "onnxruntime", "torchaudio", "numpy")
SHAPES = ((500, 768, 3072), (500, 1024, 4096), (1500, 1024, 1024))  # (frames, in, out), shapes of the models
GIGA = 1e9
# The number formats in which a precision may be computed.
ALLOWED: dict[Precision, tuple[Precision, ...]] = {
    "float32": ("float32",),
    "bfloat16": ("bfloat16", "float32"),
    "float16": ("float16", "float32"),
    "int8": ("bfloat16", "float32"),
}


@dataclass(frozen=True)
class MachineLimits:
    """Limits of this machine, measured with the threads of the run.

    Attributes:
        gflops: highest rate of a matrix product by precision, over all shapes and code paths, in GFLOP/s.
        paths: the code path of torch that reached it, by precision.
        bandwidth: of reading and writing main memory, in GB/s.
    """

    gflops: dict[str, float]
    paths: dict[str, str]
    bandwidth: float

    def seconds(self, config: BackboneConfig, num_samples: list[int], precision: Precision) -> float | None:
        """Return the least time for the arithmetic of these clips; None if the precision was not measured.

        The rate of a higher precision is used where it is faster. In int8, only the feed-forward layers are counted as
        integer products, the rest as floating-point ones.
        """
        clips = [family_of(config).shape.flops(config, samples) for samples in num_samples]
        total = sum(clip.total for clip in clips) / GIGA
        if precision not in self.gflops:
            return None
        floats = max((self.gflops[name] for name in ALLOWED[precision] if name in self.gflops), default=None)
        if floats is None or precision != "int8":
            return None if floats is None else total / floats
        quantized = sum(clip.feed_forward for clip in clips) / GIGA
        return quantized / max(self.gflops["int8"], floats) + (total - quantized) / floats


@dataclass(frozen=True)
class Machine:
    """The hardware and software of the machine, which every report contains."""

    processor: str
    cores: int
    threads: int
    memory_gib: float
    caches: str
    extensions: str
    system: str
    python: str
    gpu: str
    blas: str
    load: float
    packages: dict[str, str] = field(default_factory=dict)


def describe(threads: int) -> Machine:
    return Machine(
        processor=_cpu_field("model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        threads=threads,
        memory_gib=round(_memory_gib(), 1),
        caches=_caches(),
        extensions=torch.backends.cpu.get_cpu_capability() + "".join(f", {name}" for name in _extensions()),
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        python=platform.python_version(),
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none",
        blas=_blas(),
        load=round(_load(), 2),
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def measure_limits(*, seconds: float = 0.4) -> MachineLimits:
    """Time matrix products by every code path of torch, and memory traffic; about `seconds` for each."""
    gflops: dict[str, float] = {}
    paths: dict[str, str] = {}
    for precision, path, product in _products():
        rates = [_rate(product, *shape, seconds=seconds) for shape in SHAPES]
        best = max((rate for rate in rates if rate is not None), default=None)
        if best is not None and best > gflops.get(precision, 0):
            gflops[precision], paths[precision] = round(best, 1), path
    return MachineLimits(gflops, paths, round(_bandwidth(seconds), 1))


Product = Callable[[int, int, int], Callable[[], Tensor]]  # of (frames, in, out), as callables


def _products() -> list[tuple[Precision, str, Product]]:
    return [
        ("float32", "linear", lambda *shape: _linear(torch.float32, *shape)),
        ("float32", "oneDNN, packed weight", lambda *shape: _packed_linear(torch.float32, *shape)),
        ("bfloat16", "linear", lambda *shape: _linear(torch.bfloat16, *shape)),
        ("bfloat16", "oneDNN, packed weight", lambda *shape: _packed_linear(torch.bfloat16, *shape)),
        ("int8", "_int_mm", _integer_product),
    ]


def _linear(dtype: torch.dtype, frames: int, before: int, after: int) -> Callable[[], Tensor]:
    x, weight = torch.randn(frames, before).to(dtype), torch.randn(after, before).to(dtype)
    return lambda: F.linear(x, weight)


def _packed_linear(dtype: torch.dtype, frames: int, before: int, after: int) -> Callable[[], Tensor]:
    x, weight = torch.randn(frames, before).to(dtype), torch.randn(after, before).to(dtype)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, frames)  # noqa: SLF001 - no public name
    return lambda: torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], "")  # noqa: SLF001


def _integer_product(frames: int, before: int, after: int) -> Callable[[], Tensor]:
    x = torch.randint(-127, 128, (frames, before), dtype=torch.int8)
    weight = torch.randint(-127, 128, (after, before), dtype=torch.int8).t()
    return lambda: torch._int_mm(x, weight)  # noqa: SLF001 - torch has no public name for it


def _rate(product: Product, frames: int, before: int, after: int, *, seconds: float) -> float | None:
    """Return GFLOP/s of the fastest call; None if torch or the CPU does not support the product."""
    try:
        call = product(frames, before, after)
        call()
    except (RuntimeError, AttributeError, NotImplementedError):
        return None
    return 2 * frames * before * after / _fastest(call, seconds / len(SHAPES)) / GIGA


def _bandwidth(seconds: float) -> float:
    """Return GB/s of adding two arrays of 128 MiB into a third: two are read and one is written."""
    a, b, into = (torch.ones(2**25) for _ in range(3))
    return 3 * into.nbytes / _fastest(lambda: torch.add(a, b, out=into), seconds) / GIGA


def _fastest(call: Callable[[], object], seconds: float) -> float:
    fastest, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def _cpu_field(name: str) -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(rf"^{name}\s*: (.*)$", info.read_text(encoding="utf-8"), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else ""


def _extensions() -> list[str]:
    """Return the instruction sets of the CPU that speed up low precision."""
    flags = set(_cpu_field("flags").split()) | set(_cpu_field("Features").split())
    return [
        name
        for name in ("avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8", "bf16", "i8mm")
        if name in flags
    ]


def _caches() -> str:
    """Return the caches of the first core by level, kind and size: "L1d 32K, L2 1024K"."""
    parts = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text(encoding="ascii").strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            parts.append(f"L{level}{'d' if kind == 'Data' else ''} {size}")
    return ", ".join(parts)


def _memory_gib() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return 0.0


def _blas() -> str:
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return (found[1] if found else "unknown") + (", oneDNN" if torch.backends.mkldnn.is_available() else "")


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_limits(values: dict[str, Any]) -> MachineLimits:
    """Return the limits from their JSON values."""
    return MachineLimits(values["gflops"], values["paths"], values["bandwidth"])
