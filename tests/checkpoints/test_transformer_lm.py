"""Folders of language models: transformers' GPT-2 computes the same, both ways."""

from pathlib import Path

import pytest
import torch

from sonant.checkpoints.files import read_json, write_json
from sonant.checkpoints.transformer_lm import TextModel, load_transformer_lm, save_transformer_lm
from sonant.data.text_tokenizers import SPECIALS, UnitTokenizer
from sonant.errors import CheckpointMismatch, ConfigurationError, UnsupportedCheckpoint
from sonant.layers.packed import Packed
from tests.models.language_models import small_lm

WORDS = UnitTokenizer([*SPECIALS, *"the cat sat on mat a dog".split()], "words")


def saved(folder: Path) -> TextModel:
    made = TextModel(small_lm(len(WORDS)), WORDS, "words", "lower", "test")
    save_transformer_lm(made, folder)
    return made


def test_a_saved_model_is_the_same(tmp_path: Path) -> None:
    made, loaded = saved(tmp_path), load_transformer_lm(tmp_path)
    assert loaded.model.config == made.model.config
    assert (loaded.units, loaded.normalization, len(loaded.tokenizer)) == ("words", "lower", len(WORDS))
    assert loaded.tokenizer.encode("a cat flew") == WORDS.encode("a cat flew") == [9, 5, 3]
    for name, tensor in made.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name])


@torch.no_grad()
def test_transformers_computes_the_same_and_its_folder_is_read(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    made, tokens = saved(tmp_path / "ours"), torch.randint(0, len(WORDS), (12,))
    ours = made.model.logits(made.model(Packed.pack([tokens])))
    torch.testing.assert_close(GPT2LMHeadModel.from_pretrained(tmp_path / "ours").eval()(tokens[None]).logits[0], ours)
    sizes = {"vocab_size": len(WORDS), "n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2}
    theirs = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=2, eos_token_id=2)).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.save_pretrained(tmp_path / "theirs")
    with pytest.raises(ConfigurationError, match="no tokenizer"):
        load_transformer_lm(tmp_path / "theirs")
    _byte_level(tmp_path / "theirs" / "tokenizer.json")
    loaded = load_transformer_lm(tmp_path / "theirs")
    assert (loaded.model.config.begin, loaded.normalization) == (2, None)
    torch.testing.assert_close(loaded.model.logits(loaded.model(Packed.pack([tokens]))), theirs(tokens[None]).logits[0])


def _byte_level(path: Path) -> None:
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")])).save(str(path))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model_type": "opt"}, UnsupportedCheckpoint),
        ({"scale_attn_by_inverse_layer_idx": True}, UnsupportedCheckpoint),
        ({"activation_function": "tanh"}, UnsupportedCheckpoint),
        ({"n_layer": 3}, CheckpointMismatch),
        ({"n_inner": 48}, CheckpointMismatch),
    ],
)
def test_other_models_are_refused(change: dict[str, object], error: type[Exception], tmp_path: Path) -> None:
    saved(tmp_path)
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | change)
    with pytest.raises(error):
        load_transformer_lm(tmp_path)
