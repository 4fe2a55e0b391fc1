"""Cost of a pretraining run, estimated from its settings."""

from collections.abc import Iterator
from dataclasses import dataclass

from sonant.checkpoints.checkpoint import meta_backbone
from sonant.models import BackboneConfig
from sonant.models.families import family_of
from sonant.pretraining.flops import masked_share
from sonant.training.runs import PretrainingRun, Stage

# GPU: 40 % of 400 TFLOP/s in bfloat16, a data-center GPU of 2022. CPU core: measured in training `sonant/wavlm-tiny`,
# 25 seconds of audio a second on two.
GPU_FLOPS, UTILIZATION = 400e12, 0.4
CPU_FLOPS = 40e9
ASSUMPTIONS = (
    f"a GPU does {GPU_FLOPS * UTILIZATION / 1e12:g} TFLOP/s, {UTILIZATION:.0%} of {GPU_FLOPS / 1e12:g} in bfloat16",
    f"a core of a CPU {CPU_FLOPS / 1e9:g} GFLOP/s",
    "a step costs three forward passes of model and objective (the backward pass is two), on clips of the longest crop",
    "a step of self-distillation costs one more, of the slow copy",
    "not counted: making of targets, reading of audio, norms and activations",
)


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage.

    Attributes:
        audio_hours: processed audio, with repetitions.
        flops: of forward and backward passes, with the initial training of the extractor.
    """

    name: str
    audio_hours: float
    flops: float

    @property
    def gpu_hours(self) -> float:
        return self.flops / (GPU_FLOPS * UTILIZATION) / 3600

    @property
    def cpu_core_hours(self) -> float:
        return self.flops / CPU_FLOPS / 3600


@dataclass(frozen=True)
class RunCost:
    """Number of parameters of the model, and cost of the stages."""

    parameters: int
    stages: tuple[StageCost, ...]

    @property
    def total(self) -> StageCost:
        """Sums over all stages."""
        return StageCost(
            "all", sum(stage.audio_hours for stage in self.stages), sum(stage.flops for stage in self.stages)
        )


def estimate(run: PretrainingRun) -> RunCost:
    """Estimate the cost under `ASSUMPTIONS`. Raises ConfigurationError if an objective cannot train the model."""
    for stage in run.stages:
        stage.setup.expect(meta_backbone(run.model))
    return RunCost(count_parameters(run.model), tuple(_stage_cost(run.model, stage) for stage in run.stages))


def count_parameters(config: BackboneConfig) -> int:
    """Number of parameters of a model, computed without allocating it."""
    return sum(parameter.numel() for parameter in meta_backbone(config).parameters())


def needs(run: PretrainingRun) -> Iterator[tuple[str, str]]:
    """Yield the required settings of a run: name, and description of the value."""
    yield "data", "recordings: a folder of them, or a manifest"
    if any(stage.mixing.probability > 0 and stage.mixing.noise_probability > 0 for stage in run.stages):
        yield "noise", "a manifest of noises"
    if any(stage.batching.reverb_probability > 0 for stage in run.stages):
        yield "impulse_responses", "a manifest of impulse responses"
    first = run.stages[0]
    of_targets = first.setup.needs(first.objective)
    if run.initial_model or (first.start == "previous" and not run.teacher):
        yield "model", "the model to train further"
    if run.teacher or (of_targets and first.start == "fresh"):
        yield "teacher", of_targets or "the model whose weights are the start"


def _stage_cost(config: BackboneConfig, stage: Stage) -> StageCost:
    training, seconds = stage.training, stage.batching.batch_seconds
    batches = training.grad_accumulation * training.steps
    samples, clips = round(stage.batching.max_seconds * config.sampling_rate), seconds / stage.batching.max_seconds
    frames = round(seconds * config.sampling_rate / config.stride)
    masked = round(frames * masked_share(stage.objective.masking))
    flops = batches * stage.setup.training_flops(stage.objective, config, {samples: clips}, masked)
    if stage.start == "fresh":
        extractor = family_of(config).shape.flops(config, samples).extractor
        flops += 3 * training.grad_accumulation * stage.extractor_steps * clips * extractor
    return StageCost(stage.name, batches * seconds / 3600, flops)
