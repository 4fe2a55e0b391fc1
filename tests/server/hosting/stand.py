"""A model whose passes a test holds up and reads, and the queue before it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from sonant.extraction.heads import HeadPipeline
from sonant.extraction.long_recordings import windowing_of
from sonant.extraction.request import EncodeRequest, Layer
from sonant.extraction.sinks import Sink, in_memory
from sonant.layers.packed import Packed
from sonant.models import Backbone, WavLMConfig, build
from sonant.server.hosting.batcher import Batcher
from sonant.server.hosting.devices import Lane, Worker
from sonant.server.metrics import Metrics
from sonant.server.settings import Queue
from tests.shapes import TINY

RATE = 16_000


class Stand:
    """A small model with random weights behind a queue.

    Attributes:
        passes: samples of the clips of each pass, in order.
        gate: passes wait while it is closed.
        entered: set when a pass has begun.
        fail_on: sizes of clips whose passes fail.
    """

    def __init__(self, *, devices: int = 1, longer: int = 0, backbone: Backbone | None = None, **settings: Any) -> None:
        torch.manual_seed(0)
        self.backbone = build(WavLMConfig(**TINY)).eval() if backbone is None else backbone
        self.passes: list[list[int]] = []
        self.layers: list[set[Layer]] = []
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.fail_on: set[int] = set()
        self.metrics = Metrics()
        self.threads = [ThreadPoolExecutor(1) for _ in range(devices)]
        self.longer = [ThreadPoolExecutor(1) for _ in range(longer)]
        self.queue = Queue(**{"seconds": 1000.0, "batch_seconds": 4.0, "window_seconds": 4.0} | settings)
        self._hook = self.backbone.register_forward_pre_hook(self._enter, with_kwargs=True)
        self.batcher = self.another()

    def another(self, name: str = "model") -> Batcher:
        """One more queue, for the same model on the same devices."""
        workers = [
            Worker(self.backbone, self.queue.batch_seconds, Lane(thread, longer=self.longer)) for thread in self.threads
        ]
        windowing = windowing_of(EncodeRequest(window_seconds=self.queue.window_seconds), self.backbone)
        assert windowing is not None
        return Batcher(workers, windowing, self.queue, name, self.metrics)

    def _enter(self, _: torch.nn.Module, args: tuple[Packed], kwargs: dict[str, Any]) -> None:
        self.passes.append(args[0].sizes)
        self.layers.append(set(kwargs["layers"]))
        self.entered.set()
        assert self.gate.wait(5)
        if self.fail_on & set(args[0].sizes):
            raise ValueError("what the model cannot stand")

    def pipeline(self, *layers: Layer, make_sink: Callable[[], Sink] | None = None) -> HeadPipeline:
        """Frames of the given layers, or what a sink makes of them."""
        request = EncodeRequest(layers=layers or ("last",))
        return HeadPipeline(
            request.layers,
            lambda _: in_memory(request) if make_sink is None else make_sink(),
            self.backbone.receptive_field,
        )

    async def run(self, *seconds: float, share: str = "someone", pipeline: HeadPipeline | None = None) -> list[Any]:
        """Have recordings of so many seconds computed."""
        return await self.batcher.run([noise(length) for length in seconds], pipeline or self.pipeline(), share=share)

    @contextlib.asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """While the model is held up in a pass over a clip of 0.5 s, all that comes waits."""
        self.gate.clear()
        self.entered.clear()
        first = asyncio.create_task(self.run(0.5, share="first"))
        await asyncio.to_thread(self.entered.wait)
        try:
            yield
        finally:
            self.gate.set()
        await first

    def settle(self) -> None:
        """Wait until the devices have nothing left to do."""
        for thread in self.threads:
            thread.submit(lambda: None).result()

    def seconds(self) -> list[list[float]]:
        """Of the clips of each pass."""
        return [[round(size / RATE, 3) for size in sizes] for sizes in self.passes]

    def close(self) -> None:
        self.gate.set()
        self._hook.remove()
        for thread in (*self.threads, *self.longer):
            thread.shutdown()


def noise(seconds: float) -> np.ndarray:
    """Always the same for a length."""
    samples = round(seconds * RATE)
    return np.random.default_rng(samples).standard_normal(samples, dtype=np.float32)
