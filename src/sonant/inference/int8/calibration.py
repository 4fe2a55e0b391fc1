"""Runs of a model in float32 on the probe, which measure the blocks that may be multiplied in integers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sonant.inference.cpu.arithmetic import Arithmetic
from sonant.inference.cpu.smoothing import Peaks
from sonant.inference.cpu_copy import optimized_block
from sonant.inference.int8.check import equalized
from sonant.inference.int8.probe import probe_clips
from sonant.inference.modules import plain_copy, replace_blocks
from sonant.inference.structure import has_expected_parts
from sonant.layers.attention import SelfAttention
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward
from sonant.models import Backbone, Encoded, VQWav2Vec
from sonant.models.backbone import LinearGroup

Block = FeedForward | SelfAttention


@dataclass(frozen=True, eq=False)
class Calibration:
    """The results of a run in float32 on the probe.

    Attributes:
        model: a plain copy in float32.
        speech: the probe, packed.
        states: of `model`.
        peaks: by the name of the block; blocks that the run did not reach are missing.
    """

    model: Backbone
    speech: Packed
    states: Encoded
    peaks: Mapping[str, Peaks]


@torch.no_grad()
def calibrate(backbone: Backbone) -> Calibration:
    """Find the largest magnitudes in each block that the model's `int8_groups` names; the model stays as it is."""
    model = plain_copy(backbone, torch.float32, torch.device("cpu"))
    speech = Packed.pack(probe_clips(backbone.sampling_rate))
    blocks = _blocks(model)
    peaks: dict[nn.Linear, Tensor] = {}

    def note(layer: nn.Linear, args: tuple[Tensor, ...], _: Tensor) -> None:
        largest = args[0].abs().amax(0)
        peaks[layer] = largest.maximum(peaks[layer]) if layer in peaks else largest

    with _watched([layer for block in blocks.values() for layer in _layers(block)], note):
        states = model(speech)
    reached = {name: block for name, block in blocks.items() if all(layer in peaks for layer in _layers(block))}
    return Calibration(
        model,
        speech,
        states,
        {name: Peaks(*(peaks[layer] for layer in _layers(block))) for name, block in reached.items()},
    )


@torch.no_grad()
def harm(calibration: Calibration, arithmetic: Arithmetic) -> dict[str, float]:
    """Measure the change that integers make to each block's worst frame, relative to it, channels equalized."""
    blocks = {block: name for name, block in _blocks(calibration.model).items() if name in calibration.peaks}
    found: dict[str, float] = dict.fromkeys(calibration.peaks, 0.0)

    def compare(block: Block, args: tuple[Any, ...], output: Tensor) -> None:
        name = blocks[block]
        in_integers = optimized_block(block, arithmetic, calibration.peaks[name])
        assert in_integers is not None
        given, expected = equalized(in_integers(*args), output)
        worst = ((given - expected).norm(dim=1) / expected.norm(dim=1)).max()
        found[name] = max(found[name], float(worst.nan_to_num(torch.inf)))

    with _watched(list(blocks), compare):
        calibration.model(calibration.speech)
    return found


def group_of(block: nn.Module) -> LinearGroup | None:
    """The group that the linear layers of a block belong to; None for other modules."""
    match block:
        case FeedForward():
            return "feed_forward"
        case SelfAttention():
            return "attention"
    return None


def _blocks(model: Backbone) -> dict[str, Block]:
    """The blocks of a plain copy, by name, that integers may replace: those of its `int8_groups`."""
    names = {id(block): name for name, block in model.named_modules()}
    found: dict[str, Block] = {}

    def note(block: nn.Module) -> nn.Module | None:
        match block:
            case VQWav2Vec():
                return block  # and nothing inside it
            case FeedForward() | SelfAttention() if group_of(block) in model.int8_groups and has_expected_parts(block):
                found[names[id(block)]] = block
        return None

    if note(model) is None:
        replace_blocks(model, note)
    return found


def _layers(block: Block) -> tuple[nn.Linear, nn.Linear]:
    """The linear layers that are given the inputs of the two products."""
    return (block.inner, block.outer) if isinstance(block, FeedForward) else (block.query, block.output)


@contextmanager
def _watched(modules: list[Any], call: Callable[..., None]) -> Iterator[None]:
    """Call a function behind each of some modules for a time: `call(module, arguments, output)`."""
    handles = [module.register_forward_hook(call) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
