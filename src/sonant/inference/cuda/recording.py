"""Work for a GPU, recorded once and replayed on other contents: where launching it takes longer than running it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from threading import Lock
from typing import Any

import torch
from torch import Tensor

Work = Callable[[Sequence[Tensor]], list[Tensor]]


class Recording:
    """A CUDA graph of some work on tensors of fixed shapes; `pool` is the memory that it works in."""

    def __init__(self, work: Work, inputs: Sequence[Tensor], pool: Any) -> None:
        with torch.inference_mode(False), torch.no_grad():  # what is kept outlives the mode that it is made in
            self._inputs = [tensor.clone() for tensor in inputs]
            self._graph = torch.cuda.CUDAGraph()
            # Another thread may load audio on the way: only this one must keep to what can be recorded.
            with torch.cuda.graph(self._graph, pool, capture_error_mode="thread_local"):
                self._outputs = work(self._inputs)

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What the work makes of other contents."""
        for kept, given in zip(self._inputs, inputs, strict=True):
            kept.copy_(given)
        self._graph.replay()
        return [output.clone() for output in self._outputs]


class Recordings:
    """Those of one model, by what distinguishes them; work is recorded when it is asked for a second time.

    The first time compiles kernels and sets up libraries, which cannot be recorded, and often no second time follows.
    All work in the same memory: they are replayed one after another, and what they leave is copied at once.
    """

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self._known: OrderedDict[Hashable, Recording | None] = OrderedDict()
        self._pool: object = None
        self._lock = Lock()

    def __deepcopy__(self, memo: dict[int, object]) -> "Recordings":
        return Recordings(self.at_most)  # what is recorded belongs to the tensors of this model

    def run(self, key: Hashable, work: Work, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The work's outputs; `key` stands for the work and for the shapes of its inputs."""
        with self._lock:
            if key not in self._known:
                self._known[key] = None
                if len(self._known) > self.at_most:
                    self._known.popitem(last=False)  # the one unused for longest
                return work(inputs)
            if (recording := self._known[key]) is None:
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                recording = self._known[key] = Recording(work, inputs, self._pool)
            self._known.move_to_end(key)
            return recording.replay(inputs)
