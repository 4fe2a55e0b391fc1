"""Prefetching of batches to the device."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch.utils.data import DataLoader


class Batch(Protocol):
    @property
    def num_samples(self) -> int:
        """Samples of audio, for the throughput shown."""

    def to(self, device: torch.device | str) -> Self: ...


B = TypeVar("B", bound=Batch)
B_co = TypeVar("B_co", bound=Batch, covariant=True)


class Batches(Protocol[B_co]):
    """Batches by number, determined by number, seed, rank and world alone."""

    def __getitem__(self, number: int, /) -> B_co: ...


class Prefetcher(Generic[B]):
    """Iterator that makes the next batch and copies it to the device while the current one is used.

    Args:
        numbers: numbers of the batches, in order.
        workers: processes that make batches; 0 makes them on the thread that copies them.
    """

    def __init__(self, batches: Batches[B], numbers: range, device: torch.device, *, workers: int = 0) -> None:
        self._made: Iterator[B] = map(batches.__getitem__, numbers)
        if workers:
            loader: DataLoader[Any] = DataLoader(
                batches,  # type: ignore[arg-type]  # it only needs __getitem__
                batch_size=None,
                sampler=numbers,
                num_workers=workers,
                generator=torch.Generator(),  # the global one is for training, and must not be advanced
            )
            self._made = iter(loader)
        self._device = device
        self._pool = ThreadPoolExecutor(1)
        self._next = self._pool.submit(self._make)

    def _make(self) -> B | None:
        batch = next(self._made, None)
        return None if batch is None else batch.to(self._device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        batch = self._next.result()
        if batch is None:
            raise StopIteration
        self._next = self._pool.submit(self._make)
        return batch
