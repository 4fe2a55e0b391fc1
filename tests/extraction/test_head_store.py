"""Heads that are trained in place are those that run and those that are saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sonant
from sonant.api import SpeechEncoder
from sonant.checkpoints import Head, load_checkpoint
from sonant.errors import ConfigurationError
from sonant.extraction.head_store import Heads, build_head
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_xvector

CLIP = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
WAYS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "ctc": (write_ctc, "transcribe"),
    "xvector": (write_xvector, "speaker_vectors"),
    "frame_classification": (write_frame_classifier, "diarize"),
    "speech_classification": (write_classifier, "classify"),
}


def encoder(kind: str, folder: Path, dtype: torch.dtype) -> SpeechEncoder:
    """A model whose head is stored in a type."""
    loaded = sonant.load(WAYS[kind][0](folder))
    head = load_checkpoint(folder).heads[kind]
    stored = Head({name: tensor.to(dtype) for name, tensor in head.tensors.items()}, head.metadata)
    return SpeechEncoder(loaded.model, heads={kind: stored})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", WAYS)
def test_a_head_trained_in_place_is_saved(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    one = encoder(kind, tmp_path / "given", dtype)
    torch.manual_seed(1)
    for parameter in one.heads[kind].requires_grad_(requires_grad=True).parameters():
        parameter.data = parameter.data + 0.3 * torch.randn_like(parameter)
    expected = getattr(one, WAYS[kind][1])(CLIP)
    one.save_pretrained(tmp_path / "saved")
    again = sonant.load(tmp_path / "saved")
    given = getattr(again, WAYS[kind][1])(CLIP)
    if isinstance(expected, np.ndarray):
        np.testing.assert_allclose(given, expected, rtol=1e-4)
    else:
        assert str(given) == str(expected)
    for name, tensor in again.heads[kind].state_dict().items():
        assert torch.equal(tensor, one.heads[kind].state_dict()[name])


@pytest.mark.parametrize("kind", WAYS)
def test_one_that_nobody_changed_keeps_its_bits(kind: str, tmp_path: Path) -> None:
    one = encoder(kind, tmp_path / "given", torch.bfloat16)
    before = dict(one._heads.stored[kind].tensors)
    getattr(one, WAYS[kind][1])(CLIP)
    one.save_pretrained(tmp_path / "saved")
    after = load_checkpoint(tmp_path / "saved").heads[kind].tensors
    assert after.keys() == before.keys()
    assert all(after[name].dtype == torch.bfloat16 and torch.equal(after[name], before[name]) for name in before)


def test_tensors_make_the_head_they_came_from(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = {"projector.weight": (6, 4), "projector.bias": (6,), "classifier.weight": (3, 6), "classifier.bias": (3,)}
    tensors: dict[str, Any] = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    head = build_head("sequence_classification", Head(tensors | {"layer_weights": torch.randn(5, generator=draw)}))
    made = build_head("sequence_classification", Head(head.tensors()))
    assert all(torch.equal(a, b) for a, b in zip(head.parameters(), made.parameters(), strict=True))


def test_a_copy_on_another_device_follows(tmp_path: Path) -> None:
    stored = load_checkpoint(write_ctc(tmp_path)).heads
    heads = Heads({"ctc": stored["ctc"]})
    module, meta = heads.made("ctc", torch.device("cpu")), torch.device("meta")
    assert heads.on(torch.device("cpu"), "ctc") is module
    copied = heads.on(meta, "ctc")
    assert heads.on(meta, "ctc") is copied
    with torch.no_grad():
        next(module.parameters()).mul_(2.0)
    assert heads.on(meta, "ctc") is not copied


def test_what_a_head_cannot_say_of_itself_is_not_lost_in_silence(tmp_path: Path) -> None:
    one = sonant.load(write_ctc(tmp_path / "given"))
    head: Any = one.heads["ctc"]
    head.linear = nn.Sequential(head.linear, nn.Tanh())
    with pytest.raises(ConfigurationError, match="Sequential"):
        one.save_pretrained(tmp_path / "saved")
    with pytest.raises(TypeError):
        one.heads["ctc"] = head
