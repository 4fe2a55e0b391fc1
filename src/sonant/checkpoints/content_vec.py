"""Files of ContentVec: a HuBERT followed by layers, conditioned on the speaker, that only training uses."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

SPEAKER_LAYERS = (
    "They are layers of ContentVec that serve its training: they take a vector of the speaker, and make what the "
    "layers before have left out of him. They are not used as features."
)
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.")


def split_content_vec(tensors: Mapping[str, Tensor], model: Mapping[str, Any]) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors of backbone and head, and the names of those that only ContentVec's training uses.

    Args:
        model: settings; ContentVec's have `encoder_layers_1`, the number of layers after `encoder_layers`.

    Source: auspicious3000/contentvec, `TransformerEncoder_1`.
    """
    depth = model.get("encoder_layers", 12)
    if not model.get("encoder_layers_1") or not isinstance(depth, int):
        return dict(tensors), []
    behind = [name for name in tensors if _is_behind(name, depth)]
    return {name: tensor for name, tensor in tensors.items() if name not in behind}, behind


def _is_behind(name: str, depth: int) -> bool:
    layer = _LAYER.match(name)
    return int(layer[1]) >= depth if layer else name.startswith(("encoder.cond_layer_norm.", "layer_proj."))
