"""Every system that is installed gives the same states of the same weights."""

from pathlib import Path

import pytest
import torch

from sonant.benchmark.deviation import lowest_cosine, relative_error
from sonant.benchmark.subjects import TINY, exaggerate
from sonant.benchmark.systems import SYSTEMS, Circumstances, States, System, chosen, reference_of
from sonant.errors import UnknownName
from sonant.models import W2vBERT2Config, Wav2Vec2Config, Wav2VecConfig, WavLMConfig, build
from sonant.models.catalog import find

HERE = Circumstances(threads=1)
SMALL = {"conv_channels": (16,) * 7, "dim": 32, "num_layers": 2, "num_heads": 4, "feed_forward_dim": 48}
CONFIGS = {
    "post-norm": WavLMConfig(**SMALL),
    "pre-norm": WavLMConfig(**SMALL, pre_norm=True, extractor_norm="layer", normalize=True),
    "wav2vec2": Wav2Vec2Config(**SMALL),
    "w2v-bert2": W2vBERT2Config(dim=32, num_layers=2, num_heads=4, feed_forward_dim=48, conv_kernel=5),
}


@torch.inference_mode()
def states(system: System, config: str) -> States:
    torch.manual_seed(0)
    backbone = exaggerate(build(CONFIGS[config]))
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(length, generator=generator) for length in (16_000, 9_000)]
    run = system.make(backbone, HERE)
    last = run(clips, every=False)
    every = run(clips, every=True)
    assert list(last) == ["last"]
    for ours, theirs in zip(last["last"], every["last"], strict=True):
        assert lowest_cosine(ours.float(), theirs.float()) > 0.99
    return every


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize(
    "name", ["plain", "sonant", "sonant-bfloat16", "sonant-int8", "transformers-bfloat16", "padded"]
)
@pytest.mark.filterwarnings("ignore:precision=")  # a CPU without bfloat16
def test_states_are_those_of_the_reference(name: str, config: str):
    system, reference = SYSTEMS[name], states(SYSTEMS["transformers"], config)
    found = states(system, config)
    assert found.keys() == reference.keys() == {0, 1, 2, "last"}
    for state, clips in found.items():
        for number, (ours, theirs) in enumerate(zip(clips, reference[state], strict=True)):
            assert ours.shape == theirs.shape
            if name == "padded" and number and config in ("post-norm", "wav2vec2"):
                continue  # the shorter clip of a padded batch is another, as the group norm sees its zeros
            if system.precision == "float32":
                assert relative_error(ours, theirs) < 1e-4
            else:
                assert lowest_cosine(ours.float(), theirs) > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("config", ["post-norm", "w2v-bert2"])
@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "torchaudio"])
def test_states_are_those_of_the_reference_elsewhere(name: str, config: str):
    pytest.importorskip(name)
    if not SYSTEMS[name].knows(CONFIGS[config]):
        pytest.skip(f"{name} has no such model")
    reference, found = (states(SYSTEMS[system], config) for system in ("transformers", name))
    assert found.keys() == reference.keys() - ({0} if name == "torchaudio" else set())
    for state, clips in found.items():
        assert all(relative_error(*pair) < 1e-4 for pair in zip(clips, reference[state], strict=True))


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sonant.benchmark.systems.find_spec", lambda package: None)
    assert SYSTEMS["sonant"].missing(HERE) is None
    assert SYSTEMS["openvino"].missing(HERE) == "the package openvino is not installed"
    assert "--unilm" in (SYSTEMS["unilm"].missing(HERE) or "")
    assert SYSTEMS["unilm"].missing(Circumstances(1, unilm=Path("somewhere"))) is None


def test_families_that_a_system_knows():
    assert SYSTEMS["unilm"].knows(TINY)
    assert not SYSTEMS["unilm"].knows(CONFIGS["wav2vec2"])
    assert not SYSTEMS["transformers"].knows(Wav2VecConfig())
    assert SYSTEMS["sonant"].knows(Wav2VecConfig())


@pytest.mark.parametrize(
    ("name", "knows"),
    [("wav2vec2-large-lv60", True), ("wav2vec2-base", False), ("wavlm-large", False), ("w2v-bert-2.0", False)],
)
def test_one_knows_norms_before_layers_alone(name: str, knows: bool):
    assert SYSTEMS["ctranslate2-int8"].knows(find(name).config) == knows


def test_choice_by_name():
    assert [system.name for system in chosen(["transformers", "sonant"], ["float32", "int8"])] == [
        "sonant",
        "sonant-int8",
        "transformers",
    ]
    with pytest.raises(UnknownName, match="Did you mean 'openvino'"):
        chosen(["openvin"], ["float32"])


def test_the_reference_is_transformers_where_it_knows_the_model():
    assert reference_of(SYSTEMS.values()) == SYSTEMS["transformers"]
    assert reference_of(chosen(["plain", "sonant"], ["float32"])) == SYSTEMS["plain"]
    assert reference_of(chosen(["sonant"], ["float32"])) is None
