"""A step of pretraining: forward, backward and update, in bfloat16 with every dropout."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from contact import RATE, Contact
from facts import Fact
from row import Row
from torch import nn

from sonant.audio.augment import Mixing, mix_utterances
from sonant.layers.kernels import flex_attention, triton_attention, triton_clip_norm, triton_convolution
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, build
from sonant.pretraining import (
    CPC,
    CPCConfig,
    MaskedContrast,
    MaskedContrastConfig,
    MaskedPrediction,
    MaskedPredictionConfig,
    MFCCTargets,
    SpeechBatch,
    W2vBERTObjective,
    W2vBERTObjectiveConfig,
)
from sonant.recipes import pretraining_recipe

SECTION = "Pretraining step, bfloat16"
LENGTH = 15.625  # seconds of a clip, as WavLM Base was trained
VARIED = [float(seconds) for seconds in np.linspace(4, 15.6, 35).round(2)]  # as much speech, in many lengths
WAYS: dict[str, tuple[Callable[[], AbstractContextManager[None]], ...]] = {
    "sonant": (),
    "without our attention": (lambda: without(triton_attention), lambda: without(flex_attention)),
    "without our positional convolution": (lambda: without(triton_convolution),),
    "without our norm of the extractor": (lambda: without(triton_clip_norm),),
    "feed-forward by 4,096 rows": (lambda: in_blocks(4096),),
}
OBJECTIVES: dict[type, type[nn.Module]] = {
    CPCConfig: CPC,
    MaskedContrastConfig: MaskedContrast,
    MaskedPredictionConfig: MaskedPrediction,
    W2vBERTObjectiveConfig: W2vBERTObjective,
}
PUBLISHED = {  # and the small run of the same family, for a trial
    "wav2vec_large": "wav2vec_tiny",
    "vq_wav2vec_gumbel": "vq_wav2vec_tiny",
    "wav2vec2_base": "wav2vec2_tiny",
    "wav2vec2_large_lv60": "wav2vec2_tiny",
    "hubert_base": "hubert_tiny",
    "wavlm_base": "wavlm_tiny",
    "w2v_bert2": "w2v_bert_tiny",
}


def rows() -> Iterator[Row]:
    """Yield the rows of WavLM Base and HuBERT Base, also without our kernels and in other ways."""
    for model, way in (
        ("WavLM Base", "sonant"),
        ("HuBERT Base", "sonant"),
        ("WavLM Base", "without our attention"),
        ("WavLM Base", "without our positional convolution"),
        ("WavLM Base", "without our norm of the extractor"),
        ("WavLM Base", "feed-forward by 4,096 rows"),
    ):
        measure = partial(step_of, model=model, way=way, seconds=[LENGTH] * 22)
        yield Row(f"train {model} {way}", SECTION, 30, measure)
    yield Row("train varied", SECTION, 30, partial(step_of, model="WavLM Base", way="sonant", seconds=VARIED))
    yield Row("train mixing", SECTION, 15, mixing)


def shipped_rows() -> Iterator[Row]:
    """Yield the row of the shipped model's training."""
    yield Row("train wavlm_tiny", "The shipped model's training", 40, shipped)


def last_rows() -> Iterator[Row]:
    """Yield the rows for which memory may not suffice, and those of the published runs of every family."""
    largest = partial(step_of, model="WavLM Base", way="sonant", seconds=[LENGTH] * 90)
    yield Row("train 90 clips", SECTION, 30, largest)
    for recipe in PUBLISHED:
        measure = partial(published, recipe=recipe)
        yield Row(f"train {recipe}", "Published pretraining, first stage, bfloat16", 30, measure)


def step_of(contact: Contact, *, model: str, way: str, seconds: list[float]) -> Iterator[Fact]:
    """Measure time and memory of one step; write a profile for the first row."""
    config = MaskedPredictionConfig(targets=MFCCTargets(num_clusters=500))
    objective = MaskedPrediction(build(contact.config(model)), config).to(contact.device).train()
    batch = batch_for(objective.backbone, contact.clips(seconds), 500).to(contact.device)
    step = stepping(contact, objective, batch)
    with ExitStack() as stack:
        for change in WAYS[way]:
            stack.enter_context(change())
        ((took, memory),) = contact.seconds_and_memory({"": step}, 5).values()
        if way == "sonant" and len(seconds) == 22 and model == "WavLM Base":
            contact.profile("profile_pretraining.txt", step)
    whole = len(batch.speech.values) / RATE
    fact = {"model": model, "how": way, "clips": len(batch.speech), "batch s": whole, "ms": 1e3 * took}
    yield {**fact, "audio s / s": whole / took, "peak GB": memory}


