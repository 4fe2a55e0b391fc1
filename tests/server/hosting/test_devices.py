"""One thread a device, and how fast a model is there."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sonant.models import WavLMConfig, build
from sonant.server.hosting.devices import ComputeThreads, Worker
from tests.shapes import TINY


def worker() -> Worker:
    return Worker(build(WavLMConfig(**TINY)).eval(), 5.0, ThreadPoolExecutor(1))


def test_all_that_computes_on_a_device_does_so_in_one_thread() -> None:
    threads = ComputeThreads()
    cpu = threads.of(torch.device("cpu"))
    assert cpu is threads.of(torch.device("cpu"))
    assert cpu is not threads.of(torch.device("meta"))
    assert cpu.submit(threading.get_ident).result() == cpu.submit(threading.get_ident).result()
    threads.close()
    with pytest.raises(RuntimeError, match="stopping"):
        threads.of(torch.device("cpu"))


def test_the_speed_is_known_before_the_first_caller_comes() -> None:
    one = worker()
    assert one.audio_seconds_per_second is None
    one.try_out()
    assert one.audio_seconds_per_second is not None
    assert one.audio_seconds_per_second > 1


def test_the_speed_is_that_of_the_last_batches_and_small_ones_weigh_little() -> None:
    one = worker()
    for _ in range(100):
        one.note(100.0, 10.0)
    assert one.audio_seconds_per_second == pytest.approx(10)
    one.note(0.1, 0.1)
    assert one.audio_seconds_per_second == pytest.approx(10, rel=0.01)
    for _ in range(50):
        one.note(100.0, 1.0)
    assert one.audio_seconds_per_second == pytest.approx(100, rel=0.1)
