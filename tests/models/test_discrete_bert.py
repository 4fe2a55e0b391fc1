"""The BERT on discretized speech: blocks, brackets, and the tokenizer that never learns."""

import pytest
import torch

from sonant.errors import ConfigurationError, UnknownName
from sonant.layers.packed import Packed
from sonant.models.discrete_bert import SMALL, DiscreteBERT, DiscreteBERTConfig
from sonant.models.vq_wav2vec import VQWav2VecConfig
from tests.codes import discrete_bert


def states(model: DiscreteBERT, tokens: list[int]) -> torch.Tensor:
    with torch.no_grad():
        last = model.encode_tokens(Packed.pack([torch.tensor(tokens)]), layers=["last"]).last
    assert last is not None
    return last


def test_a_long_clip_is_cut_into_blocks_that_do_not_see_each_other() -> None:
    """With 10 positions and the bracket before it, the first block holds 9 tokens of the clip, the others 10."""
    model = discrete_bert(max_positions=10)
    tokens = [4 + i % 7 for i in range(35)]
    before = states(model, tokens)
    tokens[20] = 11  # in the third block, tokens 19 to 28
    changed = (states(model, tokens) - before).abs().amax(1) > 1e-6
    assert changed.nonzero().flatten().tolist() == list(range(19, 29))


def test_waveforms_become_tokens_first() -> None:
    model = discrete_bert()
    speech = Packed.pack([torch.randn(4000), torch.randn(2000)])
    with torch.no_grad():
        whole, tokens = model(speech), model.tokens(speech)
        from_tokens = model.encode_tokens(tokens)
    assert torch.equal(whole.lengths, tokens.lengths)
    assert whole.lengths.tolist() == [model.num_frames(4000), model.num_frames(2000)]
    assert torch.equal(whole.last, from_tokens.last)
    assert whole.frame_rate == 100
    assert set(tokens.values.tolist()) - {3}, "some codes are known"


def test_fast_arithmetic_changes_no_code() -> None:
    model = discrete_bert()
    speech = Packed.pack([torch.randn(400_000, generator=torch.Generator().manual_seed(0))])
    with torch.no_grad():
        exact = model.codes(speech).values
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(model.codes(speech).values, exact)
            assert not torch.equal(model.tokenizer.codes(speech).values, exact), "else this proves nothing"


def test_layers_above_the_highest_are_not_computed() -> None:
    model = discrete_bert()
    tokens = Packed.pack([torch.tensor([4, 5, 6])])
    del model.encoder.layers[1:]
    assert model.encode_tokens(tokens, layers=[1]).hidden_states.keys() == {1}
    with pytest.raises(UnknownName, match="layer 9"):
        model.encode_tokens(tokens, layers=[9])


def test_the_tokenizer_stays_as_it_is() -> None:
    model = discrete_bert().train()
    assert model.training
    assert not any(module.training for module in model.tokenizer.modules())
    assert not any(parameter.requires_grad for parameter in model.tokenizer.parameters())


@pytest.mark.slow
def test_published_sizes() -> None:
    """BERT base has 85 million parameters in its layers, without embeddings; small 38 million."""
    for config, millions in ((DiscreteBERTConfig(), 85.05), (SMALL, 37.83)):
        with torch.device("meta"):
            layers = DiscreteBERT(config).encoder.layers
        assert sum(parameter.numel() for parameter in layers.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="num_heads=5"):
        DiscreteBERTConfig(num_heads=5)
    with pytest.raises(ConfigurationError, match="no room for codes"):
        DiscreteBERTConfig(tokenizer=VQWav2VecConfig(), vocabulary_size=5)
