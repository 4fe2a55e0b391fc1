"""The models that are measured."""

from pathlib import Path

import pytest
import torch

from sonant.benchmark.subjects import OUTLIERS, TINY, known, random_weights, subject, with_outliers
from sonant.checkpoints import load_backbone
from sonant.errors import ConfigurationError
from sonant.models import W2vBERT2Config, Wav2VecConfig


@pytest.mark.parametrize("config", [TINY, W2vBERT2Config(dim=32, num_layers=3, num_heads=2, feed_forward_dim=64)])
def test_a_few_channels_are_far_larger_than_the_others(config) -> None:
    plain = random_weights(config)
    altered = with_outliers(config, plain)
    changed = {name for name, tensor in plain.items() if not torch.equal(tensor, altered[name])}
    assert {name.split(".")[2] for name in changed} == {str(number) for number in range(config.num_layers)}
    for name in changed:
        times = (
            (altered[name] / plain[name]).flatten(1).mean(1) if plain[name].ndim > 1 else altered[name] / plain[name]
        )
        larger = times[times != 1]
        assert len(larger) == 3
        assert larger.min() > 9.9
        assert larger.max() < 30.1
    again = with_outliers(config, plain)
    assert all(torch.equal(tensor, again[name]) for name, tensor in altered.items())


def test_a_name_says_so(tmp_path: Path) -> None:
    assert known("wavlm-large" + OUTLIERS) == ("WavLM Large, outliers", known("wavlm-large")[1])
    plain, altered = (subject(name, tmp_path) for name in ("tiny", "tiny" + OUTLIERS))
    assert plain.source != altered.source
    gains = [load_backbone(one.source).encoder.layers[0].attention_norm.weight.max() for one in (plain, altered)]
    assert gains[1] > 5 * gains[0]


def test_a_model_without_such_layers_has_none() -> None:
    config = Wav2VecConfig()
    with pytest.raises(ConfigurationError, match="without Transformer layers"):
        with_outliers(config, {})
