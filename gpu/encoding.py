"""Encoding: seconds of audio per second and peak memory, in turn with transformers, on short and long input."""

import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from contact import RATE, Contact
from facts import Fact
from row import Row

from sonant.inference.cuda import encoder as cuda_encoder
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.inference.precision import Precision
from sonant.models import build
from sonant.recipes import pretraining_recipe
from training import PUBLISHED

BATCHES: list[tuple[str, Precision, int, float]] = [
    ("WavLM Large", "bfloat16", 32, 10.0),
    ("WavLM Large", "bfloat16", 8, 30.0),
    ("WavLM Large", "bfloat16", 1, 240.0),
    ("WavLM Base", "bfloat16", 32, 10.0),
    ("WavLM Large", "float32", 32, 10.0),
    ("WavLM Large", "bfloat16", 128, 10.0),
]


def rows() -> Iterator[Row]:
    """Yield the rows of batches of clips."""
    for model, precision, clips, seconds in BATCHES:
        measure = partial(batch, model=model, precision=precision, clips=clips, seconds=seconds)
        yield Row(f"encode {model} {precision} {clips} x {seconds:.0f} s", "Encoding, clips of one length", 60, measure)


def single_rows() -> Iterator[Row]:
    """Yield the rows of one clip, from the first call on."""
    for model in ("WavLM Large", "WavLM Base"):
        for seconds in (1.0, 10.0, 30.0):
            measure = partial(single, model=model, seconds=seconds)
            yield Row(f"one clip {model} {seconds:.0f} s", "One clip, bfloat16, ms", 15, measure)


def long_rows() -> Iterator[Row]:
    """Yield the rows of one long clip in a single pass; from 15 minutes on, without warm-up."""
    for minutes in (5, 15, 60):
        measure = partial(long, minutes=minutes)
        yield Row(f"one pass {minutes} min", "WavLM Large, bfloat16, one clip in a single pass", 40, measure)


def family_rows() -> Iterator[Row]:
    """Yield the rows of the published shape of every family."""
    for recipe in PUBLISHED:
        yield Row(f"embed {recipe}", "Families, bfloat16, 32 x 10 s", 25, partial(family, recipe=recipe))


@torch.no_grad()
def batch(contact: Contact, *, model: str, precision: Precision, clips: int, seconds: float) -> Iterator[Fact]:
    """Measure sonant and transformers in turn, from waveforms to the last layer."""
    ours = contact.optimized(model, precision)
    packed = contact.clips([seconds] * clips)
    calls: dict[str, Callable[[], object]] = {"sonant": lambda: ours(packed, layers=["last"])}
    theirs = contact.theirs(model) if precision == "bfloat16" and clips <= 32 else None
    if theirs is not None:
        padded = packed.to_padded()[0].to(torch.bfloat16)
        calls["transformers"] = lambda: theirs(padded)
    whole = len(packed.values) / RATE
    took = contact.seconds_and_memory(calls, 3)
    for code, (each, memory) in took.items():
        fact: Fact = {"model": model, "precision": precision, "clips": f"{clips} x {seconds:.0f} s", "code": code}
        fact |= {"audio s / s": whole / each, "peak GB": memory}
        yield fact | ({"times transformers": took["transformers"][0] / each} if theirs is not None else {})


@torch.no_grad()
def single(contact: Contact, *, model: str, seconds: float) -> Iterator[Fact]:
    """Time the first call, the second, which captures a CUDA graph, calls that replay it, and calls without graphs."""
    optimized = optimize_for_cuda(contact.plain(model), "bfloat16")
    packed = contact.clips([seconds])

    def call() -> object:
        return optimized(packed, layers=["last"])

    fact: Fact = {"model": model, "seconds": seconds}
    for name in ("first", "second"):
        start = time.perf_counter()
        call()
        contact.synchronize()
        fact[name] = 1e3 * (time.perf_counter() - start)
    fact["replayed"] = contact.milliseconds(call)
    few, cuda_encoder.FEW_FRAMES = cuda_encoder.FEW_FRAMES, 0
    try:
        fact["eager"] = contact.milliseconds(call)
    finally:
        cuda_encoder.FEW_FRAMES = few
    yield fact


@torch.no_grad()
def long(contact: Contact, *, minutes: int) -> Iterator[Fact]:
    """Measure speed, and peak memory less the weights."""
    model = contact.optimized("WavLM Large", "bfloat16")
    packed = contact.clips([60.0 * minutes])
    call = {"": lambda: model(packed, layers=["last"])}
    ((took, memory),) = contact.seconds_and_memory(call, 1, warm=1 if minutes < 15 else 0).values()
    yield {"minutes": minutes, "audio s / s": len(packed.values) / RATE / took, "peak GB": memory}


@torch.no_grad()
def family(contact: Contact, *, recipe: str) -> Iterator[Fact]:
    """Measure the optimized model of a published run."""
    torch.manual_seed(0)
    plain = build(pretraining_recipe(PUBLISHED[recipe] if contact.trial else recipe).model).eval()
    model = optimize_for_cuda(plain, "bfloat16", contact.device)
    packed = contact.clips([10.0] * 32, model.waveform_dtype)
    call = {"": lambda: model(packed, layers=["last"])}
    ((took, memory),) = contact.seconds_and_memory(call, 3).values()
    yield {"recipe": recipe, "audio s / s": len(packed.values) / RATE / took, "peak GB": memory}
