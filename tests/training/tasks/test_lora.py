"""Low-rank adapters: trained alone, merged or kept apart, with equal outputs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import sonant
from sonant.checkpoints import load_backbone, load_checkpoint, save_pretrained
from sonant.errors import CheckpointMismatch, ConfigurationError, UnknownName
from sonant.layers.packed import Packed
from sonant.models import Backbone, BackboneConfig, Wav2Vec2Config, WavLMConfig, build
from sonant.recipes.tasks import task_run
from sonant.training.tasks import TaskRun, UtteranceTask, train_task
from sonant.training.tasks import run as execution
from sonant.training.tasks.batches import LabeledBatch
from sonant.training.tasks.lora import LoRA, adapters_in, add_adapters, merge_adapters
from sonant.training.tasks.objective import TaskObjective
from tests.codes import vq_wav2vec
from tests.shapes import TINY, conformer, sew, w2v_bert2
from tests.training.tasks.tones import write_model, write_tones

ALL = LoRA(rank=3, alpha=6, modules=("attention", "feed_forward", "inner", "outer"))


def last(backbone: Backbone, *lengths: int) -> torch.Tensor:
    clips = [torch.randn(each, generator=torch.Generator().manual_seed(each)) for each in lengths]
    with torch.no_grad():
        return backbone.eval()(Packed.pack(clips), layers=["last"]).last


@pytest.mark.parametrize(
    "config",
    [
        WavLMConfig(**TINY),
        Wav2Vec2Config(**TINY, pre_norm=True, extractor_norm="layer", conv_bias=True),
        w2v_bert2(),
        conformer(),
        sew(),
    ],
)
def test_merged_adapters_compute_the_same(config: BackboneConfig) -> None:
    torch.manual_seed(0)
    backbone = build(config)
    base, plain = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}, last(backbone, 9_000, 6_000)
    add_adapters(backbone, ALL)
    assert torch.equal(last(backbone, 9_000, 6_000), plain)
    for tensor in adapters_in(backbone).values():
        torch.nn.init.normal_(tensor, std=0.3)
    adapted = last(backbone, 9_000, 6_000)
    assert (adapted - plain).abs().max() > 0.01
    alone = torch.cat([last(backbone, 9_000), last(backbone, 6_000)])
    torch.testing.assert_close(adapted, alone, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(tensor, backbone.state_dict()[name]) for name, tensor in base.items())
    merge_adapters(backbone)
    assert backbone.state_dict().keys() == base.keys()
    torch.testing.assert_close(last(backbone, 9_000, 6_000), adapted, atol=1e-5, rtol=1e-5)


def test_adapters_and_head_alone_learn() -> None:
    backbone = build(WavLMConfig(**TINY))
    objective = TaskObjective(
        backbone,
        UtteranceTask(),
        ("a", "b"),
        weighted=True,
        frozen="nothing",
        adapter=False,
        masks=False,
        lora=LoRA(rank=2),
    )
    trained = {name for name, each in objective.named_parameters() if each.requires_grad}
    assert trained == set(objective.state_dict())
    assert trained == {f"backbone.{name}" for name in adapters_in(backbone)} | {
        f"head.{name}" for name in objective.head.state_dict()
    }
    assert {name.split(".", 3)[3] for name in adapters_in(backbone)} == {
        f"attention.{layer}.lora_{part}" for layer in ("query", "value") for part in "AB"
    }
    assert objective.train().backbone.training


def test_the_rest_of_a_model_stays_as_it_is_in_training() -> None:
    torch.manual_seed(0)
    lora = LoRA(rank=2, modules=("feed_forward",))
    backbone = build(conformer())
    settings = {"weighted": True, "frozen": "extractor", "adapter": False, "masks": False}
    objective = TaskObjective(backbone, UtteranceTask(), ("a", "b"), lora=lora, **settings).train()
    assert {name.split(".")[3] for name in adapters_in(backbone)} == {"feed_forward_1", "feed_forward_2"}
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    speech = Packed.pack([torch.randn(9_000)])
    objective(LabeledBatch(speech, Packed.pack([torch.tensor([1])]), 9_000)).sum.backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_layers_that_are_not_there_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"feed_forward.inner"):
        add_adapters(build(WavLMConfig(**TINY)), LoRA(rank=2, modules=("feedforward",)))
    with pytest.raises(ConfigurationError, match="nothing would get an adapter"):
        LoRA(rank=2, modules=())
    with pytest.raises(ConfigurationError, match="no blocks with linear layers"):
        add_adapters(vq_wav2vec(), LoRA(rank=2))


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder / "train", 4)
    write_model(folder / "model", WavLMConfig(**TINY, layerdrop=0.3))
    return folder


def short_run(tones: Path, output: Path, task: str = "utterance", **changes: Any) -> TaskRun:
    settings = {
        "model": str(tones / "model"),
        "data": str(tones / "train"),
        "label": "pitch",
        "output": str(output),
        "batching": {"batch_seconds": 4, "max_seconds": 1},
        "training": {"steps": 4, "lr": 0.03, "save_every": 2, "parts": []},
        "trackers": [],
        "lora": {"rank": 2, "alpha": 8, "modules": ["attention", "feed_forward"]},
    }
    return task_run(task, [settings, changes])


@pytest.mark.parametrize(("task", "kind"), [("utterance", "sequence_classification"), ("ctc", "ctc")])
def test_adapters_apart_and_merged_are_one_model(task: str, kind: str, tones: Path, tmp_path: Path) -> None:
    merged, apart = (
        load_checkpoint(train_task(short_run(tones, tmp_path / save, task, lora={"save": save})))
        for save in ("merged", "apart")
    )
    base = load_backbone(tones / "model").state_dict()
    changed = {name for name, tensor in merged.backbone_state.items() if not torch.equal(tensor, base[name])}
    assert {name.split(".")[3] for name in changed} == {"attention", "feed_forward"}
    assert merged.config == apart.config
    assert merged.heads[kind].metadata == apart.heads[kind].metadata
    both = [(each.backbone_state | each.heads[kind].tensors) for each in (merged, apart)]
    assert both[0].keys() == both[1].keys()
    for name, tensor in both[0].items():
        torch.testing.assert_close(tensor, both[1][name], atol=1e-6, rtol=1e-6)
    assert not (tmp_path / "apart" / task / "model" / "model.safetensors").exists()


def test_adapters_apart_know_their_base(tones: Path, tmp_path: Path) -> None:
    folder = train_task(short_run(tones, tmp_path, "ctc", lora={"save": "apart"}, training={"steps": 1}))
    torch.manual_seed(1)
    save_pretrained(build(load_backbone(tones / "model").config), tmp_path / "other")
    other = {"base": str(tmp_path / "other")}
    with pytest.raises(CheckpointMismatch, match="was trained on another model than .*other"):
        load_checkpoint(folder, overrides=other)
    save_pretrained(load_backbone(tones / "model"), tmp_path / "moved")
    load_checkpoint(folder, overrides={"base": str(tmp_path / "moved")})
    weights = folder / "adapter_model.safetensors"
    save_file(load_file(weights), weights, {"format": "pt"})  # as earlier versions and peft do
    load_checkpoint(folder, overrides=other)


def test_an_interrupted_run_ends_with_the_same_bits(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_task(short_run(tones, tmp_path / "whole", lora={"dropout": 0.2}))
    run = short_run(tones, tmp_path / "interrupted", lora={"dropout": 0.2})
    train = execution.train
    monkeypatch.setattr(execution, "train", lambda *given, **named: train(*given, **named, stop_at=3) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train_task(run)
    monkeypatch.undo()
    torch.manual_seed(99)
    ours, theirs = (load_checkpoint(folder) for folder in (train_task(run), whole))
    for name, tensor in ours.backbone_state.items():
        assert torch.equal(tensor, theirs.backbone_state[name])


@pytest.mark.slow
def test_peft_and_transformers_compute_the_same(tones: Path, tmp_path: Path) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    folder = train_task(short_run(tones, tmp_path, layer="last", lora={"save": "apart"}))
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    config = transformers.AutoConfig.from_pretrained(folder)
    theirs = transformers.AutoModelForAudioClassification.from_pretrained(base, config=config)
    # Merged, as the attention of transformers' WavLM reads weights past the adapters of its layers.
    theirs = peft.PeftModel.from_pretrained(theirs, folder).merge_and_unload().eval()
    clip = np.random.default_rng(0).normal(0, 0.1, 8_000).astype(np.float32)
    with torch.no_grad():
        logits = theirs(torch.from_numpy(clip)[None]).logits[0].double()
    ours = torch.tensor(list(sonant.load(folder).classify(clip).values())).double()
    torch.testing.assert_close(ours, logits.softmax(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("make", "changes", "match"),
    [
        (lambda: build(WavLMConfig(**TINY)), {"lora": {"save": "apart"}, "layer": 1}, "no layers of it are removed"),
        (lambda: build(WavLMConfig(**TINY)), {"lora": {"save": "apart", "rank": 0}}, r"lora.rank=8"),
        (vq_wav2vec, {"lora": {"save": "apart"}}, "folder of transformers"),
    ],
)
def test_models_that_have_no_adapters_apart_are_refused(
    make: Callable[[], Backbone], changes: dict[str, Any], match: str, tones: Path, tmp_path: Path
) -> None:
    save_pretrained(make(), tmp_path / "model")
    with pytest.raises(ConfigurationError, match=match):
        train_task(short_run(tones, tmp_path / "out", model=str(tmp_path / "model"), **changes))
