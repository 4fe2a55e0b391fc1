"""A decoder on a loop of its own, so that tests without one can use it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest

from sonant.server.intake.decoder import AudioDecoder
from sonant.server.settings import Limits

Decode = Callable[..., np.ndarray]
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs coroutines on one loop, of the kind that the server has."""
    uvloop = pytest.importorskip("uvloop")
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def decoder(run: Run) -> Iterator[AudioDecoder]:
    """With the server's own limits."""
    decoder = AudioDecoder(Limits(), workers=2)
    run(decoder.__aenter__())
    yield decoder
    run(decoder.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def decode(run: Run, decoder: AudioDecoder) -> Decode:
    """What `AudioDecoder.decode` does, at 16 kHz unless told otherwise."""

    def samples(data: bytes, *, sampling_rate: int = 16000, min_samples: int = 400) -> np.ndarray:
        (waveform,) = run(
            decoder.decode(data, share="test", sampling_rate=sampling_rate, min_samples=min_samples)
        ).channels
        return waveform

    return samples
