"""Logits of a graph: those of the head on packed speech, whatever lies behind a clip."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sonant.checkpoints import Checkpoint, Head, save_checkpoint
from sonant.cli import main
from sonant.export import is_exportable
from sonant.export.check import compare
from sonant.export.padded_head import ExportableHead, PaddedWithHead, head_facts
from sonant.layers.lstm import PackedLSTM
from sonant.models import WavLMConfig, build
from sonant.tasks import CTCHead, SequenceClassificationHead
from sonant.tasks.attentive_pooling import AttentivePooling
from sonant.tasks.layer_mix import LayerMix
from tests.export.backbones import backbone
from tests.export.test_padded import speech
from tests.shapes import TINY


def head(kind: str, dim: int, num_layers: int) -> ExportableHead:
    torch.manual_seed(1)
    mix = LayerMix(torch.randn(num_layers + 1)) if kind != "ctc" else LayerMix()
    if kind.startswith("ctc"):
        return CTCHead(nn.Linear(dim, 5), mix)
    attention = AttentivePooling.fresh(8) if kind == "attention" else None
    return SequenceClassificationHead(nn.Linear(dim, 8), nn.Linear(8, 3), mix, attention)


@pytest.mark.parametrize("kind", ["ctc", "ctc, mixed", "mean", "attention"])
@torch.inference_mode()
def test_logits_are_those_of_packed_speech(kind: str) -> None:
    model = backbone("WavLM")
    own = head(kind, model.dim, model.num_layers)
    graph = PaddedWithHead(model, own, ["last", 1], normalize=True)
    assert graph.outputs == ("logits", "last", "hidden_states.1", "frames")
    assert compare(graph, model, own, normalize=True).largest_difference < 1e-4
    rows, clips = speech([model.receptive_field, 12_345])
    together = graph(rows, torch.tensor(list(map(len, clips))))
    for number, clip in enumerate(clips):
        alone = graph(clip[None], torch.tensor([len(clip)]))
        count = int(alone["frames"])
        ours, theirs = (each["logits"][at] for each, at in ((together, number), (alone, 0)))
        same = (ours[:count], theirs[:count]) if kind.startswith("ctc") else (ours, theirs)
        torch.testing.assert_close(*same, atol=1e-5, rtol=1e-4)
    own_linear = own.linear if isinstance(own, CTCHead) else own.classifier
    own_linear.bias[1] += 1
    other = head(kind, model.dim, model.num_layers)
    assert compare(graph, model, other, normalize=True).largest_difference > 0.01


def test_a_head_with_an_lstm_has_no_graph() -> None:
    assert not is_exportable(CTCHead(nn.Linear(8, 5), lstm=PackedLSTM(4, 8, num_layers=1, bidirectional=False)))
    assert not is_exportable(nn.Linear(4, 5))


def test_facts_say_what_each_number_means() -> None:
    assert head_facts({"vocabulary": ["<pad>", "é"], "blank": 0}) == {"labels": '["<pad>", "é"]', "blank": "0"}
    assert head_facts({"labels": ["a", "b"], "temperature": 1.5}) == {"labels": '["a", "b"]', "temperature": "1.5"}


@pytest.mark.slow
def test_the_command_gives_the_logits_of_a_recognizer(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    config = WavLMConfig(**TINY)
    tensors = head("ctc", config.dim, config.num_layers).tensors()
    notes = {"vocabulary": ["<pad>", "<unk>", "|", "a", "b"], "blank": 0}
    checkpoint = Checkpoint(config, build(config).state_dict(), {"ctc": Head(tensors, notes)})
    save_checkpoint(tmp_path / "model", checkpoint, to="hf")
    assert main(["convert", str(tmp_path / "model"), str(tmp_path / "model.onnx"), "--to", "onnx"]) == 0
    file = onnx.load(tmp_path / "model.onnx")
    assert [output.name for output in file.graph.output] == ["logits", "last", "frames"]
    facts = {each.key: each.value for each in file.metadata_props}
    assert json.loads(facts["labels"]) == notes["vocabulary"]
    assert facts["blank"] == "0"
