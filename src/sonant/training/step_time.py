"""Duration of a training step on this machine, from a few steps of a stage's own model and objective."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import meta_backbone
from sonant.data.sampler import Layout
from sonant.layers.packed import Packed
from sonant.models import Backbone, BackboneConfig
from sonant.models import build as build_backbone
from sonant.models.devices import available_memory
from sonant.pretraining.batches import SpeechBatch
from sonant.pretraining.masked_prediction import MaskedPredictionConfig
from sonant.pretraining.targets import ResidualLayerTargets
from sonant.training.precision import autocast
from sonant.training.runs import Stage
from sonant.training.settings import Updates

REPETITIONS = 3
FIRST_SECONDS = 4.0  # audio of the first measurement
BYTES_PER_PARAMETER = 16  # weight, gradient and two moments
BYTES_PER_SECOND = 150e6  # of audio, kept for the backward pass, of a base model


@dataclass(frozen=True)
class StepTime:
    """Duration of a step.

    Attributes:
        expected, lowest, highest: seconds of a step; the range is that of the measured batches, and of two ways to
            extrapolate.
        measured_audio, batch_audio: seconds of audio in the largest measured batch, and in a batch of the stage.
    """

    expected: float
    lowest: float
    highest: float
    measured_audio: float
    batch_audio: float


class NotMeasured(Exception):
    """Reason why a step was not measured."""


def measure_step(model: BackboneConfig, stage: Stage, layout: Layout, device: str, *, limit_seconds: float) -> StepTime:
    """Measure batches of noise in the lengths of a batch, or of as much of it as time and memory allow.

    The first batch is small; the second as large as fits, and is scaled to the whole one by operations. A step is
    `grad_accumulation` batches and an update. Compilation (`training.compile`) is left out.

    Args:
        layout: recordings and lengths in samples of a batch.
        limit_seconds: roughly the longest time that the measurement may take.

    Raises:
        NotMeasured: the objective trains on codes instead of speech, or the model does not fit into memory.
    """
    if not stage.setup.runs_extractor:
        raise NotMeasured("steps on codes are not measured")
    parameters = sum(each.numel() for each in meta_backbone(model).parameters())
    room = available_memory(device)
    if room and parameters * BYTES_PER_PARAMETER > 0.8 * room:
        needed = parameters * BYTES_PER_PARAMETER / 2**30
        raise NotMeasured(f"the model and its optimizer take {needed:.0f} GiB; {room / 2**30:.0f} GiB are available")
    room -= parameters * BYTES_PER_PARAMETER
    with torch.random.fork_rng([torch.device(device)] if torch.device(device).type == "cuda" else []):
        return _measured(model, stage, [length for _, length in layout], device, room, limit_seconds)


def _measured(
    model: BackboneConfig, stage: Stage, lengths: list[int], device: str, room: float, limit_seconds: float
) -> StepTime:
    deadline = time.monotonic() + limit_seconds
    torch.manual_seed(0)
    backbone = build_backbone(model)
    objective = stage.setup.build(backbone, stage.objective).to(device).train()
    updates = Updates(objective, stage.training)
    updates.prepare(0)

    def batch(clips: list[int]) -> SpeechBatch:
        return _noise(backbone, stage, clips).to(device)

    def pass_over(clips: list[int]) -> list[float]:
        given = batch(clips)

        def once() -> None:
            with autocast(torch.device(device), stage.training.precision):
                loss = objective(given)
            loss.sum.backward()

        return _timed(once, device, deadline)

    def flops(clips: list[int]) -> float:
        frames = sum(backbone.num_frames(length) for length in clips)
        counts = {length: float(clips.count(length)) for length in set(clips)}
        return stage.setup.training_flops(stage.objective, model, counts, frames // 2)

    least = max(model.receptive_field, round(2 * stage.batching.min_seconds * model.sampling_rate))
    small = [min(lengths[0], max(least, round(FIRST_SECONDS * model.sampling_rate)))]
    objective.start(batch(small))
    times, measured = pass_over(small), small
    large = _prefix(lengths, model, room, (deadline - time.monotonic()) / (REPETITIONS + 1) / min(times), flops, small)
    proportional = np.array(times) * flops(lengths) / flops(small)
    affine = proportional
    if large and sum(large) > sum(small):
        with suppress(torch.OutOfMemoryError):
            more = pass_over(large)
            slope = (min(more) - min(times)) / (flops(large) - flops(small))
            proportional = np.array(more) * flops(lengths) / flops(large)
            affine = np.array(more) + max(0.0, slope) * (flops(lengths) - flops(large))
            measured = large
    update = min(_timed(lambda: updates.step(skip=torch.zeros((), device=device)), device, deadline))
    count = stage.training.grad_accumulation
    every = count * np.concatenate([proportional, affine]) + update
    best = count * (np.median(proportional) + np.median(affine)) / 2 + update
    rate = model.sampling_rate
    return StepTime(float(best), float(every.min()), float(every.max()), sum(measured) / rate, sum(lengths) / rate)


def _prefix(
    lengths: list[int],
    model: BackboneConfig,
    room: float,
    growth: float,
    flops: Callable[[list[int]], float],
    small: list[int],
) -> list[int]:
    """Return as many clips of a batch as fit into the memory, and take at most `growth` times as long as the first."""
    width = max(1.0, model.dim * model.num_layers / (768 * 12))
    chosen: list[int] = []
    for length in lengths:
        more = [*chosen, length]
        seconds = sum(more) / model.sampling_rate
        if flops(more) > growth * flops(small) or (room > 0 and seconds * BYTES_PER_SECOND * width > 0.7 * room):
            break
        chosen = more
    return chosen


def _noise(backbone: Backbone, stage: Stage, lengths: list[int]) -> SpeechBatch:
    """Make a batch of clips of noise, with random masks and targets."""
    rng = np.random.default_rng(0)
    frames = [backbone.num_frames(length) for length in lengths]
    masking = stage.objective.masking
    mask = np.zeros(sum(frames), dtype=bool) if masking is None else masking.draw_batch(frames, rng)
    targets: Tensor | None = None
    if isinstance(stage.objective, MaskedPredictionConfig):
        labels = stage.objective.targets
        shape = (sum(frames), labels.num_codebooks) if isinstance(labels, ResidualLayerTargets) else (sum(frames),)
        targets = torch.from_numpy(rng.integers(labels.num_clusters, size=shape))
    clips = [torch.from_numpy(rng.standard_normal(length).astype(np.float32) * 0.1) for length in lengths]
    return SpeechBatch(Packed.pack(clips), torch.from_numpy(mask), targets)


def _timed(once: Callable[[], None], device: str, deadline: float) -> list[float]:
    """Return the durations of up to REPETITIONS calls after a first one; that of the first if time is up."""
    times: list[float] = []
    for _ in range(REPETITIONS + 1):
        began = time.monotonic()
        once()
        if torch.device(device).type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.monotonic() - began)
        if len(times) > 1 and time.monotonic() > deadline:
            break
        if len(times) == 1 and time.monotonic() + times[0] > deadline:
            return times
    return times[1:]
