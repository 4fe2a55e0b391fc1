"""Text straight from codes: the loss by its formula, and a toy language learned by heart."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sonant.decoding import beam_search
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from sonant.models.codes_to_text import CodesToText, CodesToTextConfig
from sonant.tasks import TranscribedCodes, TranscribedCodesBatches, WriteText
from sonant.training import Linear, Training, train
from tests.codes import WORDS


def model(**changes: object) -> CodesToText:
    sizes = {
        "code_vocabulary_size": 26,
        "codebook_size": 5,
        "text_vocabulary_size": 12,
        "dim": 32,
        "num_encoder_layers": 2,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "feed_forward_dim": 64,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    made = CodesToText(CodesToTextConfig(**sizes | changes))  # type: ignore[arg-type]
    made.vocabulary.codes[4:] = WORDS
    return made


def language(count: int) -> tuple[list[np.ndarray], list[list[int]]]:
    """Each subword sounds as two or three frames of its own code, then one of silence."""
    rng = np.random.default_rng(0)
    texts = [rng.integers(4, 12, rng.integers(1, 6)).tolist() for _ in range(count)]
    silence = [(3, 3)]
    codes = [
        np.array([row for token in text for row in [divmod(token, 5)] * int(rng.integers(2, 4)) + silence])
        for text in texts
    ]
    return codes, texts


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_by_its_formula(smoothing: float) -> None:
    made = model()
    codes, texts = language(3)
    batch = TranscribedCodes(
        Packed.pack(map(torch.from_numpy, codes)), Packed.pack(torch.tensor(text) for text in texts)
    )
    loss = WriteText(made, smoothing=smoothing)(batch)
    total = 0.0
    with torch.no_grad():
        logits = made(batch.codes, batch.text)
    row = 0
    for text in texts:
        for target in [*text, made.end]:
            log_probabilities = logits[row].log_softmax(0)
            row += 1
            wanted = torch.full((12,), smoothing / 12)
            wanted[target] += 1 - smoothing
            total -= float((wanted * log_probabilities).sum())
    assert loss.count == row
    assert loss.sum.item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_step_by_step_equals_at_once(*, pre_norm: bool) -> None:
    made = model(pre_norm=pre_norm, share_output=pre_norm).eval()
    codes, texts = language(4)
    with torch.no_grad():
        for clip, text in zip(codes, texts, strict=True):
            frames = Packed.pack([torch.from_numpy(clip)])
            whole = made(frames, Packed.pack([torch.tensor(text)]))
            state = made.start(made.read(frames))
            for token, expected in zip([made.end, *text], whole, strict=True):
                logits, state = made.step(torch.tensor([token]), state)
                keep = torch.arange(12) != 1  # padding is never a subword
                torch.testing.assert_close(logits[0][keep], expected[keep], rtol=1e-4, atol=1e-5)
                assert logits[0][1] == -torch.inf


def test_gradients_reach_every_parameter() -> None:
    made = model()
    batch = TranscribedCodesBatches(*language(10), batch_frames=80)[0]
    WriteText(made)(batch).sum.backward()
    assert [name for name, parameter in made.named_parameters() if parameter.grad is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_toy_language_is_learned_and_written_exactly(tmp_path: Path, *, pre_norm: bool) -> None:
    made = model(pre_norm=pre_norm, share_output=pre_norm)
    codes, texts = language(16)
    training = Training(steps=250, lr=2e-3, schedule=Linear(warmup=0.1), clip_norm=1.0)
    train(WriteText(made, smoothing=0.0), TranscribedCodesBatches(codes, texts, batch_frames=100), training, tmp_path)
    made.eval()
    with torch.no_grad():
        memory = made.read(Packed.pack(map(torch.from_numpy, codes)))
    found = beam_search(made, memory, end=made.end, max_lengths=[20] * len(texts))
    for (best, *others), text in zip(found, texts, strict=True):
        assert list(best.tokens) == text
        assert all(other.tokens != best.tokens for other in others)


def test_what_does_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="smoothing=1"):
        WriteText(model(), smoothing=1.0)
    with pytest.raises(ConfigurationError, match="2 clips and texts of 1"):
        TranscribedCodesBatches([np.zeros((3, 2))] * 2, [[4]], batch_frames=10)
    with pytest.raises(ConfigurationError, match="num_heads=5"):
        CodesToTextConfig(num_heads=5)
