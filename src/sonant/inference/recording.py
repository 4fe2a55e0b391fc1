"""Work for a GPU, recorded once and replayed on other contents: where launching it takes longer than running it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

Work = Callable[[Sequence[Tensor]], list[Tensor]]


class Recording:
    """A CUDA graph of some work on tensors of fixed shapes."""

    def __init__(self, work: Work, inputs: Sequence[Tensor]) -> None:
        with torch.inference_mode(False), torch.no_grad():  # what is kept outlives the mode that it is made in
            self._inputs = [tensor.clone() for tensor in inputs]
            self._graph = torch.cuda.CUDAGraph()
            # Another thread may load audio on the way: only this one must keep to what can be recorded.
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
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
    """

    def __init__(self, at_most: int) -> None:
        self.at_most = at_most
        self._known: OrderedDict[Hashable, Recording | None] = OrderedDict()

    def run(self, key: Hashable, work: Work, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The work's outputs; `key` stands for the work and for the shapes of its inputs."""
        if key not in self._known:
            self._known[key] = None
            if len(self._known) > self.at_most:
                self._known.popitem(last=False)  # the one unused for longest
            return work(inputs)
        recording = self._known[key] or Recording(work, inputs)
        self._known[key] = recording
        self._known.move_to_end(key)
        return recording.replay(inputs)
