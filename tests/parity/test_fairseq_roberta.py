"""The BERT on discretized speech equals fairseq's RoBERTa, by recorded numbers: states, logits, loss, gradients."""

from pathlib import Path

import pytest
import torch

from sonant.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sonant.layers.packed import Packed
from sonant.models import build
from sonant.models.discrete_bert import DiscreteBERT
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.pretraining.masked_tokens import MaskedTokens, TokenBatch
from tests.parity.recorded import Case, assert_gradients, assert_near, recording, save_argparse

CASES = recording("roberta")
TOKENIZER = VQWav2VecConfig(
    conv_channels=(4,), conv_kernels=(10,), conv_strides=(160,), context_kernels=(2,), num_codebooks=2, codebook_size=5
)


def make(case: Case, folder: Path) -> DiscreteBERT:
    """Read from a file of fairseq, beside its dictionary, over a fresh vq-wav2vec in a folder of ours."""
    tokenizer = Checkpoint(TOKENIZER, build(TOKENIZER).state_dict())
    save_checkpoint(folder / "tokenizer", tokenizer, to="sonant")
    words = "".join(f"{symbol} 1\n" for symbol in case.settings["symbols"][4:-1])  # neither specials nor the mask
    (folder / "dict.txt").write_text(words, encoding="utf-8")
    path = save_argparse(case, folder / "fairseq.pt", arch="roberta", task="masked_lm")
    checkpoint = load_checkpoint(path, overrides={"tokenizer": folder / "tokenizer"})
    model = build(checkpoint.config)
    model.load_state_dict(checkpoint.backbone_state)
    assert isinstance(model, DiscreteBERT)
    return model


def inner(case: Case) -> torch.Tensor:
    """bool: which tokens of the recording are not the brackets, which ours puts round a clip by itself."""
    lengths = torch.tensor(case.numbers["lengths"])
    ends = lengths.cumsum(0)
    keep = torch.ones(int(ends[-1]), dtype=torch.bool)
    keep[ends - 1] = keep[ends - lengths] = False
    return keep


def tokens_of(case: Case) -> Packed:
    lengths = torch.tensor(case.numbers["lengths"])
    return Packed(case.arrays["tokens"].long()[inner(case)], lengths - 2)


@pytest.mark.parametrize("name", CASES)
def test_every_state(name: str, tmp_path: Path) -> None:
    """Clips of a padded batch of the original among them: its attention leaves padding out."""
    case = CASES[name]
    model = make(case, tmp_path).eval()
    with torch.no_grad():
        encoded = model.encode_tokens(tokens_of(case))
    for number, state in encoded.hidden_states.items():
        assert_near(state, case.arrays[f"state {number}"][inner(case)])
    assert_near(encoded.last, case.arrays[f"state {model.num_layers}"][inner(case)])


@pytest.mark.parametrize("name", CASES)
def test_loss(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    objective, tokens = MaskedTokens(make(case, tmp_path).train()), tokens_of(case)
    targets = case.arrays["targets"].long()[inner(case)]
    mask = targets != case.settings["symbols"].index("<pad>")
    loss = objective(TokenBatch(tokens, targets, mask, stride=160))
    assert loss.count == case.numbers["sample_size"]
    assert loss.sum.item() == pytest.approx(case.numbers["loss"], rel=1e-5)
    loss.sum.backward()
    assert_gradients(objective, case)
    with torch.no_grad():
        last = objective.backbone.encode_tokens(tokens, layers=["last"]).last
        assert last is not None
        assert_near(objective.backbone.logits(last[mask]), case.arrays["logits"])


def test_the_words_have_the_same_numbers(tmp_path: Path) -> None:
    case = CASES["one"]
    assert make(case, tmp_path).vocabulary.symbols() == case.settings["symbols"]
