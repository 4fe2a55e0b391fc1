"""Batches of texts: every token once in an epoch, by any number of processes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sonant.data.token_store import TokenStore
from sonant.training.text.batches import TextBatches

LONGEST = 9


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    draw = np.random.default_rng(0)
    texts = [draw.integers(3, 70_000, draw.integers(1, 30)).tolist() for _ in range(200)]
    return TokenStore.make(tmp_path, texts, source="", begin=0, end=2, longest=LONGEST, num_tokens=70_000)


def test_every_token_is_predicted_once_in_an_epoch_of_any_number_of_processes(store: TokenStore) -> None:
    texts = [store[number] for number in range(len(store))]
    expected = sorted(token for text in texts for token in text[1:].tolist())
    assert max(map(len, texts)) == LONGEST
    for world in (1, 3):
        parts = [TextBatches(store, longest=LONGEST, batch_tokens=100, rank=rank, world=world) for rank in range(world)]
        count = len(parts[0])
        batches = [parts[number % world][number // world] for number in range(count)]
        assert sorted(token for batch in batches for token in batch.targets.tolist()) == expected
        for batch in batches:
            lengths = batch.tokens.lengths
            assert torch.equal(lengths, lengths.sort().values)
            for inputs, targets in zip(batch.tokens, batch.targets.split(lengths.tolist()), strict=True):
                assert torch.equal(inputs[1:], targets[:-1])


def test_epochs_and_seeds_have_other_orders(store: TokenStore) -> None:
    one = TextBatches(store, longest=LONGEST, batch_tokens=100)
    other = TextBatches(store, longest=LONGEST, batch_tokens=100, seed=1)
    assert not torch.equal(one[0].targets, one[len(one)].targets)
    assert not torch.equal(one[0].targets, other[0].targets)
    assert torch.equal(one[0].targets, TextBatches(store, longest=LONGEST, batch_tokens=100)[0].targets)


def test_a_long_text_goes_on_in_the_next_part(tmp_path: Path) -> None:
    store = TokenStore.make(tmp_path, [list(range(10, 20)), [7]], source="", begin=0, end=2, longest=5, num_tokens=20)
    assert [store[number].tolist() for number in range(len(store))] == [
        [0, 10, 11, 12, 13],
        [13, 14, 15, 16, 17],
        [17, 18, 19, 2],
        [0, 7, 2],
    ]
