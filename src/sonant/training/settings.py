"""Settings of training, and the optimizer."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from sonant.errors import ConfigurationError, UnknownName
from sonant.training.schedules import Linear, Schedule


@dataclass(frozen=True, kw_only=True)
class PartSettings:
    """Settings of a part of the objective.

    Attributes:
        name: of a module or parameter, such as "backbone.extractor"; the longest matching name counts.
        lr_factor: factor on the learning rate.
        frozen_steps: steps before its first update.
        frozen_from: step from which it is not updated any more; None: it is to the end. No gradient is computed for it
            then, so an extractor, which nothing lies below, costs no backward pass.
    """

    name: str
    lr_factor: float = 1.0
    frozen_steps: int = 0
    frozen_from: int | None = None

    def __post_init__(self) -> None:
        if self.frozen_from is not None and self.frozen_from <= self.frozen_steps:
            raise ConfigurationError(
                f"The part {self.name!r} would never be updated: frozen_steps={self.frozen_steps}, "
                f"frozen_from={self.frozen_from}. Let frozen_from be larger, or lr_factor=0."
            )

    def learns(self, step: int) -> bool:
        """Return True if update `step`, counted from 0, changes the part."""
        return step >= self.frozen_steps and (self.frozen_from is None or step < self.frozen_from)

    def holds(self, parameter: str) -> bool:
        """Return True if the named parameter belongs to the part."""
        return f"{parameter}.".startswith(f"{self.name}.")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of training with AdamW; the defaults are those published for the base models.

    Attributes:
        steps: updates of the weights.
        lr: peak learning rate.
        decay_vectors: apply weight decay to one-dimensional parameters too (biases, norms).
        clip_norm: largest norm of the gradient.
        grad_accumulation: batches in a step; the sum of their losses is divided by the sum of their counts.
        precision: "bfloat16" uses autocast where the device computes in bfloat16; weights and optimizer stay float32.
        compile: run the layers of Transformer encoders by `torch.compile`.
        gradient_checkpointing: keep only the inputs of each block for the backward pass, and compute the rest again.
        patience: evaluations of held-out recordings without a better one after which the training ends; 0: none.
        parts: with another learning rate, or frozen at first or at last.
        log_every, save_every, validate_every: in steps; the last with held-out recordings.
    """

    steps: int = 400_000
    lr: float = 5e-4
    schedule: Schedule = Linear()
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    decay_vectors: bool = True
    clip_norm: float = 10.0
    grad_accumulation: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    gradient_checkpointing: bool = False
    patience: int = 0
    parts: tuple[PartSettings, ...] = ()
    log_every: int = 50
    save_every: int = 1000
    validate_every: int = 1000

    def __post_init__(self) -> None:
        counts = ("steps", "grad_accumulation", "log_every", "save_every", "validate_every")
        if small := [name for name in counts if getattr(self, name) < 1]:
            raise ConfigurationError(f"Training.{small[0]}={getattr(self, small[0])} was given; expected 1 or more.")


class Updates:
    """AdamW with the learning rates and frozen steps of parts.

    Attributes:
        optimizer: with a parameter group for each combination of `lr_factor` and weight decay.
        lr: learning rate of the last update, without the factors of parts.
    """

    def __init__(self, objective: nn.Module, training: Training) -> None:
        self.training, self.lr = training, 0.0
        names = dict(objective.named_parameters())
        for part in training.parts:
            if not any(map(part.holds, names)):
                known = sorted({".".join(name.split(".")[:2]) for name in names})
                raise UnknownName("part of the training", part.name, known)
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        self._freezing: list[tuple[PartSettings, nn.Parameter]] = []
        for name, parameter in names.items():
            holding = [part for part in training.parts if part.holds(name)]
            part = max(holding, key=lambda each: len(each.name), default=PartSettings(name=name))
            decays = training.decay_vectors or parameter.ndim > 1
            groups.setdefault((part.lr_factor, decays), []).append(parameter)
            if (part.frozen_steps or part.frozen_from is not None) and parameter.requires_grad:
                self._freezing.append((part, parameter))
        self._factors = [factor for factor, _ in groups]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "weight_decay": training.weight_decay if decays else 0.0}
                for (_, decays), parameters in groups.items()
            ],
            lr=training.lr,
            betas=training.betas,
            eps=training.eps,
            fused=True,
        )

    def prepare(self, step: int) -> bool:
        """Set learning rates, and freeze or unfreeze parts, for an update; return True if parameters changed so."""
        self.lr = self.training.lr * self.training.schedule.scale(step, self.training.steps)
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = self.lr * factor
        changed = [parameter for part, parameter in self._freezing if parameter.requires_grad != part.learns(step)]
        for parameter in changed:
            parameter.requires_grad_(not parameter.requires_grad)
        return bool(changed)

    def step(self, *, skip: torch.Tensor) -> None:
        """Update the weights, unless `skip` (bool scalar on the device) is True, and clear the gradients."""
        self.optimizer.found_inf = skip.float()  # type: ignore[attr-defined]  # fused kernels read it, for GradScaler
        self.optimizer.step()
        self.optimizer.zero_grad()
