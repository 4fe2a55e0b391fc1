"""The model from codes to text equals fairseq's Transformer, by recorded numbers: memory, logits, loss, gradients."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sonant.checkpoints import load_codes_to_text
from sonant.layers.packed import Packed
from sonant.models.codes_to_text import CodesToText
from sonant.tasks.codes_to_text import TranscribedCodes, WriteText
from tests.parity.recorded import Case, assert_gradients, assert_near, recording, save_argparse

CASES = recording("transformer")


def make(case: Case, folder: Path) -> CodesToText:
    path = save_argparse(case, folder / "fairseq.pt", arch="transformer", task="translation")
    words = "".join(f"{symbol} 1\n" for symbol in case.settings["source_symbols"][4:])
    (folder / "dict.src.txt").write_text(words, encoding="utf-8")
    return load_codes_to_text(path, num_codebooks=2, codebook_size=5)


def without_end(tokens: Tensor, lengths: list[int]) -> Packed:
    """The original's clips end with "</s>"; ours puts it there by itself."""
    return Packed.pack(clip[:-1] for clip in tokens.long().split(lengths))


def batch_of(case: Case, model: CodesToText) -> TranscribedCodes:
    tokens = without_end(case.arrays["source"], case.numbers["source_lengths"])
    text = without_end(case.arrays["target"], case.numbers["target_lengths"])
    return TranscribedCodes(tokens.with_values(model.vocabulary.codes[tokens.values]), text)


@pytest.mark.parametrize("name", CASES)
def test_memory_and_logits(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = make(case, tmp_path).eval()
    batch = batch_of(case, model)
    with torch.no_grad():
        assert_near(model.read(batch.codes).values, case.arrays["encoder out"])
        assert_near(model(batch.codes, batch.text), case.arrays["logits"])


@pytest.mark.parametrize("name", CASES)
def test_step_by_step(name: str, tmp_path: Path) -> None:
    """As a decoder would go, one subword after another."""
    case = CASES[name]
    model = make(case, tmp_path).eval()
    batch = batch_of(case, model)
    with torch.no_grad():
        memory = Packed.pack(model.read(batch.codes).unpack()[:1])
        length = case.numbers["target_lengths"][0]
        state, rows = model.start(memory), []
        for token in case.arrays["previous"][:length].long():
            logits, state = model.step(token[None], state)
            rows.append(logits[0])
    pad = case.settings["target_symbols"].index("<pad>")  # which a decoder never chooses
    kept = torch.arange(len(case.settings["target_symbols"])) != pad
    assert_near(torch.stack(rows)[:, kept], case.arrays["logits"][:length, kept])


@pytest.mark.parametrize("name", CASES)
def test_loss(name: str, tmp_path: Path) -> None:
    """The original smooths over the other subwords, ours over all, as the original did until 2020."""
    case = CASES[name]
    size = len(case.settings["target_symbols"])
    objective = WriteText(make(case, tmp_path).train(), smoothing=case.settings["label_smoothing"] * size / (size - 1))
    loss = objective(batch_of(case, objective.model))
    assert loss.count == sum(case.numbers["target_lengths"])
    assert loss.sum.item() == pytest.approx(case.numbers["loss"], rel=1e-5)
    assert loss.metrics["text_loss"][0] == pytest.approx(case.numbers["nll"], rel=1e-5)
    loss.sum.backward()
    assert_gradients(objective, case)
