"""The effect of the other clips in a batch on a clip's features: sonant's packed batch and transformers' padded one.

    python -m benchmarks.packed_law                        # every family at its published width, 30 to 60 seconds
    python -m benchmarks.packed_law --layers 12 --width 768
    python -m benchmarks.packed_law --model sonant/wavlm-tiny --audio examples/speech

Both run the same weights, and each is compared with itself: the clip alone against the clip in a batch.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from sonant import load
from sonant.audio import read
from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, transformers_model
from sonant.benchmark.systems import features_of
from sonant.layers.packed import Packed
from sonant.models import (
    HuBERTConfig,
    Wav2Vec2Config,
    WaveformTransformer,
    WavLMConfig,
    build,
    hubert,
    wav2vec2,
    wavlm,
)

RATE = 16_000
CONFIGS = {
    "WavLM Base": WavLMConfig(),
    "HuBERT Base": HuBERTConfig(),
    "wav2vec 2.0 Base": Wav2Vec2Config(),
    "WavLM Large": wavlm.LARGE,
    "HuBERT Large": hubert.LARGE,
    "wav2vec 2.0 Large LV-60": wav2vec2.LARGE_LV60,
}
NORMS = {"group": "over time, a channel", "layer": "over channels, a frame"}


@dataclass(frozen=True)
class Deviation:
    """The largest relative error over the states of a clip, alone against in a batch."""

    model: str
    norm: str
    clip_seconds: float
    batch_seconds: float
    sonant: float
    padded: float
    masked: float


@torch.no_grad()
def deviation(name: str, backbone: WaveformTransformer, peer: PreTrainedModel, clip: Tensor, mate: Tensor) -> Deviation:
    """Measure a clip in a batch with a longer one."""
    layers = backbone.num_layers
    alone, batch = backbone(Packed.pack([clip])), backbone(Packed.pack([clip, mate]))
    frames = int(alone.lengths[0])
    ours = max(relative_error(batch.hidden_states[i][:frames], alone.hidden_states[i]) for i in range(layers + 1))

    features = features_of(backbone)
    padded, lengths = Packed.pack([features(clip), features(mate)]).to_padded()
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    expected = peer_states(peer, features(clip)[None])
    theirs = []
    for given_mask in (None, mask):
        states = peer_states(peer, padded, given_mask)
        theirs.append(max(relative_error(states[i][0, :frames], expected[i][0]) for i in range(layers + 1)))
    norm = backbone.config.extractor_norm
    return Deviation(name, norm, len(clip) / RATE, len(mate) / RATE, ours, *theirs)


def noise(seconds: float, seed: int) -> Tensor:
    """Return noise whose loudness rises and falls four times a second."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(round(seconds * RATE)) / RATE
    return torch.randn(len(time), generator=generator) * (0.02 + 0.1 * torch.sin(4 * torch.pi * time).square())


def random_models(layers: int, width: int | None) -> Iterator[tuple[str, WaveformTransformer]]:
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        changed = replace(config, num_layers=min(layers, config.num_layers))
        if width is not None:
            channels = (width,) * len(config.conv_channels)
            sizes = {"conv_channels": channels, "dim": width, "feed_forward_dim": 2 * width}
            changed = replace(changed, num_heads=4, position_groups=4, **sizes)
        yield name, build(changed).eval()


def measure(
    models: Iterator[tuple[str, WaveformTransformer]], pairs: Sequence[tuple[Tensor, Tensor]]
) -> Iterator[Deviation]:
    for name, backbone in models:
        peer = transformers_model(backbone)
        for clip, mate in pairs:
            yield deviation(name, backbone, peer, clip, mate)


def table(rows: Sequence[Deviation]) -> str:
    lines = [
        "| model | extractor norm | clip, s | padded to, s | sonant | transformers, padded | with attention mask |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.model} | {NORMS[row.norm]} | {row.clip_seconds:g} | {row.batch_seconds:g} "
        f"| {shown(row.sonant)} | {shown(row.padded)} | {shown(row.masked)} |"
        for row in rows
    ]
    return "\n".join(lines)


def shown(error: float) -> str:
    """Format an error: in powers of ten if it is rounding, else in per cent."""
    return f"{100 * error:.1f} %" if error >= 1e-3 else f"{error:.0e}" if error > 0 else "0"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4, help="of the models with random weights, at most")
    parser.add_argument("--width", type=int, help="of the same, instead of the published one")
    parser.add_argument(
        "--seconds", type=float, nargs="+", default=[1.0, 1.1, 2, 4, 8], help="the clip, then its mates"
    )
    parser.add_argument("--model", help="a checkpoint with trained weights, instead")
    parser.add_argument("--audio", type=Path, help="a folder of recordings for it: the shortest, beside some others")
    parser.add_argument("--out", type=Path, help="a JSON file for the numbers")
    given = parser.parse_args(arguments)
    logging.set_verbosity_error()

    if given.audio is None:
        clip, *mates = [noise(seconds, seed) for seed, seconds in enumerate(given.seconds)]
    else:
        recordings = [torch.from_numpy(read(path)) for path in sorted(given.audio.rglob("*.flac"))]
        clip, *longer = sorted(recordings, key=len)
        mates = longer[:: max(1, len(longer) // 4)]
    if given.model is None:
        models = random_models(given.layers, given.width)
    else:
        models = iter([(given.model, load(given.model).model)])
    rows = list(measure(models, [(clip, mate) for mate in mates]))
    print(table(rows))
    if given.out is not None:
        given.out.write_text(json.dumps([vars(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