def batch_for(backbone: Backbone, speech: Packed, clusters: int) -> SpeechBatch:
    """Return speech with half of its frames masked, and random targets if there are clusters."""
    frames = sum(backbone.num_frames(samples) for samples in speech.sizes)
    targets = torch.randint(clusters, (frames,)) if clusters else None
    return SpeechBatch(speech, torch.rand(frames) < 0.5, targets)


def stepping(contact: Contact, objective: Any, batch: SpeechBatch, rate: float = 1e-4) -> Callable[[], Any]:
    """Return a call that makes a step and returns its loss."""
    optimizer = torch.optim.AdamW(objective.parameters(), lr=rate, fused=True)

    def step() -> Any:
        with torch.autocast(contact.device.type, torch.bfloat16):
            loss = objective(batch)
        (loss.sum / loss.count.clamp(min=1)).backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.sum.detach() / loss.count.clamp(min=1)

    return step


@contextmanager
def without(kernel: ModuleType) -> Iterator[None]:
    """Disable one of our kernels while the context is open, so that the library's operations take its place."""
    available = kernel.available
    kernel.available = lambda *_: False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        kernel.available = available  # type: ignore[attr-defined]


@contextmanager
def in_blocks(rows: int) -> Iterator[None]:
    """Compute feed-forward blocks on so many rows at a time while the context is open."""
    plain = FeedForward.forward
    FeedForward.forward = lambda block, x: torch.cat([plain(block, part) for part in x.split(rows)])  # type: ignore[method-assign]
    try:
        yield
    finally:
        FeedForward.forward = plain  # type: ignore[method-assign]


def mixing(contact: Contact) -> Iterator[Fact]:
    """Measure the audio that one thread of the CPU mixes, as for batches of WavLM Base."""
    rng = np.random.default_rng(0)
    crops = [rng.standard_normal(RATE if contact.trial else 250_000).astype(np.float32) for _ in range(6)]
    start, repeats = time.perf_counter(), 2 if contact.trial else 20
    for _ in range(repeats):
        mix_utterances(crops, Mixing(), rng)
    rate = repeats * sum(map(len, crops)) / RATE / (time.perf_counter() - start)
    yield {"how": "mixing, one CPU thread", "audio s / s": rate}


def shipped(contact: Contact) -> Iterator[Fact]:
    """Test a short run on one batch of noise: steps per second, and a loss that falls."""
    run = pretraining_recipe("wavlm_tiny")
    config = run.stages[0].objective
    assert isinstance(config, MaskedPredictionConfig)
    objective: Any = MaskedPrediction(build(run.model), config).to(contact.device).train()
    clusters = config.targets.num_clusters
    batch = batch_for(objective.backbone, contact.clips([8.0] * 11), clusters).to(contact.device)
    step = stepping(contact, objective, batch, 5e-4)
    losses = [float(step()) for _ in range(2 if contact.trial else 3)]
    contact.synchronize()
    start, steps = time.perf_counter(), 2 if contact.trial else 200
    for _ in range(steps):
        last = step()
    losses.append(float(last))
    fact = {"model": "wavlm_tiny", "batch s": len(batch.speech.values) / RATE, "steps": steps}
    fact |= {"steps / s": steps / (time.perf_counter() - start), "first loss": losses[0], "last loss": losses[-1]}
    yield {**fact, "passed": bool(np.isfinite(losses).all()) and (contact.trial or losses[-1] < losses[0])}


def published(contact: Contact, *, recipe: str) -> Iterator[Fact]:
    """Measure a step of a published run's first stage."""
    run = pretraining_recipe(PUBLISHED[recipe] if contact.trial else recipe)
    torch.manual_seed(0)
    backbone = build(run.model)
    config = run.stages[0].objective
    clusters = config.targets.num_clusters if isinstance(config, MaskedPredictionConfig) else 0
    build_objective: Any = OBJECTIVES[type(config)]
    objective = build_objective(backbone, config).to(contact.device).train()
    batch = batch_for(backbone, contact.clips([10.0] * 35), clusters).to(contact.device)
    ((took, memory),) = contact.seconds_and_memory({"": stepping(contact, objective, batch, 1e-5)}, 3).values()
    whole = len(batch.speech.values) / RATE
    yield {"recipe": recipe, "batch s": whole, "audio s / s": whole / took, "peak GB": memory}
