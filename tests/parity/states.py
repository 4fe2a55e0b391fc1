"""Comparison of every state of a batch of ours with each clip alone in transformers."""

import torch

from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, transformers_model
from sonant.benchmark.subjects import exaggerate
from sonant.benchmark.systems import features_of
from sonant.layers.packed import Packed
from sonant.models import BackboneConfig, MaskableBackbone, build

TOLERANCE = 1e-5


@torch.no_grad()
def assert_parity(config: BackboneConfig, sizes: list[int], seed: int = 0) -> None:
    """Build a model with random weights and compare all of its states with those of transformers.

    With an adapter behind the encoder `last` is what the adapter gives, as in transformers. A hidden state of theirs
    with fewer frames than ours (SEW) is compared with each of ours that it stands for.

    Args:
        sizes: samples of each clip.
    """
    torch.manual_seed(seed)
    backbone = exaggerate(build(config), seed)
    peer, features, clips = transformers_model(backbone), features_of(backbone), [torch.randn(size) for size in sizes]
    ours = backbone(Packed.pack(clips))
    assert list(ours.hidden_states) == list(range(config.num_layers + 1))
    adapted = isinstance(backbone, MaskableBackbone) and backbone.adapter is not None
    last = backbone.adapted(ours) if adapted else Packed(ours.last, ours.lengths)
    states = {name: Packed(state, ours.lengths).unpack() for name, state in ours.hidden_states.items()}
    states["last"] = last.unpack()
    repeats = getattr(config, "squeeze_factor", 1)
    for number, clip in enumerate(clips):
        theirs = peer_states(peer, features(clip)[None])
        assert states.keys() == theirs.keys()
        for name, (expected, *_) in theirs.items():
            found = states[name][number]
            if name != "last" and repeats > 1:
                place = torch.arange(len(found)) // repeats
                expected = expected[place.clamp(max=len(expected) - 1)]  # noqa: PLW2901
            assert found.shape == expected.shape
            error = relative_error(found, expected)
            assert error <= TOLERANCE, f"state {name} of a clip of {len(clip)} samples: {error:.1e}"
