"""Every block of every family has a row in the table of forms, and what the table says of graphs is true."""

import pytest
import torch
from torch import nn

from sonant.errors import ConfigurationError
from sonant.inference.blocks import BLOCKS
from sonant.inference.padded_backbones import padded
from sonant.inference.plain import KNOWN
from sonant.models import (
    BackboneConfig,
    Data2VecConfig,
    DiscreteBERTConfig,
    FilterBankConfig,
    HuBERTConfig,
    UniSpeechConfig,
    UniSpeechSATConfig,
    VQWav2VecConfig,
    Wav2Vec2Config,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from sonant.models.families import FAMILIES, family_of
from tests.shapes import BLOCKS as SIZES
from tests.shapes import TINY, conformer, sew, w2v_bert2

CONVOLUTIONS = {"conv_channels": (16,) * 8, "context_kernels": (2, 3), "codebook_size": 4}
CONFIGS: dict[str, BackboneConfig] = {
    "wavlm": WavLMConfig(**TINY),
    "wavlm-large": WavLMConfig(**TINY, pre_norm=True, extractor_norm="layer"),
    "hubert": HuBERTConfig(**TINY),
    "hubert-batch-norm": HuBERTConfig(**TINY, position_norm="batch", projection_norm=False),
    "data2vec": Data2VecConfig(**TINY),
    "wav2vec2": Wav2Vec2Config(**TINY, pre_norm=True, attention_adapter_dim=4, adapter_layers=1),
    "unispeech": UniSpeechConfig(**TINY),
    "unispeech-sat": UniSpeechSATConfig(**TINY),
    "sew": sew(),
    "conformer": conformer("relative", adapter_layers=1),
    "conformer-rotary": conformer("rotary"),
    "conformer-without-positions": conformer(None),
    "w2v-bert2": w2v_bert2(adapter_layers=1, adapter_feed_forward=True),
    "wav2vec": Wav2VecConfig(conv_channels=(16,) * 5, context_kernels=(2, 3)),
    "vq-wav2vec": VQWav2VecConfig(**CONVOLUTIONS),
    "vq-wav2vec-kmeans": VQWav2VecConfig(**CONVOLUTIONS, quantizer="kmeans"),
    "filter-bank": FilterBankConfig(),
    "discrete-bert": DiscreteBERTConfig(tokenizer=VQWav2VecConfig(**CONVOLUTIONS), vocabulary_size=21, **SIZES),
}
FRAMES = (nn.ModuleList, nn.Dropout, nn.Identity)  # they hold other blocks, or do nothing in evaluation mode


def model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(CONFIGS[name]).eval()


def without_row(module: nn.Module) -> set[type[nn.Module]]:
    """The classes of blocks inside a module that neither have a row nor are a part of one that has."""
    found: set[type[nn.Module]] = set()
    for child in module.children():
        forms = BLOCKS.get(type(child))
        if forms is None and not isinstance(child, FRAMES):
            found.add(type(child))
        made_whole = forms is not None and not any(
            isinstance(form, str) and "parts" in form for form in (forms.cpu, forms.cuda, forms.padded)
        )
        if not made_whole:
            found |= without_row(child)
    return found


def test_every_family_is_here():
    assert {family_of(config).key for config in CONFIGS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_block_of_a_family_has_a_row(name: str):
    assert (
        without_row(model(name)) - {type(part) for part in model(name).children() if name == "discrete-bert"} == set()
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_every_block_with_a_row_is_known_to_be_plain(name: str):
    assert {type(part) for part in model(name).modules()} <= KNOWN.keys()
    assert BLOCKS.keys() <= KNOWN.keys()


def test_a_form_that_is_missing_has_a_reason():
    assert all(callable(form) or form for row in BLOCKS.values() for form in (row.cpu, row.cuda, row.padded))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_has_a_graph_unless_a_block_keeps_it_from_one(name: str):
    held = {type(part) for part in model(name).modules()}
    if all(BLOCKS[kind].graph for kind in held & BLOCKS.keys()):
        rows, lengths = torch.randn(2, 4_000), torch.tensor([4_000, 3_000])
        assert padded(model(name))(rows, lengths)["last"].isfinite().all()
    else:
        with pytest.raises(ConfigurationError, match="has no graph"):
            padded(model(name))
