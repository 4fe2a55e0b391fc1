"""The state that all rows share: the device, models that are built once, clips of noise, and the clock."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import Any

import torch
from facts import Fact
from torch import Tensor, nn

from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.inference.precision import Precision
from sonant.layers.packed import Packed
from sonant.models import Backbone, HuBERTConfig, WavLMConfig, build
from sonant.models.wavlm import LARGE

RATE = 16_000
SMALL = {"conv_channels": (32,) * 7, "dim": 64, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 128}
CONFIGS: dict[str, Any] = {"WavLM Base": WavLMConfig(), "WavLM Large": LARGE, "HuBERT Base": HuBERTConfig()}


class Contact:
    """The device of a process, with the models and clips to measure on it.

    Attributes:
        trial: whether shapes are tiny, to try the rows.
        out: folder for what is no table.
    """

    def __init__(self, out: Path, *, trial: bool) -> None:
        self.out, self.trial = out, trial
        self.on_gpu = torch.cuda.is_available()
        self.device = torch.device("cuda", torch.cuda.current_device()) if self.on_gpu else torch.device("cpu")
        self.config = cache(self._config)
        self.plain = cache(self._plain)
        self.optimized = cache(self._optimized)
        self.theirs = cache(self._theirs)

    @cached_property
    def half(self) -> torch.dtype:
        """bfloat16; float16 in Triton's interpreter, which has no other."""
        return torch.bfloat16 if self.on_gpu else torch.float16

    def _config(self, name: str) -> Any:
        return replace(CONFIGS[name], **SMALL) if self.trial else CONFIGS[name]

    def _plain(self, name: str) -> Backbone:
        torch.manual_seed(0)
        return build(self.config(name)).eval().to(self.device)

    def _optimized(self, name: str, precision: Precision) -> Backbone:
        return optimize_for_cuda(self.plain(name), precision)

    def _theirs(self, name: str) -> nn.Module | None:
        """Build the same shape in transformers, in bfloat16, if it is installed."""
        try:
            from transformers import WavLMConfig as Config
            from transformers import WavLMModel
        except ImportError:
            return None
        config = self.config(name)
        theirs = Config(
            hidden_size=config.dim,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=config.feed_forward_dim,
            conv_dim=config.conv_channels,
            feat_extract_norm=config.extractor_norm,
            do_stable_layer_norm=config.pre_norm,
        )
        with self.device:  # drawing weights there takes no time
            return WavLMModel(theirs).eval().to(torch.bfloat16)

    def clips(self, seconds: list[float], dtype: torch.dtype = torch.float32, seed: int = 1) -> Packed:
        """Make clips of noise, as zeros may be computed faster; in a trial a tenth as long, and three at most."""
        if self.trial:
            seconds = [max(0.3, min(1.0, length / 10)) for length in seconds[:3]]
        generator = torch.Generator().manual_seed(seed)
        packed = Packed.pack(0.1 * torch.randn(round(length * RATE), generator=generator) for length in seconds)
        return packed.with_values(packed.values.to(self.device, dtype))

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def free(self) -> None:
        """Free the memory of the last row, so that it does not count in the next."""
        if self.on_gpu:
            torch.cuda.empty_cache()

    def milliseconds(self, call: Callable[[], object]) -> float:
        """Return the median of one call, on the device's own clock."""
        if not self.on_gpu:
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        for _ in range(3):
            call()
        self.synchronize()
        times: list[float] = []
        start = time.monotonic()
        while len(times) < 5 or (time.monotonic() - start < 0.2 and len(times) < 50):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            call()
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last))
        return median(times)

    def seconds_and_memory(
        self, calls: dict[str, Callable[[], object]], repeats: int, warm: int = 2
    ) -> dict[str, tuple[float, float]]:
        """Return the median seconds of each call, all in turn, and its peak memory over what was there, in GB."""
        times: dict[str, list[float]] = {name: [] for name in calls}
        memory = dict.fromkeys(calls, 0.0)
        if self.trial:
            repeats, warm = 1, 0
        for repeat in range(repeats + warm):
            for name, call in calls.items():
                self.synchronize()
                before = torch.cuda.memory_allocated(self.device) if self.on_gpu else 0
                if self.on_gpu:
                    torch.cuda.reset_peak_memory_stats(self.device)
                start = time.perf_counter()
                call()
                self.synchronize()
                if repeat >= warm:
                    times[name].append(time.perf_counter() - start)
                if self.on_gpu:
                    memory[name] = max(memory[name], (torch.cuda.max_memory_allocated(self.device) - before) / 1e9)
        return {name: (median(times[name]), memory[name]) for name in calls}

    def profile(self, name: str, call: Callable[[], object]) -> None:
        """Write what the device does during one call, longest first, into a file."""
        if not self.on_gpu:
            return
        activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
        with torch.profiler.profile(activities=activities) as seen:
            call()
            self.synchronize()
        table = seen.key_averages().table(sort_by="self_device_time_total", row_limit=50, max_name_column_width=90)
        (self.out / name).write_text(table)


def relative(ours: Tensor, reference: Tensor) -> float:
    """Return the norm of the difference over that of the reference, in float64."""
    ours, reference = ours.detach().cpu().double(), reference.detach().cpu().double()
    return ((ours - reference).norm() / reference.norm()).item()


def judged(fact: Fact, tolerance: float, *deviations: float) -> Fact:
    """Return the fact with the verdict on some deviations; one that is no number fails."""
    return {**fact, "tolerance": tolerance, "passed": all(deviation <= tolerance for deviation in deviations)}
