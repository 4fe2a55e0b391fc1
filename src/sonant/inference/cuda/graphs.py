"""CUDA graphs: GPU work captured once and replayed on other inputs, where launching takes longer than running."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor, cuda

from sonant.errors import ModelWarning, warn

Work = Callable[[Sequence[Tensor]], list[Tensor]]

_CAPTURE = Lock()  # one capture at a time in a process


class CaptureFailed(Exception):
    """The work does not let itself be captured in a CUDA graph."""


class CapturedGraph:
    """A CUDA graph of some work on tensors of fixed shapes, all on one device; `pool` is the memory that it works in.

    Raises:
        CaptureFailed: the capture failed.
    """

    def __init__(self, work: Work, inputs: Sequence[Tensor], pool: Any) -> None:
        self._device = inputs[0].device
        with torch.inference_mode(False), torch.no_grad():  # what is kept outlives the mode that it is made in
            self._inputs = [tensor.clone() for tensor in inputs]
            # PyTorch captures, synchronizes and launches on the current device, whatever device the tensors are on.
            with _CAPTURE, cuda.device(self._device):
                before, stream = cuda.current_stream(self._device), _capture_stream(self._device)
                stream.wait_stream(before)
                with cuda.stream(stream):  # also ends what a failed capture leaves behind
                    work(self._inputs)  # libraries set themselves up for a thread and stream: not within a capture
                    self._graph, self._outputs = self._capture(work, pool, stream)
                before.wait_stream(stream)
                self._done = cuda.Event()
                self._done.record(before)

    def _capture(self, work: Work, pool: Any, stream: Any) -> tuple[Any, list[Tensor]]:
        graph = cuda.CUDAGraph()
        try:
            # Another thread may load audio on the way: only this one must keep to what can be captured.
            with cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                outputs = work(self._inputs)
        except RuntimeError as error:
            raise CaptureFailed(_first(error)) from error
        return graph, outputs

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return what the work makes of other contents, on the current stream of the device."""
        with cuda.device(self._device):
            stream = cuda.current_stream(self._device)
            stream.wait_event(self._done)  # the last replay may have been on another stream, in the same memory
            for kept, given in zip(self._inputs, inputs, strict=True):
                kept.copy_(given)
            self._graph.replay()
            outputs = [output.clone() for output in self._outputs]
            self._done.record(stream)
        return outputs


class GraphCache:
    """The CUDA graphs of one model on one device, by key; work is captured when it is asked for a second time.

    The first time compiles kernels, which cannot be captured, and often no second time follows. Work that cannot be
    captured is launched kernel by kernel from then on, with one warning for the model. All graphs use the same memory:
    they are replayed one after another, and their outputs are copied at once.
    """

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self._known: OrderedDict[Hashable, CapturedGraph | None] = OrderedDict()  # None: asked for once
        self._uncapturable: set[Hashable] = set()
        self._pool: object = None
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, object]) -> "GraphCache":
        return GraphCache(self.at_most)  # what is captured belongs to the tensors of this model

    def run(self, key: Hashable, work: Work, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Return the work's outputs; `key` stands for the work and for the shapes of its inputs."""
        with self._lock:
            if self._asked_before(key) and (graph := self._graph(key, work, inputs)) is not None:
                return graph.replay(inputs)
        return work(inputs)

    @property
    def count(self) -> int:
        """The number of CUDA graphs that are kept."""
        return sum(graph is not None for graph in self._known.values())

    def _asked_before(self, key: Hashable) -> bool:
        if key in self._uncapturable:
            return False
        if key in self._known:
            self._known.move_to_end(key)
            return True
        self._known[key] = None
        if len(self._known) > self.at_most:
            self._known.popitem(last=False)  # the one unused for longest
        return False

    def _graph(self, key: Hashable, work: Work, inputs: Sequence[Tensor]) -> CapturedGraph | None:
        if (graph := self._known[key]) is not None:
            return graph
        try:
            self._pool = self._pool or cuda.graph_pool_handle()
            graph = self._known[key] = CapturedGraph(work, inputs, self._pool)
        except CaptureFailed as error:
            if not self._uncapturable:
                warn(
                    f"The layers could not be captured in a CUDA graph ({error}). They are launched one by "
                    "one: short recordings take longer, the states are the same. Another library that uses the GPU in "
                    "the same process, or little free GPU memory, is a likely cause.",
                    ModelWarning,
                )
            del self._known[key]
            self._uncapturable.add(key)
            self._pool = None  # a failed capture leaves the allocator recording into it
        return graph


def _first(error: BaseException) -> BaseException:
    """Return the error that the others followed: a capture that one breaks off ends with another."""
    return error if error.__context__ is None else _first(error.__context__)


@cache
def _capture_stream(device: torch.device) -> Any:
    """The one stream of a device that is captured, as graphs that share memory must share it."""
    return cuda.Stream(device)
