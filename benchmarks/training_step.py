"""A training step (forward and backward) of sonant's models beside the same models of transformers, on a CPU.

    python -m benchmarks.training_step [--models wavlm-base hubert-base-ls960] [--clips 3] [--seconds 10] [--passes 5]
                                       [--threads N] [--dropout] [--bfloat16] [--profile]

Both have the same random weights and the same noise as input, and take turns; layerdrop is off. Printed are medians of
the time and of the processor's time, the peak of memory above that held before the step, the ratios to transformers
and, without dropout, the largest relative difference of the gradients of a parameter. Other load on the machine
disturbs the processor's time less.
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from sonant.benchmark import process_memory
from sonant.benchmark.peers import transformers_model
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.parameter_names import write
from sonant.layers.packed import Packed
from sonant.models import Backbone, build
from sonant.models.catalog import find
from sonant.models.families import family_of

DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "input_dropout")
RATE = 16_000


@dataclass
class Measured:
    """A system of which passes are timed."""

    name: str
    model: nn.Module
    forward: Callable[[], Tensor]
    autocast: bool
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0

    def step(self) -> None:
        """Compute the gradients of a fixed loss."""
        with torch.autocast("cpu", torch.bfloat16) if self.autocast else nullcontext():
            output = self.forward().float()  # (frames, dim)
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
        (output * weights).sum().backward()

    def timed_step(self) -> None:
        """Measure a step."""
        self.model.zero_grad(set_to_none=True)
        process_memory.forget_peak()
        before, wall, cpu = process_memory.held(), time.perf_counter(), time.process_time()
        self.step()
        self.wall.append(time.perf_counter() - wall)
        self.cpu.append(time.process_time() - cpu)
        self.peak = max(self.peak, process_memory.peak() - before)


def main(arguments: list[str] | None = None) -> None:
    """Measure the models in turn, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["wavlm-base", "hubert-base-ls960"])
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a clip")
    parser.add_argument("--passes", type=int, default=5, help="of each system, after one that is not counted")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dropout", action="store_true", help="with the published rates of dropout")
    parser.add_argument("--bfloat16", action="store_true", help="by autocast")
    parser.add_argument("--profile", action="store_true", help="print the operators of a step of each system, too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    systems = [
        system
        for name in options.models
        for system in _systems(name, options.clips, round(options.seconds * RATE), options)
    ]
    for _ in range(1 + options.passes):
        for system in systems:
            system.timed_step()
    precision = "bfloat16" if options.bfloat16 else "float32"
    dropout = "published dropout" if options.dropout else "no dropout"
    batch = f"{options.clips} x {options.seconds:g} s, {options.threads} threads, torch {torch.__version__}"
    print(f"{batch}, {precision}, {dropout}")
    print("\n| model | system | time | CPU time | memory | x transformers, time | CPU time | gradients differ by |")
    print("| --- | --- | --: | --: | --: | --: | --: | --- |")
    for ours, peer in zip(systems[::2], systems[1::2], strict=True):
        for system in (ours, peer):
            ratios = [
                median(b / a for a, b in zip(mine[1:], theirs[1:], strict=True))
                for mine, theirs in ((system.wall, peer.wall), (system.cpu, peer.cpu))
            ]
            apart = "" if options.dropout or system is peer else f"{_difference(ours.model, peer.model):.0e}"
            print(
                f"| {system.name} | {median(system.wall[1:]):.2f} s | {median(system.cpu[1:]):.2f} s | "
                f"{system.peak / 2**20:,.0f} MiB | {ratios[0]:.2f} | {ratios[1]:.2f} | {apart} |"
            )
    ours = systems[::2]
    for other in ours[1:]:
        ratio = median(a / b for a, b in zip(ours[0].cpu[1:], other.cpu[1:], strict=True))
        print(f"\n{ours[0].name} takes {ratio:.2f} times the CPU time of {other.name}".replace(" |", ","))
    if options.profile:
        for system in systems:
            _print_profile(system)


def _systems(name: str, clips: int, samples: int, options: Any) -> tuple[Measured, Measured]:
    """Return sonant's model and that of transformers."""
    card = find(name)
    rates = {} if options.dropout else {rate: 0.0 for rate in DROPOUTS if hasattr(card.config, rate)}
    torch.manual_seed(0)
    ours = build(replace(card.config, layerdrop=0.0, **rates)).train()
    assert isinstance(ours, Backbone)
    theirs = transformers_model(ours).train()
    theirs.config.apply_spec_augment = False
    theirs.requires_grad_(requires_grad=True)
    rows = torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))
    packed = Packed.pack(rows)
    return (
        Measured(f"{card.title} | sonant", ours, lambda: ours(packed, layers=["last"]).last, options.bfloat16),
        Measured(
            f"{card.title} | transformers",
            theirs,
            lambda: theirs(rows).last_hidden_state.flatten(0, 1),
            options.bfloat16,
        ),
    )


def _difference(ours: nn.Module, theirs: nn.Module) -> float:
    """Return the largest relative difference of gradients, by the norms of a parameter's.

    The biases of keys are left out: a softmax does not depend on them, so that their gradients are rounding alone.
    """
    assert isinstance(ours, Backbone)
    gradients = {name: weights.grad for name, weights in ours.named_parameters() if weights.grad is not None}
    renamed, _ = write(gradients, LAYOUTS[family_of(ours.config).key].rows)
    worst = 0.0
    for name, weights in theirs.named_parameters():
        if weights.grad is not None and name in renamed and not name.endswith("k_proj.bias"):
            apart = (renamed[name].double() - weights.grad.double()).norm() / weights.grad.double().norm()
            worst = max(worst, float(apart))
    return worst


def _print_profile(system: Measured) -> None:
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        system.timed_step()
    print(f"\n{system.name}\n")
    print(profiled.key_averages().table(sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=50))


if __name__ == "__main__":
    main()
