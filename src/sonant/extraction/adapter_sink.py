"""A sink that applies a model's convolutional adapter to blocks of frames, before a head."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.inference.unoptimized import evaluated
from sonant.layers.conv_adapter import ConvAdapter, GatedConvLayer, StridedGate
from sonant.layers.packed import Packed

AdapterOn = Callable[[torch.device], ConvAdapter]


class _StreamedGate:
    """A strided convolution over frames that arrive in blocks; the result equals that over all frames at once."""

    def __init__(self) -> None:
        self._held: Tensor | None = None  # last frames, which kernel positions of the next block also cover
        self._skip = 0  # next frames to drop, where the stride is longer than the kernel

    def __call__(self, gate: StridedGate, frames: Tensor, *, ended: bool) -> Tensor:
        """Return the output frames (fewer, dim) that are complete after the next input frames (frames, dim)."""
        (kernel,), (stride,) = gate.kernel_size, gate.stride
        before = frames.new_zeros(gate.margin, frames.shape[1]) if self._held is None else self._held
        after = frames.new_zeros(gate.margin if ended else 0, frames.shape[1])
        stream = torch.cat([before, frames, after])
        skipped = min(self._skip, len(stream))
        stream, self._skip = stream[skipped:], self._skip - skipped
        count = max(0, (len(stream) - kernel) // stride + 1)
        self._held = stream[count * stride :]
        self._skip += max(0, count * stride - len(stream))
        if not count:
            return frames.new_zeros(0, frames.shape[1])
        return F.glu(gate(stream.T[None])[0].T)


class AdapterSink:
    """A sink for the last hidden state that passes the adapter's output on to another sink.

    A purely convolutional adapter runs on blocks of frames, in constant memory. One with attention runs at the end, on
    all frames.

    Args:
        adapter_on: returns the adapter on a device.
        sink: receives the adapter's output.
        at_once: whether the sink needs all of it in one block, as an LSTM does.
    """

    def __init__(self, adapter_on: AdapterOn, sink: Any, *, at_once: bool = False) -> None:
        self._adapter_on, self._sink, self._at_once = adapter_on, sink, at_once
        self._gates: list[_StreamedGate] | None = None
        self._blocks: list[Tensor] = []
        self.abandon = sink.abandon

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        """Process the next frames (1, frames, dim)."""
        adapter = self._adapter_on(frames.device)
        if not self._at_once and all(isinstance(layer, GatedConvLayer) for layer in adapter.layers):
            with evaluated(adapter):
                self._hand_on(self._streamed(adapter, adapter.widened(frames[0]), ended=False))
            self._blocks = [frames[0, :0]]  # empty; sets width and device of the last call
        else:
            self._blocks.append(frames[0])

    def settled(self) -> Any:
        """Return what became certain of the other sink's result."""
        return self._sink.settled()

    @torch.no_grad()
    def finish(self) -> Any:
        """Pass on the remaining frames and return the other sink's result."""
        frames = torch.cat(self._blocks)
        adapter = self._adapter_on(frames.device)
        with evaluated(adapter):
            if self._gates is not None:
                self._hand_on(self._streamed(adapter, adapter.widened(frames), ended=True))
            else:
                self._hand_on(adapter(Packed.pack([frames])).values)
        return self._sink.finish()

    def _streamed(self, adapter: ConvAdapter, frames: Tensor, *, ended: bool) -> Tensor:
        if self._gates is None:
            self._gates = [_StreamedGate() for _ in adapter.gates]
        for gate, streamed in zip(adapter.gates, self._gates, strict=True):
            frames = streamed(gate, frames, ended=ended)
        return frames

    def _hand_on(self, frames: Tensor) -> None:
        if len(frames):
            self._sink.append(frames[None])
