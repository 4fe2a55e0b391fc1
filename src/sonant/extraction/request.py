"""The request of layers, pooling, batch and window sizes for encoding, checked when it is made."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.pooling import POOLS, Pool, pooled_dim

Layer = int | Literal["last"]  # a hidden state by number (0: input of the first block), or the model's output

WINDOW_SECONDS = 60.0
OVERLAP_SECONDS = 8.0


@dataclass(frozen=True, kw_only=True)
class EncodeRequest:
    """Layers, pooling, and the sizes of batches and windows.

    Attributes:
        layers: states to return, in this order.
        stacked: whether the result has a leading layer axis.
        pool: None keeps the frames.
        normalize: scale each vector (or frame) to length one.
        batch_seconds: audio in a forward pass; None: the device's default.
        window_seconds: length of the windows into which longer recordings are cut; None never cuts.
        overlap_seconds: overlap of neighboring windows; each frame has at least half of it as context. None: 8 s, or a
            quarter of windows shorter than 32 s.
    """

    layers: tuple[Layer, ...] = ("last",)
    stacked: bool = False
    pool: Pool | None = None
    normalize: bool = False
    batch_seconds: float | None = None
    window_seconds: float | None = WINDOW_SECONDS
    overlap_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.pool is not None and self.pool not in POOLS:
            raise UnknownName("pooling", self.pool, [*POOLS, None])
        for name in ("batch_seconds", "window_seconds", "overlap_seconds"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                raise ConfigurationError(f"{name}={value!r} was given; expected a number of seconds, or None.")
        if self.batch_seconds is not None and not self.batch_seconds > 0:
            raise ConfigurationError(
                f"batch_seconds={self.batch_seconds} was given; it must be more than 0, such as 60, or None."
            )
        if self.window_seconds is not None and not self.window_seconds > 0:
            raise ConfigurationError(
                f"window_seconds={self.window_seconds} was given; it must be more than 0, or None to never cut."
            )
        if self.window_seconds is not None and not 0 <= self.overlap < self.window_seconds:
            raise ConfigurationError(
                f"overlap_seconds={self.overlap:g} was given for windows of {self.window_seconds:g} s; it must be at "
                "least 0 and less than a window, such as a fifth of it."
            )

    @property
    def overlap(self) -> float:
        """The overlap of neighboring windows in seconds."""
        if self.overlap_seconds is not None:
            return self.overlap_seconds
        return min(OVERLAP_SECONDS, (self.window_seconds or WINDOW_SECONDS) / 4)

    def vector_dim(self, dim: int) -> int:
        """Return the width of a result vector, for a model of width `dim`."""
        return pooled_dim(dim, self.pool)

    @property
    def layer_names(self) -> list[str]:
        return [f"layer_{layer}" for layer in self.layers]


def resolve_layers(layer: Layer | Literal["all"] | Sequence[Layer], num_layers: int) -> tuple[tuple[Layer, ...], bool]:
    """Return the layers of a `layer=` argument, and whether the result has a layer axis.

    "all" is states 0 to `num_layers`; "last" is the model's output, after its final norm where it has one.
    """
    if isinstance(layer, str) and layer == "all":
        return tuple(range(num_layers + 1)), True
    if isinstance(layer, str) or not isinstance(layer, Iterable):
        return (_known(layer, num_layers),), False
    layers = tuple(_known(one, num_layers) for one in layer)
    if not layers:
        raise ConfigurationError(
            "An empty list of layers was given; name at least one, or leave `layer` out for the last."
        )
    return layers, True


def _known(layer: Any, num_layers: int) -> Layer:
    if layer == "last":
        return "last"
    if not isinstance(layer, bool | str) and layer in range(num_layers + 1):
        return int(layer)
    is_number = isinstance(layer, int) or (isinstance(layer, str) and layer.lstrip("-").isdigit())
    hint = ""
    if is_number and str(layer).startswith("-"):
        hint = (
            f"Layers are not counted from the end: the output of the model is 'last', of its last block {num_layers}."
        )
    elif is_number:
        hint = f"Layers are whole numbers from 0 to {num_layers}."
    raise UnknownName("layer", layer, [*range(num_layers + 1), "last", "all"], hint=hint)
