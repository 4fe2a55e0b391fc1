"""A saved model replaces the one in its folder: what is loaded is one or the other, never files of both."""

import json
import os
import shutil
import warnings
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sonant.checkpoints import Checkpoint, Head, load_checkpoint, save_checkpoint, save_pretrained
from sonant.checkpoints.checkpoint import differing
from sonant.checkpoints.folder import WEIGHTS, index_of
from sonant.errors import ConfigurationError, CorruptedCheckpoint, ModelWarning
from sonant.models import HuBERTConfig, WavLMConfig, build
from tests.shapes import SMALL


def _checkpoint(kind: type = WavLMConfig, *, tokens: str = "", named: bool = True, seed: int = 0) -> Checkpoint:
    torch.manual_seed(seed)
    config = kind(**SMALL)
    heads = {}
    if tokens:
        tensors = {"weight": torch.randn(len(tokens), config.dim), "bias": torch.randn(len(tokens))}
        heads["ctc"] = Head(tensors, {"vocabulary": list(tokens), "blank": 0} if named else {})
    return Checkpoint(config, build(config).state_dict(), heads)


def _in_shards(folder: Path, weights: str) -> None:
    """Cut model.safetensors into two files and their index, by the names of transformers."""
    state = load_file(folder / WEIGHTS[0])
    (folder / WEIGHTS[0]).unlink()
    stem, _, suffix = weights.rpartition(".")
    table = {}
    for number, names in enumerate((list(state)[::2], list(state)[1::2]), 1):
        file = f"{stem}-0000{number}-of-00002.{suffix}"
        part = {name: state[name] for name in names}
        save_file(part, folder / file) if suffix == "safetensors" else torch.save(part, folder / file)
        table |= dict.fromkeys(names, file)
    (folder / index_of(weights)).write_text(json.dumps({"weight_map": table}))


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("to", ["hf", "sonant"])
def test_the_weights_of_the_model_before_are_gone(weights: str, to, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(), to=to)
    _in_shards(tmp_path, weights)
    load_checkpoint(tmp_path)
    (tmp_path / "README.md").write_text("mine")
    new = _checkpoint(seed=1)
    save_checkpoint(tmp_path, new, to=to)
    assert not differing(load_checkpoint(tmp_path).backbone_state, new.backbone_state)
    files = {"README.md", "config.json", "model.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == files | ({"preprocessor_config.json"} if to == "hf" else set())


def test_heads_and_tokens_of_the_model_before_are_gone(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(tokens="_abc"), to="sonant")
    save_checkpoint(tmp_path, _checkpoint(), to="sonant")
    assert not load_checkpoint(tmp_path).heads
    save_checkpoint(tmp_path, _checkpoint(tokens="_abc"), to="hf")
    (tmp_path / "added_tokens.json").write_text(json.dumps({"x": 4}))
    save_checkpoint(tmp_path, _checkpoint(tokens="_xyz"), to="hf")
    assert load_checkpoint(tmp_path).heads["ctc"].metadata["vocabulary"] == ["_", *"xyz"]
    assert not (tmp_path / "added_tokens.json").exists()


@pytest.mark.parametrize(("kind", "tokens"), [(HuBERTConfig, "_abc"), (WavLMConfig, "_abcde"), (WavLMConfig, "")])
def test_a_tokenizer_of_another_model_is_named(kind: type, tokens: str, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(tokens="_abc"), to="hf")
    with pytest.warns(ModelWarning, match=r"of which vocab\.json, tokenizer_config\.json stayed"):
        save_checkpoint(tmp_path, _checkpoint(kind, tokens=tokens, named=False), to="hf")


def test_a_tokenizer_of_the_same_model_stays_without_a_word(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, _checkpoint(tokens="_abc"), to="hf")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_checkpoint(tmp_path, _checkpoint(tokens="_abc", named=False, seed=1), to="hf")
    assert load_checkpoint(tmp_path).heads["ctc"].metadata["vocabulary"][1:] == [*"abc"]


def _at_each_rename(monkeypatch, watch: Callable[[int], None]) -> None:
    """Call `watch` with a number before each rename of the exchange."""
    rename, numbers = os.rename, count()

    def watched(self: Path, target: Path) -> None:
        watch(next(numbers))
        rename(self, target)

    monkeypatch.setattr(Path, "rename", watched)


@pytest.mark.parametrize("step", range(10))
def test_a_save_that_fails_leaves_the_model_before(step: int, tmp_path: Path, monkeypatch) -> None:
    save_checkpoint(tmp_path, _checkpoint(tokens="_abc"), to="hf")
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(number: int) -> None:
        if number == step:
            raise KeyboardInterrupt

    _at_each_rename(monkeypatch, fail)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path, _checkpoint(tokens="_xyzw", seed=1), to="hf")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_at_no_moment_is_there_a_mixture(tmp_path: Path, monkeypatch) -> None:
    """What a kill would leave: the folder as it is before each rename."""
    folder, left = tmp_path / "model", tmp_path / "left"
    save_checkpoint(folder, _checkpoint(tokens="_abc"), to="hf")
    _at_each_rename(monkeypatch, lambda number: shutil.copytree(folder, left / str(number)) and None)
    save_checkpoint(folder, _checkpoint(tokens="_xyz", seed=1), to="hf")
    assert load_checkpoint(left / "0").heads["ctc"].metadata["vocabulary"] == [*"_abc"]
    assert load_checkpoint(folder).heads["ctc"].metadata["vocabulary"] == [*"_xyz"]
    between = sorted(path for path in left.iterdir() if path.name != "0")
    assert len(between) == 9
    for killed in between:
        with pytest.raises(CorruptedCheckpoint, match=r"a save into it was stopped .*before back into the folder"):
            load_checkpoint(killed)


@pytest.mark.parametrize("nowhere", ["", "  ", None, 3, b"model"])
def test_what_names_no_place_is_refused(nowhere, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="was given as the place to save a model to"):
        save_pretrained(build(WavLMConfig(**SMALL)), nowhere)
    assert not list(tmp_path.iterdir())
