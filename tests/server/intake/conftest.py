"""A decoder on a loop of its own, so that tests without one can use it."""

import asyncio
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sonant.server.intake.decoder import AudioDecoder
from sonant.server.settings import Limits

Decode = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def decode() -> Iterator[Decode]:
    """What `AudioDecoder.decode` does with the server's own limits, at 16 kHz unless told otherwise."""
    uvloop = pytest.importorskip("uvloop")  # the loop that the server runs on
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    decoder = AudioDecoder(Limits(), workers=2)

    def run(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    run(decoder.__aenter__())
    yield lambda data, *, sampling_rate=16000, min_samples=400: run(
        decoder.decode(data, sampling_rate=sampling_rate, min_samples=min_samples)
    )
    run(decoder.__aexit__(None, None, None))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
