"""Tiny models in every shape that checkpoints come in, and the names that other toolkits give their tensors."""

import enum
import sys
from dataclasses import replace
from types import ModuleType

import pytest
import torch

from sonant.checkpoints import Checkpoint, Head
from sonant.models import build
from sonant.models.families import FAMILIES
from tests.checkpoints import tiny

SIZES = {
    "conv_channels": (8,) * 7,
    "dim": 16,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_dim": 24,
    "position_kernel": 8,
    "position_groups": 2,
    "dropout": 0.0,
    "layerdrop": 0.0,
}


def _random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.fixture(scope="session")
def config_of():
    """Our configuration of a tiny model."""

    def make(family="wavlm", norm="group", **settings):
        layer = norm == "layer"
        tiny = FAMILIES[family].config(**SIZES, extractor_norm=norm, pre_norm=layer, normalize=layer)
        return replace(tiny, conv_bias=layer and family == "wav2vec2", **settings)

    return make


@pytest.fixture(scope="session")
def heads_of():
    """Every kind of head that a family has."""

    def make(family, dim=16):
        def linear(prefix, outputs, inputs):
            return {f"{prefix}weight": _random(outputs, inputs), f"{prefix}bias": _random(outputs)}

        tdnn = linear("time_delay.0.", 6, 30) | linear("time_delay.1.", 6, 18) | linear("time_delay.2.", 9, 6)
        contrast = {"quantizer.codebook": _random(1, 10, 6), **linear("quantizer.projections.0.", 10, 8)}
        return {
            "ctc": Head(linear("", 5, dim), {"blank": 0, "vocabulary": ["<pad>", "<s>", "</s>", "|", "É"]}),
            "sequence_classification": Head(
                {"layer_weights": _random(3), **linear("projector.", 7, dim), **linear("classifier.", 3, 7)},
                {"labels": ["a", "b", "c"]},
            ),
            "speech_classification": Head(
                linear("classifier.dense.", dim, dim) | linear("classifier.output.", 2, dim),
                {"labels": ["high", "low"], "problem_type": "regression", "pooling_mode": "max"},
            ),
            "age_gender": Head(
                {
                    **linear("age.dense.", dim, dim),
                    **linear("age.output.", 1, dim),
                    **linear("gender.dense.", dim, dim),
                    **linear("gender.output.", 3, dim),
                },
                {"labels": ["male", "child", "female"]},
            ),
            "frame_classification": Head(linear("classifier.", 4, dim), {"labels": ["a", "b", "c", "d"]}),
            "xvector": Head(
                {
                    **linear("projector.", 6, dim),
                    **tdnn,
                    **linear("embedding.", 13, 18),
                    **linear("classifier.", 13, 13),
                    "objective": _random(13, 3),
                },
                {"tdnn_kernel": [5, 3, 1], "tdnn_dilation": [1, 2, 1], "labels": ["x", "y", "z"]},
            ),
            "pretraining": Head(
                {**contrast, **linear("target_projection.", 10, 12), **linear("projection.", 10, dim)},
                {"num_codebooks": 2},
            )
            if family == "wav2vec2"
            else Head(
                {**linear("projection.", 6, dim), "label_embeddings": _random(20, 6)}, {"dictionaries": [["0", "1"]]}
            ),
        }

    return make


@pytest.fixture
def checkpoint_of(config_of, heads_of):
    """A checkpoint with random weights and the heads of these kinds."""

    def make(family="wavlm", norm="group", heads=(), dtype=torch.float32, **settings):
        config = config_of(family, norm, **settings)
        torch.manual_seed(0)
        state = {
            name: torch.randn_like(tensor).to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in build(config).state_dict().items()
        }
        kept = {
            kind: Head({name: tensor.to(dtype) for name, tensor in head.tensors.items()}, head.metadata)
            for kind, head in heads_of(family).items()
            if kind in heads
        }
        return Checkpoint(config, state, kept)

    return make


@pytest.fixture(scope="session")
def theirs_of():
    """A tiny model of transformers with random weights: `theirs_of("hubert", "ForCTC", "layer")`."""
    pytest.importorskip("transformers")
    return tiny.theirs


@pytest.fixture(scope="session")
def fairseq_names():
    """The state dict of a bare model of transformers under the names of fairseq and unilm."""
    return tiny.fairseq_names


@pytest.fixture(scope="session")
def torchaudio_names():
    """The same under the names of torchaudio, which stacks WavLM's query, key and value."""
    return tiny.torchaudio_names


@pytest.fixture(scope="session")
def agree():
    """Assert that a backbone of ours gives the hidden states of a model of transformers, to 1e-5 relative."""
    from sonant.checkpoints import make_backbone
    from sonant.layers.packed import Packed

    def check(checkpoint, theirs):
        speech = torch.randn(3000, generator=torch.Generator().manual_seed(1))
        body = getattr(theirs, theirs.base_model_prefix, theirs)
        with torch.no_grad():
            backbone, packed = make_backbone(checkpoint), Packed.pack([speech])
            expected = body(backbone.normalized(packed).values[None], output_hidden_states=True)
            got = backbone(packed)
        for number, state in enumerate(expected.hidden_states):
            torch.testing.assert_close(
                got.hidden_states[number], state[0], rtol=1e-4, atol=1e-5 * float(state.abs().max())
            )
        torch.testing.assert_close(
            got.last, expected.last_hidden_state[0], rtol=1e-4, atol=1e-5 * float(got.last.abs().max())
        )

    return check


@pytest.fixture
def toolkit(monkeypatch):
    """Modules that a pickler takes for fairseq's and omegaconf's; `forget()` takes them away before reading."""
    omegaconf, base, dictionary, choices = (
        ModuleType(name)
        for name in ("omegaconf", "omegaconf.base", "fairseq.data.dictionary", "fairseq.dataclass.constants")
    )
    for name in ("DictConfig", "ListConfig", "AnyNode"):
        setattr(omegaconf, name, type(name, (), {"__module__": "omegaconf"}))
    base.Metadata = type("Metadata", (), {"__module__": "omegaconf.base"})
    dictionary.Dictionary = type("Dictionary", (), {"__module__": "fairseq.data.dictionary"})
    choices.Mode = enum.Enum("Mode", {"default": "default", "layer_norm": "layer_norm"}, module=choices.__name__)
    modules = (omegaconf, base, dictionary, choices, ModuleType("fairseq"), ModuleType("fairseq.data"))
    for module in modules:
        monkeypatch.setitem(sys.modules, module.__name__, module)

    class Toolkit:
        Mode = choices.Mode

        def omega(self, value):
            """The tree of DictConfig, ListConfig and AnyNode that omegaconf makes of plain values."""
            kind, content = "AnyNode", value
            if isinstance(value, dict):
                kind, content = "DictConfig", {name: self.omega(item) for name, item in value.items()}
            elif isinstance(value, list):
                kind, content = "ListConfig", [self.omega(item) for item in value]
            node = getattr(omegaconf, kind)()
            node.__dict__ = {"_metadata": base.Metadata(), "_parent": None, "_content": content}
            for child in content.values() if kind == "DictConfig" else content if kind == "ListConfig" else ():
                child.__dict__["_parent"] = node
            return node

        def dictionary(self, symbols):
            made = dictionary.Dictionary()
            made.__dict__ = {"symbols": list(symbols), "count": [1] * len(symbols), "bos_word": "<s>"}
            return made

        def forget(self):
            for module in modules:
                monkeypatch.delitem(sys.modules, module.__name__, raising=False)

    return Toolkit()
