"""Batches on the device before they are needed."""

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
    """The batches of a run by their number: a function of the number, the seed, the rank and the world alone."""

    def __getitem__(self, number: int, /) -> B_co: ...


class Feed(Generic[B]):
    """An iterator that makes its next batch, and copies it to the device, while this one is used.

    Args:
        batches: the batches by their number.
        numbers: those that are wanted, in order.
        workers: processes that make batches; with 0 they are made on the thread that copies them.
    """

    def __init__(self, batches: Batches[B], numbers: range, device: torch.device, *, workers: int = 0) -> None:
        self._made: Iterator[B] = map(batches.__getitem__, numbers)
        if workers:
            loader: DataLoader[Any] = DataLoader(
                batches,  # type: ignore[arg-type]  # whatever has __getitem__
                batch_size=None,
                sampler=numbers,
                num_workers=workers,
                generator=torch.Generator(),  # not the global one, whose numbers belong to the training
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
