"""Masked tokens: what is hidden, what is predicted, and that it is learned."""

import pickle
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sonant.data import LabelStore, WaveformStore
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models.code_vocabulary import codes_of_numbers, group_numbers
from sonant.pretraining import Batching, MaskedTokens, MaskedTokensConfig, TokenBatch, TokenBatches, make_codes
from sonant.pretraining.masked_tokens import corrupt
from sonant.training import Linear, Training, train
from tests.codes import WORDS, discrete_bert, fresh_bert, vq_wav2vec

BATCHING = Batching(batch_seconds=4.0, max_seconds=0.38, min_seconds=0.2)


@pytest.fixture
def codes(tmp_path: Path) -> LabelStore:
    """Sixty clips that repeat one of three words, so that a word under the mask can be told from its neighbors."""
    numbers = group_numbers(WORDS, 5).numpy()
    rng = np.random.default_rng(0)
    LabelStore.write(tmp_path / "codes", (np.full(rng.integers(20, 60), numbers[3 * (i % 3)]) for i in range(60)))
    return LabelStore(tmp_path / "codes")


def test_two_fifths_are_masked_in_spans_of_ten() -> None:
    masking, rng = MaskedTokensConfig().masking, np.random.default_rng(0)
    mask = np.concatenate([masking.draw(1500, rng) for _ in range(50)])
    assert mask.mean() == pytest.approx(1 - 0.95**10, abs=0.01)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[0], mask, [0]]))))[::2]
    assert (runs >= 10).mean() > 0.99


def test_eight_tenths_are_hidden_one_tenth_is_kept_one_tenth_is_random() -> None:
    rng = np.random.default_rng(0)
    tokens, words = rng.integers(4, 1004, 200_000), np.arange(4, 1004)
    mask = rng.random(len(tokens)) < 0.4
    seen = corrupt(tokens, mask, MaskedTokensConfig(), words, 1004, rng)
    assert np.array_equal(seen[~mask], tokens[~mask])
    hidden, kept = seen[mask] == 1004, seen[mask] == tokens[mask]
    assert hidden.mean() == pytest.approx(0.8, abs=0.005)
    assert kept.mean() == pytest.approx(0.1 + 0.1 / 1000, abs=0.005)
    swapped = seen[mask][~hidden & ~kept]
    assert set(np.unique(swapped)) <= set(words.tolist())
    assert np.bincount(swapped, minlength=1005)[4:1004].std() < 10, "every word is as likely"


def test_shares_that_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match=r"\(0.6, 0.5\)"):
        MaskedTokensConfig(keep_probability=0.6, random_probability=0.5)


def test_batches_depend_on_seed_and_step_alone(codes: LabelStore) -> None:
    batches = TokenBatches(codes, discrete_bert(), MaskedTokensConfig(), batching=BATCHING)
    sent = pickle.loads(pickle.dumps(batches))  # as a worker gets them
    for step in range(8, 4, -1):
        assert torch.equal(batches[step].tokens.values, sent[step].tokens.values)
        assert torch.equal(batches[step].masked, sent[step].mask.nonzero().flatten())
    assert not torch.equal(batches[0].mask[:20], batches[1].mask[:20])
    second = TokenBatches(codes, discrete_bert(), MaskedTokensConfig(), batching=BATCHING, rank=1, world=2)
    assert torch.equal(second[2].tokens.values, batches[5].tokens.values)


def test_batches_are_filled_and_fit_the_model(codes: LabelStore) -> None:
    model = discrete_bert()
    known = model.vocabulary.words.tolist()
    for batch in islice(TokenBatches(codes, model, MaskedTokensConfig(), batching=BATCHING), 12):
        lengths = batch.tokens.lengths
        assert 20 <= min(lengths) <= max(lengths) <= 38, "max_positions, less the brackets, and max_seconds"
        assert int(lengths.sum()) == 400
        assert set(batch.targets.tolist()) <= set(known)
        assert torch.equal(batch.tokens.values[~batch.mask], batch.targets[~batch.mask])
        assert batch.num_samples == 160 * len(batch.targets)


@torch.no_grad()
def test_the_loss_by_its_formula(codes: LabelStore) -> None:
    model = discrete_bert()
    batch = TokenBatches(codes, model, MaskedTokensConfig(), batching=BATCHING)[0]
    loss = MaskedTokens(model)(batch)
    total, correct, start = 0.0, 0, 0
    for clip in batch.tokens:
        last = model.encode_tokens(Packed.pack([clip])).last
        for i in range(len(clip)):
            if batch.mask[start + i]:
                logits = model.logits(last[i][None])[0]
                total -= float(F.log_softmax(logits, 0)[batch.targets[start + i]])
                correct += int(logits.argmax() == batch.targets[start + i])
        start += len(clip)
    assert loss.count == int(batch.mask.sum())
    assert loss.sum.item() == pytest.approx(total, rel=1e-4)
    assert loss.metrics["masked_accuracy"] == (correct, loss.count)


def test_gradients_reach_all_but_the_tokenizer() -> None:
    model = discrete_bert()
    tokens = torch.randint(4, 26, (30,))
    mask = torch.arange(30) % 3 == 0
    batch = TokenBatch(Packed(tokens, torch.tensor([30])), tokens, mask, 160)
    MaskedTokens(model)(batch).sum.backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in model.named_parameters() if name.startswith("tokenizer.")}


def test_it_learns(codes: LabelStore, tmp_path: Path) -> None:
    """Most of a clip is in sight and it is one word all through: whoever looks beside the mask is always right."""
    model = fresh_bert(num_layers=2, dropout=0.0, attention_dropout=0.0)
    batches = TokenBatches(codes, model, MaskedTokensConfig(), batching=replace(BATCHING, fill="shortest"))
    training = Training(steps=60, lr=1e-2, schedule=Linear(warmup=0.1), clip_norm=1.0, log_every=20)
    train(MaskedTokens(model), batches, training, tmp_path / "run")
    correct, count = MaskedTokens(model.eval())(batches[1000]).metrics["masked_accuracy"]
    assert correct / count > 0.9


def test_codes_of_a_corpus(tmp_path: Path, waveforms: WaveformStore) -> None:
    tokenizer = vq_wav2vec()
    made = make_codes(waveforms, tokenizer, tmp_path / "codes")
    for number in range(len(waveforms)):
        speech = Packed.pack([torch.from_numpy(waveforms[number])])
        kept = torch.from_numpy(made.store[number].astype(np.int64))
        assert torch.equal(codes_of_numbers(kept, 5, 2), tokenizer.codes(speech).values)
    lines = [line.split() for line in (tmp_path / "codes" / "dict.txt").read_text().splitlines()]
    counts = [int(count) for _, count in lines]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == made.store.lengths.sum()
    assert ["-".join(map(str, row)) for row in made.words.tolist()] == [symbol for symbol, _ in lines]
    stamp = (tmp_path / "codes" / "labels.u16").stat().st_mtime_ns
    assert torch.equal(make_codes(waveforms, tokenizer, tmp_path / "codes").words, made.words)
    assert (tmp_path / "codes" / "labels.u16").stat().st_mtime_ns == stamp, "made only once"
