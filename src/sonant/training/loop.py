"""One training loop for every objective: it reads in the order in which things happen."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import nn

from sonant.data.settings import plain
from sonant.errors import ConfigurationError, SonantError
from sonant.loss import Loss
from sonant.training.log import TrainingLog
from sonant.training.schedules import Linear, Schedule
from sonant.training.state import load_state, save_state

MAX_BAD_STEPS = 20


class Batch(Protocol):
    @property
    def num_samples(self) -> int:
        """Samples of audio, for the throughput shown."""

    def to(self, device: torch.device | str) -> Self: ...


B = TypeVar("B", bound=Batch)
B_contra = TypeVar("B_contra", contravariant=True)


class Objective(Protocol[B_contra]):
    """A module that turns a batch into a loss; pretraining and tasks alike."""

    def loss(self, batch: B_contra) -> Loss: ...


@runtime_checkable
class Annealed(Protocol):
    """An objective whose settings change as training goes on, such as the temperature of its quantizer."""

    def anneal(self, step: int) -> None:
        """Called before each update with the number of updates done."""


class DivergedError(SonantError):
    """The error raised when the gradient stays NaN or infinite for many steps on end."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The length, learning rate and optimizer of training; the defaults are those published for the base models.

    Attributes:
        steps: updates of the weights.
        lr: highest learning rate of Adam.
        schedule: the course of the learning rate.
        betas, eps, weight_decay: of Adam; the decay is decoupled.
        clip_norm: largest norm of the gradient.
        grad_accumulation: batches in a step; their losses are averaged over all that they count, not batch by batch.
        precision: "bfloat16" runs the forward pass under autocast; weights and optimizer stay float32.
        log_every, save_every: in steps.
    """

    steps: int = 400_000
    lr: float = 5e-4
    schedule: Schedule = Linear()
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip_norm: float = 10.0
    grad_accumulation: int = 1
    precision: Literal["float32", "bfloat16"] = "float32"
    log_every: int = 50
    save_every: int = 1000

    def __post_init__(self) -> None:
        if min(self.steps, self.grad_accumulation, self.log_every, self.save_every) < 1:
            raise ConfigurationError("Training.steps, grad_accumulation, log_every and save_every must be at least 1.")


def train(
    objective: nn.Module,
    batches: Callable[[int], Iterator[B]],
    training: Training,
    folder: str | Path,
    *,
    device: torch.device | str = "cpu",
    sampling_rate: int = 16_000,
    stop_at: int | None = None,
) -> None:
    """Train an objective in place, from where the folder left off.

    Interrupted at any step and called again, it ends with the same weights, to the bit, as a run that was not.

    Args:
        objective: an `Objective`; its weights are updated.
        batches: gives the batches from a number on (step times `grad_accumulation`), without end.
        folder: holds `state.pt`, `metrics.jsonl` and the TensorBoard events.
        stop_at: leave after this step, with the state saved, as an interruption would.

    Raises:
        ConfigurationError: the folder holds the state of a training with other settings; only `log_every` and
            `save_every` may change.
        DivergedError: the gradient was not finite for many steps on end.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(device)
    objective.to(device).train()
    optimizer = torch.optim.AdamW(
        objective.parameters(),
        lr=training.lr,
        betas=training.betas,
        eps=training.eps,
        weight_decay=training.weight_decay,
        fused=True,
    )
    first = load_state(folder / "state.pt", objective, optimizer, plain(training))
    if first >= training.steps:
        return
    last = training.steps if stop_at is None else min(stop_at, training.steps)

    with ExitStack() as stack:
        log = stack.enter_context(
            TrainingLog(folder, first, training.steps, sampling_rate=sampling_rate, objective=objective)
        )
        stream = stack.enter_context(_Prefetched(batches(first * training.grad_accumulation)))
        bad_steps = 0
        for step in range(first, last):
            for group in optimizer.param_groups:
                group["lr"] = training.lr * training.schedule.scale(step, training.steps)
            if isinstance(objective, Annealed):
                objective.anneal(step)

            count = 0
            for _ in range(training.grad_accumulation):
                batch = next(stream).to(device)
                with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
                    loss: Loss = objective.loss(batch)  # type: ignore[operator]  # an Objective and a Module
                loss.sum.backward()
                count += loss.count
                log.count(loss, batch.num_samples)

            for parameter in objective.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(max(count, 1))
            norm = nn.utils.clip_grad_norm_(objective.parameters(), training.clip_norm).item()
            if math.isfinite(norm):
                optimizer.step()
                bad_steps = 0
            else:
                bad_steps += 1
            optimizer.zero_grad()
            if bad_steps > MAX_BAD_STEPS:
                raise DivergedError(
                    f"The gradient was not finite for {bad_steps} steps up to step {step}. Lower the learning rate, "
                    f"lengthen the warm-up, or try float32; {folder} still holds the last good state."
                )

            done = step + 1
            due = done % training.log_every == 0 or done == training.steps
            log.step(done, lr=optimizer.param_groups[0]["lr"], gradient_norm=norm, due=due)
            if (done % training.save_every == 0 and bad_steps == 0) or done == last:
                save_state(folder / "state.pt", done, objective, optimizer, plain(training))


class _Prefetched(Generic[B]):
    """An iterator that makes its next item on another thread while this one is used."""

    def __init__(self, items: Iterator[B]) -> None:
        self._items = items
        self._pool = ThreadPoolExecutor(1)
        self._next = self._pool.submit(next, items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __next__(self) -> B:
        item = self._next.result()
        self._next = self._pool.submit(next, self._items)
        return item
