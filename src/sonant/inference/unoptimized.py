"""Modules that are run as they are inside a model that was optimized for inference."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Encoded
from sonant.models.normalization import RecordingStatistics

_lock = Lock()
_users: Counter[int] = Counter()  # of each module in training mode, by its id: the calls that want it otherwise


class Unoptimized(nn.Module):
    """A wrapper that calls the original module itself, so that its hooks, state and weights are always current.

    For the time of a call it is in evaluation mode, and no gradient is recorded. It computes in the type of its own
    weights; the result has the type of what came in.

    Args:
        name: its name in its model, and the reason why it runs as it is.
    """

    def __init__(self, module: nn.Module, name: str = "") -> None:
        super().__init__()
        self.module, self.name = module, name
        self.eval()

    def train(self, mode: bool = True) -> "Unoptimized":  # noqa: ARG002, FBT001, FBT002 - torch's own signature
        """Leave the module's mode unchanged, as the module belongs to the original model."""
        self.training = False
        return self

    def __getattr__(self, name: str) -> Any:
        """Return what the module has; its methods, and modules inside it, run as they are too."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            found = getattr(super().__getattr__("module"), name)
        if isinstance(found, nn.ModuleList):
            return found
        if isinstance(found, nn.Module):
            return Unoptimized(found)
        return partial(self._run, found) if callable(found) else found

    def forward(self, *args: Any, **named: Any) -> Any:
        return self._run(self.module, *args, **named)

    def _run(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        own, given = floating_dtype(self.module.parameters()), floating_dtype([*args, *named.values()])
        with torch.no_grad(), evaluated(self.module):
            if own is None or given is None or own == given:
                return function(*args, **named)
            return cast(function(*cast(args, own), **cast(named, own)), given)


class UnoptimizedBackbone(Backbone):
    """A whole backbone, or what stands for one, that is run as it is; see `Unoptimized`."""

    def __init__(self, model: Backbone, name: str) -> None:
        super().__init__()
        self.config, self.int8_groups = model.config, model.int8_groups
        self.whole = Unoptimized(model, name)
        if hasattr(model, "codes"):
            self.codes = self.whole.codes

    @property
    def num_layers(self) -> int:
        return self.whole.num_layers

    @property
    def waveform_dtype(self) -> torch.dtype:
        """The dtype of waveforms."""
        return self.whole.waveform_dtype

    def clip_statistics(self) -> RecordingStatistics | None:
        """Return what the model's own `clip_statistics` returns."""
        return self.whole.clip_statistics()

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        """Call the model's own `forward`."""
        return self.whole(speech, layers=layers, statistics=statistics)


def names_of_unoptimized(model: nn.Module) -> list[str]:
    """The modules in a copy optimized for inference that run as they are, each with the reason."""
    return [part.name.removeprefix("the model.") for part in model.modules() if isinstance(part, Unoptimized)]


@contextmanager
def evaluated(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for a time, without a call of `eval`, which some modules take for a sign to change weights.

    Several threads may need it at once: training mode comes back behind the last of them.
    """
    with _lock:
        held = [part for part in module.modules() if part.training or id(part) in _users]
        for part in held:
            _users[id(part)] += 1
            part.training = False
    try:
        yield
    finally:
        with _lock:
            for part in held:
                _users[id(part)] -= 1
                if not _users[id(part)]:
                    del _users[id(part)]
                    part.training = True


def floating_dtype(values: Any) -> torch.dtype | None:
    """Return the dtype of the first floating-point tensor; None if there is none."""
    for value in values:
        tensor = value.values if isinstance(value, Packed) else value
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            return tensor.dtype
    return None


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Cast floating-point tensors to a dtype, at any depth of tuples, lists, dictionaries and packed speech."""
    match value:
        case Tensor():
            return value.to(dtype) if value.is_floating_point() else value
        case Packed():
            return value.with_values(cast(value.values, dtype))
        case dict():
            return {key: cast(item, dtype) for key, item in value.items()}
        case tuple() | list():
            return type(value)(cast(item, dtype) for item in value)
    return value
