"""Prefetching in threads, by a bounded number of items.

Closing a generator stops its threads but never waits for them: the garbage collector may close an unfinished generator
on any thread at any moment.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar, cast

T = TypeVar("T")
R = TypeVar("R")


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Iterate in a thread, at most `depth` items ahead; its errors are raised here."""
    queue: Queue[tuple[T | None, BaseException | None] | None] = Queue(depth)
    stopped = Event()

    def put(entry: tuple[T | None, BaseException | None] | None) -> bool:
        while not stopped.is_set():
            try:
                queue.put(entry, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the consuming thread
            put((None, error))

    Thread(target=produce, name="sonant-ahead", daemon=True).start()
    try:
        while (entry := queue.get()) is not None:
            item, error = entry
            if error is not None:
                raise error
            yield cast("T", item)
    finally:
        stopped.set()


def map_ahead(function: Callable[[T], R], items: Iterable[T], *, workers: int, depth: int) -> Iterator[R]:
    """Map a function over items in threads, at most `depth` items ahead; yield results in order."""
    iterator = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="sonant-read")
    try:
        waiting: deque[Future[R]] = deque(pool.submit(function, item) for item in islice(iterator, depth))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, item) for item in islice(iterator, 1))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def share(items: Iterable[T], workers: Sequence[Callable[[T], R]]) -> Iterator[R]:
    """Distribute items over workers, one thread each; yield results in order. One worker runs in this thread."""
    if len(workers) == 1:
        yield from map(workers[0], items)
        return
    free: Queue[Callable[[T], R]] = Queue()
    for worker in workers:
        free.put(worker)

    def work(item: T) -> R:
        worker = free.get()
        try:
            return worker(item)
        finally:
            free.put(worker)

    yield from map_ahead(work, items, workers=len(workers), depth=2 * len(workers))
