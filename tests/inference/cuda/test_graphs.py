"""Capture and replay of CUDA graphs: order, device and streams, on a record of the calls to CUDA."""

import copy
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from sonant.errors import ModelWarning
from sonant.inference.cuda import graphs as cuda_graphs
from sonant.inference.cuda.graphs import GraphCache

OTHER, OWN = "cuda:0", torch.device("cpu")  # the current device; where the inputs lie, as if it were a second GPU


class Cuda:
    """In place of `torch.cuda`: what was called, each with the device and the stream that were current then."""

    def __init__(self, failure: str | None = None) -> None:
        self.failure, self.log, self._state = failure, [], threading.local()
        self.graph_pool_handle = object
        self.capturing = 0

    def note(self, name: str) -> None:
        self.log.append((name, self.current("device"), self.current("stream")))

    def current(self, what: str) -> object:
        return getattr(self._state, what, {"device": OTHER, "stream": "the caller's"}[what])

    def device(self, device: object) -> AbstractContextManager[None]:
        return self._with("device", device)

    def stream(self, stream: object) -> AbstractContextManager[None]:
        return self._with("stream", stream)

    @contextmanager
    def _with(self, what: str, value: object) -> Iterator[None]:
        before = self.current(what)
        setattr(self._state, what, value)
        try:
            yield
        finally:
            setattr(self._state, what, before)

    def current_stream(self, device: object) -> SimpleNamespace:
        return SimpleNamespace(
            wait_stream=lambda _: self.note("wait"), wait_event=lambda _: self.note("wait for the last replay")
        )

    def Stream(self, device: object) -> SimpleNamespace:  # noqa: N802  as CUDA calls it
        return SimpleNamespace(of=device, wait_stream=lambda _: None)

    def Event(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(record=lambda _: self.note("done"))

    def CUDAGraph(self) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(replay=lambda: self.note("replay"))

    @contextmanager
    def graph(self, graph: object, *, pool: object, stream: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.capturing += 1
        assert self.capturing == 1, "two captures at once"
        self.note("capture")
        inner = self.current("stream")
        try:
            time.sleep(0.01)
            yield
            if self.failure:
                raise RuntimeError(self.failure)
        except RuntimeError as error:
            self._state.stream = "left behind"  # as PyTorch leaves the stream of a capture that it cannot end
            raise RuntimeError("capture invalidated") from error
        else:
            assert self.current("stream") is inner
        finally:
            self.capturing -= 1


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cuda]:
    given = Cuda()
    monkeypatch.setattr(cuda_graphs, "cuda", given)
    cuda_graphs._capture_stream.cache_clear()
    yield given
    cuda_graphs._capture_stream.cache_clear()


def noted(cuda: Cuda) -> cuda_graphs.Work:
    def doubled(inputs: Sequence[Tensor]) -> list[Tensor]:
        cuda.note("work")
        return [inputs[0] * 2]

    return doubled


def test_work_is_captured_on_the_device_of_its_inputs_after_it_ran_on_the_same_stream(cuda: Cuda) -> None:
    graphs, x = GraphCache(2), torch.ones(2)
    graphs.run("a", noted(cuda), [x])
    assert cuda.log == [("work", OTHER, "the caller's")], "the first time it runs as it is"
    cuda.log.clear()
    graphs.run("a", noted(cuda), [x])
    stream = cuda_graphs._capture_stream(OWN)
    assert stream.of == OWN
    order = [entry for entry in cuda.log if entry[0] in {"work", "capture", "replay"}]
    assert order == [
        ("work", OWN, stream),
        ("capture", OWN, stream),
        ("work", OWN, stream),
        ("replay", OWN, "the caller's"),
    ]
    cuda.log.clear()
    graphs.run("a", noted(cuda), [x])
    assert [name for name, *_ in cuda.log] == ["wait for the last replay", "replay", "done"]
    assert {device for _, device, _ in cuda.log} == {OWN}


def test_what_cannot_be_captured_runs_as_it_is_and_says_so_once(cuda: Cuda) -> None:
    cuda.failure = "operation not permitted when stream is capturing"
    graphs = GraphCache(4)
    for key in ("a", "b"):
        graphs.run(key, noted(cuda), [torch.ones(2)])
    x = torch.rand(2)
    with pytest.warns(ModelWarning, match="not permitted when stream is capturing"):
        assert torch.equal(graphs.run("a", noted(cuda), [x])[0], 2 * x)
    for key in ("b", "a", "b"):  # pytest makes an error of any further warning
        assert torch.equal(graphs.run(key, noted(cuda), [x])[0], 2 * x)
    assert sum(name == "capture" for name, *_ in cuda.log) == 2, "each is tried once"
    assert cuda.current("device") == OTHER
    assert cuda.current("stream") == "the caller's"
    assert graphs.count == 0


def test_an_error_of_the_work_itself_is_not_taken_for_one_of_the_capture(cuda: Cuda) -> None:
    graphs = GraphCache(4)
    graphs.run("a", noted(cuda), [torch.ones(2)])

    def too_large(_: Sequence[Tensor]) -> list[Tensor]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        graphs.run("a", too_large, [torch.ones(2)])
    graphs.run("a", noted(cuda), [torch.ones(2)])
    assert graphs.count == 1


def test_a_process_captures_once_at_a_time(cuda: Cuda) -> None:
    errors: list[BaseException] = []

    def use() -> None:
        try:
            graphs = GraphCache(2)
            for _ in range(3):
                graphs.run("a", noted(cuda), [torch.ones(2)])
        except BaseException as error:  # noqa: BLE001  a thread's own would be lost
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(name == "capture" for name, *_ in cuda.log) == 4


class Rehearsal:
    """In place of a CUDA graph: the work on tensors that stay where they are, with whatever was copied there."""

    def __init__(self, work: cuda_graphs.Work, inputs: Sequence[Tensor], _pool: object) -> None:
        self.work, self.inputs = work, [tensor.clone() for tensor in inputs]

    def replay(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        for kept, given in zip(self.inputs, inputs, strict=True):
            kept.copy_(given)
        return self.work(self.inputs)


def test_recordings_unused_for_longest_go_first(monkeypatch: pytest.MonkeyPatch, cuda: Cuda) -> None:
    made = []
    monkeypatch.setattr(cuda_graphs, "CapturedGraph", lambda *given: made.append(Rehearsal(*given)) or made[-1])
    graphs, x = GraphCache(at_most=2), torch.ones(2)
    for key in ("a", "a", "b", "b", "a", "c", "a", "b", "b"):
        assert torch.equal(graphs.run(key, noted(cuda), [x])[0], x * 2)
    assert len(made) == 3, "b was forgotten when c came, and captured again; a was not"
    assert torch.equal(copy.deepcopy(graphs).run("a", noted(cuda), [x])[0], x * 2)
