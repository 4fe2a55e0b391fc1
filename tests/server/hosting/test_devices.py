"""One thread a device, and how fast a model is there."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sonant.extraction.forward import Clip
from sonant.models import WavLMConfig, build
from sonant.server.hosting.devices import NICENESS, ComputeThreads, Lane, Worker
from tests.shapes import TINY


def worker(lane: Lane | None = None) -> Worker:
    return Worker(build(WavLMConfig(**TINY)).eval(), 5.0, lane or Lane(ThreadPoolExecutor(1)))


def test_all_models_on_a_device_share_its_lanes() -> None:
    threads = ComputeThreads()
    cpu = threads.lanes(torch.device("cpu"))
    assert cpu is threads.lanes(torch.device("cpu"))
    assert len(threads.lanes(torch.device("meta"))) == 1
    assert not {lane.thread for lane in cpu} & {lane.thread for lane in threads.lanes(torch.device("meta"))}
    threads.close()
    with pytest.raises(RuntimeError, match="stopping"):
        threads.lanes(torch.device("cpu"))


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_threads_for_long_recordings_give_way_to_the_others() -> None:
    threads = ComputeThreads()
    lane = threads.lanes(torch.device("cpu"))[0]
    short, *longer = [thread.submit(lambda: os.getpriority(os.PRIO_PROCESS, 0)).result() for thread in lane.threads]
    threads.close()
    assert short == os.nice(0)
    assert longer == [min(19, short + NICENESS)] * len(longer) != []


@pytest.mark.parametrize(("cores", "lanes"), [(1, 1), (2, 2), (3, 3), (4, 4), (6, 4), (16, 4)])
def test_lanes_share_the_cores_and_one_that_is_alone_has_all(
    cores: int, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    threads = ComputeThreads()
    monkeypatch.undo()
    made = threads.lanes(torch.device("cpu"))
    assert len(made) == lanes
    assert sum(lane.cores for lane in made) <= cores
    seen = {}
    for is_alone in (True, False):

        def run(is_alone: bool = is_alone) -> int:
            list(worker(made[0]).forward([Clip(np.zeros(16_000, np.float32), ("last",))], is_alone=is_alone))
            return torch.get_num_threads()

        seen[is_alone] = made[0].thread.submit(run).result()
    assert seen == {True: cores, False: cores // lanes}
    threads.close()


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
