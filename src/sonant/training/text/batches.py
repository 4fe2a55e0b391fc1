"""Batches of whole texts, determined by seed, step, rank and world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.data.token_store import TokenStore
from sonant.layers.packed import Packed
from sonant.pretraining.batches import moved


@dataclass(frozen=True, eq=False)
class TextBatch:
    """A batch of texts, in order of their lengths.

    Attributes:
        tokens: of each text all but the last, int64 (total,).
        targets: the token after each, int64 (total,).
    """

    tokens: Packed
    targets: Tensor

    def to(self, device: torch.device | str) -> TextBatch:
        return moved(self, device)

    @property
    def num_samples(self) -> int:
        """Number of tokens to predict."""
        return len(self.targets)


class TextBatches:
    """Endless sequence of batches: `batches[step]` depends on seed, step, rank and world alone.

    The corpus is divided into blocks of the texts that begin in as many consecutive tokens as the longest text has.
    A batch is some blocks, in an order that is drawn for each epoch; so only the numbers of the blocks are in memory.

    Args:
        longest: most tokens of a text of the store.
        batch_tokens: approximate number of tokens in a batch.
        seed: of the order.
        rank, world: number of this process, and number of processes; they get disjoint batches.
    """

    def __init__(
        self, store: TokenStore, *, longest: int, batch_tokens: int, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.store, self.block = store, longest
        self.num_blocks = int(store.starts[-2]) // longest + 1
        self.blocks = max(1, batch_tokens // longest)  # in a batch
        self.seed, self.rank, self.world = seed, rank, world
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def __len__(self) -> int:
        """Batches in an epoch of all processes together."""
        return (self.num_blocks + self.blocks - 1) // self.blocks

    def __getitem__(self, step: int) -> TextBatch:
        epoch, place = divmod(step * self.world + self.rank, len(self))
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(self.num_blocks)
        chosen = self._order[1][place * self.blocks : (place + 1) * self.blocks]
        texts = [text for block in np.sort(chosen).tolist() for text in self._texts(block)]
        texts.sort(key=len)
        inputs = Packed.pack(torch.from_numpy(text[:-1]) for text in texts)
        return TextBatch(inputs, torch.from_numpy(np.concatenate([text[1:] for text in texts])))

    def _texts(self, block: int) -> list[NDArray[np.int64]]:
        """Return the texts that begin in a block."""
        first, last = np.searchsorted(self.store.starts[:-1], [block * self.block, (block + 1) * self.block])
        return [self.store[number] for number in range(int(first), int(last))]
