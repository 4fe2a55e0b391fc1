"""What is saved is a model that loads, or an error says why it cannot be."""

from pathlib import Path

import pytest
import torch
from torch.nn.utils import parametrizations

from sonant.checkpoints import load_backbone, save_pretrained
from sonant.errors import ConfigurationError
from sonant.models import WavLMConfig, build
from tests.inference.alterations import adapt, keep_layers
from tests.shapes import SMALL


@pytest.mark.parametrize("numbers", [(0, 1), (3, 1, 2, 0), (0, 0, 1, 1, 2)])
def test_layers_may_be_left_out_or_repeated(numbers: tuple[int, ...], tmp_path: Path) -> None:
    model = build(WavLMConfig(**SMALL)).eval()
    keep_layers(*numbers)(model)
    save_pretrained(model, tmp_path)
    again = load_backbone(tmp_path)
    assert again.config.num_layers == again.num_layers == len(numbers)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_parts_that_no_format_knows_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = build(WavLMConfig(**SMALL))
    adapt("encoder.layers.1.attention.query")(model)
    with pytest.raises(ConfigurationError, match=r"layers\.1\.attention\.query\.base_layer.*Merge adapters"):
        save_pretrained(model, tmp_path / "adapted")
    other = build(WavLMConfig(**SMALL))
    parametrizations.weight_norm(other.get_submodule("encoder.layers.0.feed_forward.inner"))
    with pytest.raises(ConfigurationError, match="parametrizations"):
        save_pretrained(other, tmp_path / "parametrized")
    assert not list(tmp_path.iterdir())
