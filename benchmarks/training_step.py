"""A training step (forward and backward) of sonant's models beside the same models of transformers, on a CPU.

    python -m benchmarks.training_step [--models wavlm-base hubert-base-ls960] [--clips 3] [--seconds 10] [--passes 5]
                                       [--threads N] [--dropout] [--bfloat16] [--profile] [--labels]

With `--labels` a step learns transcripts by CTC and updates the weights (AdamW): of all but the extractor, and of the
head alone, which sonant computes from cached states too.

Both have the same random weights and the same noise as input, and take turns; layerdrop is off. Printed are medians of
the time and of the processor's time, the peak of memory above that held before the step, the ratios to the other and,
without dropout, the largest relative difference of the gradients of a parameter, or that of the losses. Other load on
the machine disturbs the processor's time less.
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from sonant.benchmark import process_memory
from sonant.benchmark.peers import transformers_model
from sonant.checkpoints import Head, save_pretrained
from sonant.checkpoints.families import LAYOUTS
from sonant.checkpoints.parameter_names import write
from sonant.layers.packed import Packed
from sonant.models import Backbone, build
from sonant.models.catalog import find
from sonant.models.families import family_of
from sonant.training.tasks import CTCTask
from sonant.training.tasks.batches import LabeledBatch
from sonant.training.tasks.lora import LoRA
from sonant.training.tasks.objective import Frozen, TaskObjective

DROPOUTS = ("dropout", "attention_dropout", "activation_dropout", "input_dropout")
RATE = 16_000
LETTERS_PER_SECOND = 12


@dataclass
class Measured:
    """A system of which passes are timed."""

    name: str
    model: nn.Module
    loss: Callable[[], Tensor]
    autocast: bool
    optimizer: torch.optim.Optimizer | None = None
    last_loss: float = 0.0
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0

    def step(self) -> None:
        """Compute the gradients of the loss, and update the weights if there is an optimizer."""
        with torch.autocast("cpu", torch.bfloat16) if self.autocast else nullcontext():
            loss = self.loss()
        loss.backward()
        self.last_loss = loss.item()
        if self.optimizer is not None:
            self.optimizer.step()

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
    parser.add_argument("--labels", action="store_true", help="learn transcripts by CTC, and update the weights")
    parser.add_argument("--profile", action="store_true", help="print the operators of a step of each system, too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    systems = [
        system
        for name in options.models
        for system in (_labeled if options.labels else _systems)(
            name, options.clips, round(options.seconds * RATE), options
        )
    ]
    for _ in range(1 + options.passes):
        for system in systems:
            system.timed_step()
    precision = "bfloat16" if options.bfloat16 else "float32"
    dropout = "published dropout" if options.dropout else "no dropout"
    batch = f"{options.clips} x {options.seconds:g} s, {options.threads} threads, torch {torch.__version__}"
    print(f"{batch}, {precision}, {dropout}")
    differing = "losses" if options.labels else "gradients"
    print(f"\n| model | system | time | CPU time | memory | x the other, time | CPU time | {differing} differ by |")
    print("| --- | --- | --: | --: | --: | --: | --: | --- |")
    for ours, peer in zip(systems[::2], systems[1::2], strict=True):
        for system in (ours, peer):
            ratios = [
                median(b / a for a, b in zip(mine[1:], theirs[1:], strict=True))
                for mine, theirs in ((system.wall, peer.wall), (system.cpu, peer.cpu))
            ]
            apart = "" if options.dropout or system is peer else f"{_apart(ours, peer, labels=options.labels):.0e}"
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
        Measured(f"{card.title} | sonant", ours, lambda: _fixed(ours(packed, layers=["last"]).last), options.bfloat16),
        Measured(
            f"{card.title} | transformers",
            theirs,
            lambda: _fixed(theirs(rows).last_hidden_state.flatten(0, 1)),
            options.bfloat16,
        ),
    )


def _fixed(output: Tensor) -> Tensor:
    """Compute a loss that weights the output (frames, dim) at random."""
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    return (output.float() * weights).sum()


def _labeled(name: str, clips: int, samples: int, options: Any) -> tuple[Measured, ...]:
    """Return pairs of sonant's model and that of transformers: trained whole, and frozen; then cached, and not."""
    rows = torch.randn(clips, samples, generator=torch.Generator().manual_seed(0))
    classes = ("<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'")
    letters = round(LETTERS_PER_SECOND * samples / RATE)
    labels = torch.randint(2, len(classes), (clips, letters), generator=torch.Generator().manual_seed(1))

    def ours(frozen: Frozen, *, cached: bool = False) -> Measured:
        card = find(name)
        rates = {} if options.dropout else {rate: 0.0 for rate in DROPOUTS if hasattr(card.config, rate)}
        torch.manual_seed(0)
        objective = TaskObjective(
            build(replace(card.config, layerdrop=0.0, **rates)),
            CTCTask(),
            classes,
            weighted=False,
            frozen=frozen,
            adapter=False,
            masks=False,
            lora=LoRA(),
        ).train()
        batch = LabeledBatch(Packed.pack(rows), Packed.pack(labels), rows.numel())
        if cached:
            with torch.no_grad():
                batch = replace(batch, states=objective.states(batch), speech=None)
        title = f"{card.title}, {'all trained' if frozen == 'extractor' else 'frozen'} | sonant{', cached' * cached}"
        return Measured(title, objective, lambda: objective(batch).sum, options.bfloat16, _adamw(objective))

    def theirs(frozen: Frozen, peer: Measured) -> Measured:
        from transformers import AutoModelForCTC

        objective = peer.model
        assert isinstance(objective, TaskObjective)
        with TemporaryDirectory() as folder:
            head = Head(objective.head_tensors(), objective.head_notes())
            save_pretrained(objective.backbone, folder, heads={"ctc": head})
            model = AutoModelForCTC.from_pretrained(folder).train()
        if not options.dropout:
            model.dropout = nn.Identity()  # before the head, where sonant has none
        model.config.apply_spec_augment = False
        model.config.ctc_zero_infinity, model.config.ctc_loss_reduction = True, "sum"
        (model.freeze_feature_encoder if frozen == "extractor" else model.freeze_base_model)()
        title = f"{peer.name.partition(' |')[0]} | transformers"
        return Measured(title, model, lambda: model(rows, labels=labels).loss, options.bfloat16, _adamw(model))

    whole, frozen = ours("extractor"), ours("backbone")
    pairs = (whole, theirs("extractor", whole), frozen, theirs("backbone", frozen))
    return (*pairs, ours("backbone", cached=True), ours("backbone"))


def _adamw(model: nn.Module) -> torch.optim.Optimizer:
    trained = [weights for weights in model.parameters() if weights.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-5, fused=True)


def _apart(ours: Measured, theirs: Measured, *, labels: bool) -> float:
    """Return the relative difference of the losses, or the largest one of gradients."""
    if labels:
        return abs(ours.last_loss - theirs.last_loss) / abs(theirs.last_loss)
    return _difference(ours.model, theirs.model)


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
