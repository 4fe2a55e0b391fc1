import threading
import time
from collections.abc import Iterator

import pytest

from sonant.extraction.prefetch import ahead, map_ahead, share


def counted(n: int, made: list[int]) -> Iterator[int]:
    for i in range(n):
        made.append(i)
        yield i


def test_ahead_keeps_order_and_its_distance() -> None:
    made: list[int] = []
    stream = ahead(counted(50, made), depth=3)
    assert next(stream) == 0
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 1  # taken, waiting, and the one that waits for a place
    assert list(stream) == list(range(1, 50))


def test_ahead_hands_on_errors() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    stream = ahead(broken())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="two"):
        next(stream)


def test_a_stream_that_is_left_stops_its_thread() -> None:
    before = threading.active_count()
    stream = ahead(counted(1000, []), depth=1)
    next(stream)
    stream.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_closing_never_waits_for_a_thread() -> None:
    """It may be the garbage collector that closes, on a thread that the others wait for."""
    release = threading.Event()

    def slow(item: int) -> int:
        if item:
            release.wait(10)
        return item

    def items() -> Iterator[int]:
        yield 0
        release.wait(10)
        yield 1

    streams = [map_ahead(slow, range(8), workers=2, depth=4), ahead(items())]
    began = time.monotonic()
    for stream in streams:
        assert next(stream) == 0
        stream.close()
    assert time.monotonic() - began < 5
    release.set()


def test_map_ahead_keeps_order_and_its_distance() -> None:
    made: list[int] = []
    results = map_ahead(lambda i: i * i, counted(100, made), workers=4, depth=8)
    assert next(results) == 0
    assert len(made) == 8
    assert list(results) == [i * i for i in range(1, 100)]


def test_shared_work_is_done_by_all_workers_in_order() -> None:
    used: set[str] = set()
    meeting = threading.Barrier(2, timeout=10)  # passes only if both workers are at work at once

    def worker(name: str):
        def work(item: int) -> int:
            used.add(name)
            if item < 2:
                meeting.wait()
            return item * 10

        return work

    assert list(share(range(20), [worker("a"), worker("b")])) == [item * 10 for item in range(20)]
    assert used == {"a", "b"}


def test_an_error_of_a_worker_reaches_the_caller() -> None:
    def work(item: int) -> int:
        return 1 // (item - 3)

    with pytest.raises(ZeroDivisionError):
        list(share(range(9), [work, work]))
