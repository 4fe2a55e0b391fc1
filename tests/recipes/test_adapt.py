"""Continued pretraining of every family: the objective it gets, and a run that moves the weights of a file."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

import sonant
from sonant.checkpoints import Head, load_backbone, load_checkpoint, save_pretrained
from sonant.errors import ConfigurationError
from sonant.models import (
    Data2VecConfig,
    HuBERTConfig,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from sonant.pretraining import CPCConfig, LayerTargets, MaskedContrast, MaskedContrastConfig, MaskedPredictionConfig
from sonant.recipes.composition import compose
from sonant.training.pretrain import pretrain
from tests.shapes import TINY, conformer, sew, w2v_bert2
from tests.training.corpus import write_corpus

FEW = [
    "stages.continued.training.steps=2",
    "stages.continued.training.precision=float32",
    "stages.continued.training.grad_accumulation=1",
    "stages.continued.batching.batch_seconds=3",
    "stages.continued.batching.max_seconds=2",
]
pytestmark = pytest.mark.filterwarnings("ignore:.*codebook collapses")  # of a model with random weights
CLUSTERS = "stages.continued.objective.targets.num_clusters=4"
MODELS = {
    "wavlm": WavLMConfig(**TINY),
    "hubert": HuBERTConfig(**TINY),
    "wav2vec2": Wav2Vec2Config(**TINY),
    "data2vec": Data2VecConfig(**TINY),
    "conformer": conformer(),
    "sew": sew(),
    "w2v_bert2": w2v_bert2(),
    "wav2vec": Wav2VecConfig(conv_channels=(8,) * 5, context_kernels=(3, 3)),
}


def saved(folder: Path, name: str) -> Path:
    """Save a model with fresh weights, of a wav2vec 2.0 with its quantizer."""
    model = build(MODELS[name])
    heads = {}
    if name == "wav2vec2":
        small = MaskedContrastConfig(num_codebooks=2, codebook_size=8, quantized_dim=12, projection_dim=10)
        objective = MaskedContrast(model, small)
        heads = {"pretraining": Head(objective.head_tensors(), objective.head_notes())}
    save_pretrained(model, folder, heads=heads)
    return folder


def adapted(tmp_path: Path, source: Path, *changes: str) -> Path:
    data = tmp_path / "speech"
    if not data.exists():
        write_corpus(data, [20_000, 33_000, 48_000, 16_000, 25_000, 31_000])
    return pretrain(compose("adapt", [f"model={source}", f"data={data}", f"output={tmp_path}", *FEW, *changes]))


@pytest.mark.parametrize(
    "name", [name if name in ("wavlm", "wav2vec2") else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]
)
def test_every_family_goes_on_from_its_file(name: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "source", name)
    objective = compose("adapt", [f"model={source}"]).stages[0].objective
    expected = {"wav2vec2": MaskedContrastConfig, "wav2vec": CPCConfig}.get(name, MaskedPredictionConfig)
    assert type(objective) is expected
    changes = [CLUSTERS] if expected is MaskedPredictionConfig else []
    model = adapted(tmp_path, source, *changes)
    before, after = dict(load_backbone(source).named_parameters()), dict(sonant.load(model).model.named_parameters())
    moved = [(after[key] - before[key]).abs().max().item() for key in before]
    assert 0 < max(moved) < 1e-3  # two steps at a low rate, from the weights of the file


def test_the_result_loads_in_transformers(tmp_path: Path) -> None:
    model = adapted(tmp_path, saved(tmp_path / "source", "hubert"), CLUSTERS)
    assert type(AutoModel.from_pretrained(model)).__name__ == "HubertModel"


def test_a_wav2vec2_goes_on_with_its_quantizer_and_without_one_predicts_its_clusters(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "wav2vec2")
    objective = compose("adapt", [f"model={source}"]).stages[0].objective
    assert (objective.num_codebooks, objective.codebook_size) == (2, 8)
    assert (objective.quantized_dim, objective.projection_dim) == (12, 10)
    assert objective.temperature.at(0) == 0.5
    before = load_checkpoint(source).heads["pretraining"].tensors["quantizer.codebook"]
    after = load_checkpoint(adapted(tmp_path, source)).heads["pretraining"].tensors["quantizer.codebook"]
    assert 0 < (after - before).abs().max() < 1e-3
    bare = tmp_path / "bare"
    save_pretrained(build(MODELS["wav2vec2"]), bare)
    assert compose("adapt", [f"model={bare}"]).stages[0].objective.targets == LayerTargets(layer=1, num_clusters=500)


def test_targets_come_from_the_model_itself_or_from_a_teacher(tmp_path: Path) -> None:
    source, teacher = saved(tmp_path / "source", "wavlm"), saved(tmp_path / "teacher", "hubert")
    own = adapted(tmp_path, source, CLUSTERS, "name=own")
    taught = adapted(tmp_path, source, CLUSTERS, "name=taught", f"teacher={teacher}")
    made_of = [json.loads((model.parent / "targets/settings.json").read_text())["model"] for model in (own, taught)]
    runs = [json.loads((model.parents[1] / "run.json").read_text())["made_of"] for model in (own, taught)]
    assert made_of == [runs[0]["initial_model"], runs[1]["teacher"]]
    assert runs[0]["initial_model"] == runs[1]["initial_model"] != runs[1]["teacher"]
    moved = [load_backbone(model).state_dict()["mask_embedding"] for model in (own, taught)]
    begin = load_backbone(source).state_dict()["mask_embedding"]
    assert all(0 < (each - begin).abs().max() < 1e-3 for each in moved)  # both from the weights of the source


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.num_heads=4", "num_heads: there 2, here 4"),
        ("model.normalize=true", "normalize: there False, here True"),
        ("model.layer_norm_eps=1e-3", "layer_norm_eps"),
        ("model.conv_strides=[5,2,2,2,2,2,1]", "stride"),
    ],
)
def test_a_model_taken_over_is_not_made_another_one(change: str, message: str, tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "wavlm")
    with pytest.raises(ConfigurationError, match=message):
        adapted(tmp_path, source, CLUSTERS, change)
    assert not (tmp_path / "adapt").exists()


def test_what_is_wrong_with_a_given_model_or_codebook_is_said_before_the_corpus_is_read(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "wavlm")
    codebook = adapted(tmp_path, source, CLUSTERS).parent / "targets/kmeans.safetensors"
    other = [f"stages.continued.objective.targets.codebook={codebook}", "stages.continued.objective.targets.layer=1"]
    with pytest.raises(ConfigurationError, match="layer: there '2', here '1'"):
        pretrain(compose("adapt", [f"model={source}", "data=nowhere", *other]))
    broken = build(MODELS["wavlm"])
    with torch.no_grad():
        broken.mask_embedding[0] = torch.nan
    save_pretrained(broken, tmp_path / "broken")
    for names in ([f"model={tmp_path}/broken"], [f"model={source}", f"teacher={tmp_path}/broken"]):
        with pytest.raises(ConfigurationError, match=r"model .*broken holds NaN or infinity \(mask_embedding\)"):
            pretrain(compose("adapt", [*names, "data=nowhere"]))


def test_the_extractor_can_be_frozen(tmp_path: Path) -> None:
    source = saved(tmp_path / "source", "wavlm")
    model = adapted(tmp_path, source, CLUSTERS, "stages.continued.training.parts.0.frozen_steps=1000000")
    before, after = load_backbone(source).state_dict(), load_backbone(model).state_dict()
    same = {key for key in before if torch.equal(before[key], after[key])}
    assert {key for key in before if key.startswith("extractor.")} <= same < set(before)
