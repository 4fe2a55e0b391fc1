"""Training loop of all objectives."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sonant.data.settings import json_values
from sonant.errors import ConfigurationError, SonantError
from sonant.loss import Objective
from sonant.training.arithmetic_limit import arithmetic_limit
from sonant.training.compilation import compiled
from sonant.training.kept_memory import kept_memory
from sonant.training.log import Monitoring, TrainingLog
from sonant.training.precision import autocast
from sonant.training.prefetch import Batch, Batches, Prefetcher
from sonant.training.ranks import data_parallel, on_first, summed, vary_random_numbers, world
from sonant.training.recomputation import recomputed
from sonant.training.settings import Training, Updates
from sonant.training.state import TrainingProgress, load_state, save_state
from sonant.training.throughput import Throughput
from sonant.training.validation import BEST, LOWEST_LOSS, Criterion, HeldOut, evaluate, keep_best

MAX_BAD_STEPS = 20


class DivergedError(SonantError):
    """Error of a run whose gradient stayed NaN or infinite for more than MAX_BAD_STEPS steps, or for all there are."""


def train(
    objective: Objective,
    batches: Batches[Batch],
    training: Training,
    folder: str | Path,
    *,
    held_out: HeldOut[Batch] | None = None,
    criterion: Criterion = LOWEST_LOSS,
    device: torch.device | str = "cpu",
    workers: int = 0,
    sampling_rate: int | None = 16_000,
    monitoring: Monitoring | None = None,
    stop_at: int | None = None,
) -> None:
    """Train an objective in place, from the state in the folder if there is one.

    An interrupted run ends with bit-identical weights. If torch.distributed is initialized, its processes train
    together on disjoint batches; gradients are divided by the count over all of them, and rank 0 writes.

    Args:
        batches: batches by number, `grad_accumulation` for each step.
        folder: for `state.pt`, `metrics.jsonl` and files of trackers.
        held_out: batches to evaluate every `validate_every` steps; the best weights are saved as `best.pt`.
        criterion: measure of the best weights.
        monitoring: reports beside `metrics.jsonl`.
        sampling_rate: of the audio, for its hours in reports; None: the batches are text.
        workers: processes that make batches; 0 makes them on a thread.
        stop_at: save the state after this step and return.

    Raises:
        ConfigurationError: the state in the folder is of other settings than these, except for `state.MAY_DIFFER`; or
            `patience` was given without `held_out`.
        DivergedError: the gradient was not finite for many steps. Such steps change no weights; they are counted on the
            device, and checked at each report or save.
    """
    if training.patience and held_out is None:
        raise ConfigurationError(
            f"patience={training.patience} was given, and there are no held-out recordings to evaluate. Give some, or "
            "set patience=0."
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device(device)
    if str(device) == "cuda":  # other threads may have another current device
        device = torch.device("cuda", torch.cuda.current_device())
    objective.to(device).train()
    updates = Updates(objective, training)
    vary_random_numbers()
    progress = load_state(folder / "state.pt", objective, updates.optimizer, json_values(training), device)
    if progress.step >= training.steps or _is_stale(progress, training):
        return
    _drop_earlier_best(folder, progress)
    first, last = progress.step, training.steps if stop_at is None else min(stop_at, training.steps)

    monitoring = monitoring or Monitoring()
    throughput = Throughput(
        sampling_rate,
        device,
        num_samples=progress.num_samples,
        flops=monitoring.flops,
        limit=arithmetic_limit(device, training.precision) if monitoring.flops else None,
    )

    with ExitStack() as stack:
        log = TrainingLog(
            folder, first, training.steps, objective=objective, throughput=throughput, monitoring=monitoring
        )
        stack.enter_context(log)
        stack.enter_context(_arranged(objective, training))
        stack.enter_context(kept_memory(device))
        numbers = range(first * training.grad_accumulation, last * training.grad_accumulation)
        stream = stack.enter_context(Prefetcher(batches, numbers, device, workers=workers))
        bad_steps = most_bad_steps = torch.zeros((), device=device)
        for step in range(first, last):
            if updates.prepare(step) or step == first:
                model = data_parallel(objective, device)
            objective.anneal(step)
            _compute_gradients(model, stream, training, log, device)
            norm = nn.utils.clip_grad_norm_(objective.parameters(), training.clip_norm)
            updates.step(skip=~norm.isfinite())
            bad_steps = torch.where(norm.isfinite(), 0.0, bad_steps + 1)
            most_bad_steps = torch.maximum(most_bad_steps, bad_steps)

            done = step + 1
            reporting = done % training.log_every == 0 or done == training.steps
            saving = done % training.save_every == 0 or done == last
            if reporting or saving:
                most = min(MAX_BAD_STEPS, last - 1) if first == 0 else MAX_BAD_STEPS  # a short run has a good step
                _check_converges(most_bad_steps, most, step, folder)
            log.step(done, lr=updates.lr, gradient_norm=norm, due=reporting)
            if monitoring.probe is not None and (done % monitoring.probe_every == 0 or done == training.steps):
                with throughput.paused():
                    log.write(done, on_first(monitoring.probe))
            if held_out is not None and (done % training.validate_every == 0 or done == training.steps):
                with throughput.paused():
                    metrics = evaluate(objective, held_out, device, precision=training.precision)
                log.write(done, metrics)
                if progress.improves(criterion.cost(metrics)):
                    keep_best(folder, objective, done, metrics)
            stopping = _is_stale(progress, training)
            if stopping or (saving and (done == last or not bad_steps)):
                progress.step, progress.num_samples = done, throughput.num_samples()
                save_state(folder / "state.pt", progress, objective, updates.optimizer, json_values(training), device)
            if stopping:
                log.write(done, {"stopped": f"the last {progress.stale} evaluations were no better than one before"})
                break


@contextmanager
def _arranged(objective: Objective, training: Training) -> Iterator[None]:
    """Compile and recompute blocks while the context is open, where the settings say so."""
    with ExitStack() as stack:
        if training.compile:
            stack.enter_context(compiled(objective))
        if training.gradient_checkpointing:
            stack.enter_context(recomputed(objective))
        yield


def _drop_earlier_best(folder: Path, progress: TrainingProgress) -> None:
    """Remove the best weights of a run that was stopped before it saved a state, when another begins in its folder."""
    if progress.step == 0:
        on_first(lambda: (folder / BEST).unlink(missing_ok=True))


def _check_converges(bad_steps: torch.Tensor, most: int, step: int, folder: Path) -> None:
    """Raise DivergedError after more than `most` steps in a row without a finite gradient."""
    if bad_steps > most:
        raise DivergedError(
            f"The gradient was not finite for {int(bad_steps)} steps up to step {step}. Lower the learning rate, "
            f"lengthen the warm-up, or try float32; {folder} still holds the last good state."
        )


def _is_stale(progress: TrainingProgress, training: Training) -> bool:
    """Return True if the training has ended early."""
    return 0 < training.patience <= progress.stale


def _compute_gradients(
    model: nn.Module, stream: Iterator[Batch], training: Training, log: TrainingLog, device: torch.device
) -> None:
    """Compute the gradients of the batches of a step, divided by the count over all processes."""
    count = torch.zeros((), device=device)
    for part in range(training.grad_accumulation):
        with log.throughput.waiting():
            batch = next(stream)
        with _unsynchronized(model, still=part + 1 < training.grad_accumulation):
            with autocast(device, training.precision):
                loss = model(batch)
            loss.sum.backward()
        count = count + loss.count
        log.count(loss, batch)
    divide_gradients(model, summed(count).clamp(min=1) / world())  # DistributedDataParallel has divided by world()


def divide_gradients(model: nn.Module, count: Tensor) -> None:
    """Divide all gradients by a count, a scalar on the device, by one call."""
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    torch._foreach_div_(gradients, count)


def _unsynchronized(model: nn.Module, *, still: bool) -> AbstractContextManager[object]:
    """Skip the synchronization of gradients while more batches of the step follow."""
    return model.no_sync() if still and isinstance(model, DistributedDataParallel) else nullcontext()
