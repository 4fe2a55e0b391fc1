"""What a pretraining run costs, estimated from its recipe alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from sonant.models import BackboneConfig, build
from sonant.models.flops import Flops, forward_flops
from sonant.pretraining import MaskedTokensConfig
from sonant.recipes.pretraining import PretrainingRun, Stage, needs_previous

# What one GPU is taken to do: two fifths of the 400 TFLOP/s that a data-centre GPU of 2022 reaches in bfloat16; and one
# core of a CPU: as `sonant/wavlm-tiny` was trained, two of them at 25 seconds of audio a second.
GPU_FLOPS, UTILISATION = 400e12, 0.4
CPU_FLOPS = 40e9
ASSUMPTIONS = (
    f"a GPU does {GPU_FLOPS * UTILISATION / 1e12:g} TFLOP/s, {UTILISATION:.0%} of {GPU_FLOPS / 1e12:g} in bfloat16",
    f"a core of a CPU {CPU_FLOPS / 1e9:g} GFLOP/s",
    "a step costs three forward passes of the model (the backward pass is two), on clips of the longest crop",
    "not counted: what the objective adds to the model (a tenth at most), making of targets, reading of audio",
)


@dataclass(frozen=True)
class StageCost:
    """What one stage costs.

    Attributes:
        name: of the stage.
        audio_hours: that it sees, repetitions counted.
        flops: forward and backward, the start of the extractor with them.
    """

    name: str
    audio_hours: float
    flops: float

    @property
    def gpu_hours(self) -> float:
        return self.flops / (GPU_FLOPS * UTILISATION) / 3600

    @property
    def cpu_core_hours(self) -> float:
        return self.flops / CPU_FLOPS / 3600


@dataclass(frozen=True)
class RunCost:
    """What a run costs: the model's parameters, and its stages."""

    parameters: int
    stages: tuple[StageCost, ...]

    @property
    def total(self) -> StageCost:
        """All stages as one."""
        return StageCost(
            "all", sum(stage.audio_hours for stage in self.stages), sum(stage.flops for stage in self.stages)
        )


def estimate(run: PretrainingRun) -> RunCost:
    """The cost of a run; `ASSUMPTIONS` says at what speed, and what is not counted."""
    return RunCost(count_parameters(run.model), tuple(_stage_cost(run.model, stage) for stage in run.stages))


def count_parameters(config: BackboneConfig) -> int:
    """Of the model of a configuration; nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def needs(run: PretrainingRun) -> Iterator[tuple[str, str]]:
    """What must be given for a run to start: the setting, and what it wants."""
    yield "data", "recordings: a folder with a manifest.jsonl, or a manifest"
    if any(stage.mixing.probability > 0 and stage.mixing.noise_share > 0 for stage in run.stages):
        yield "noise", "a manifest of noises"
    if any(stage.batching.reverb_probability > 0 for stage in run.stages):
        yield "rooms", "a manifest of impulse responses"
    if needs_previous(run.stages[0]):
        codes = isinstance(run.stages[0].objective, MaskedTokensConfig)
        yield "teacher", "a vq-wav2vec that makes the tokens" if codes else "the model whose layers give the targets"


def _stage_cost(config: BackboneConfig, stage: Stage) -> StageCost:
    seconds = stage.batching.batch_seconds * stage.training.accumulate
    forward = _forward_flops_a_second(config, stage.batching.max_seconds)
    flops = 3 * stage.training.steps * seconds * (forward.context + _extractor(stage, forward))
    if stage.start == "fresh":
        flops += 3 * stage.extractor_steps * seconds * forward.extractor
    return StageCost(stage.name, stage.training.steps * seconds / 3600, flops)


def _extractor(stage: Stage, forward: Flops) -> int:
    """Nothing where the codes of the corpus are made once, before training."""
    return 0 if isinstance(stage.objective, MaskedTokensConfig) else forward.extractor


def _forward_flops_a_second(config: BackboneConfig, seconds: float) -> Flops:
    """Of clips so long, for each of their seconds."""
    flops = forward_flops(config, round(seconds * config.sampling_rate))
    return Flops(round(flops.extractor / seconds), round(flops.context / seconds))
