"""Small fine-tuned models with random weights, in transformers' layout, for tests of what their heads serve."""

from pathlib import Path

import torch

from sonant.checkpoints import Head, save_pretrained
from sonant.models import BackboneConfig, Wav2Vec2Config, WavLMConfig, build
from sonant.tasks import LayerMix, MaskHead, MaskNetwork
from tests.shapes import SMALL

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
PHONEMES = ("<pad>", "<s>", "</s>", "<unk>", "n", "aɪ", "tʃ", "ɔː", "s", "t")
XVECTOR_DIM = 24
NUM_SPEAKERS = 2
LABELS = ("anger", "joy", "calm")


def write_ctc(
    folder: Path,
    *,
    config: BackboneConfig | None = None,
    vocabulary: tuple[str, ...] = LETTERS,
    tokenizer: dict[str, object] | None = None,
    seed: int = 0,
) -> Path:
    """A model that writes letters, at random but in words: the delimiter comes often, special tokens never."""
    config = config or Wav2Vec2Config(**SMALL)
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(len(vocabulary), config.dim, generator=draw)
    bias = torch.zeros(len(vocabulary))
    bias[1:4] = -50.0
    bias[[0, *(number for number, token in enumerate(vocabulary) if token == "|")]] = 8.0
    metadata: dict[str, object] = {"vocabulary": list(vocabulary), "blank": 0}
    if tokenizer is not None:
        metadata["tokenizer"] = tokenizer
    return _write(folder, config, {"ctc": Head({"weight": weight, "bias": bias}, metadata)}, seed)


def write_xvector(folder: Path, *, config: BackboneConfig | None = None, weighted: bool = True, seed: int = 0) -> Path:
    """A model whose head gives vectors of `XVECTOR_DIM` numbers; `weighted`: of a mix of all states."""
    config = config or WavLMConfig(**SMALL)
    draw = torch.Generator().manual_seed(seed)
    widths, kernels, dilations = (16, 16, 20), (5, 3, 1), (1, 2, 1)

    def linear(name: str, outputs: int, inputs: int) -> dict[str, torch.Tensor]:
        weight = torch.randn(outputs, inputs, generator=draw) / inputs**0.5
        return {f"{name}.weight": weight, f"{name}.bias": 0.1 * torch.randn(outputs, generator=draw)}

    tensors = linear("projector", widths[0], config.dim)
    for i, (inputs, outputs, kernel) in enumerate(zip((widths[0], *widths), widths, kernels, strict=False)):
        tensors |= linear(f"time_delay.{i}", outputs, inputs * kernel)
    tensors |= linear("embedding", XVECTOR_DIM, 2 * widths[-1])
    tensors |= linear("classifier", XVECTOR_DIM, XVECTOR_DIM)
    tensors["objective"] = torch.randn(XVECTOR_DIM, 3, generator=draw)
    if weighted:
        tensors["layer_weights"] = torch.randn(config.num_layers + 1, generator=draw)
    metadata = {"tdnn_kernel": list(kernels), "tdnn_dilation": list(dilations)}
    return _write(folder, config, {"xvector": Head(tensors, metadata)}, seed)


def write_frame_classifier(
    folder: Path, *, config: BackboneConfig | None = None, weighted: bool = True, seed: int = 0
) -> Path:
    """A model whose head says of each frame which of `NUM_SPEAKERS` speak; `weighted`: of a mix of all states."""
    config = config or WavLMConfig(**SMALL)
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        "classifier.weight": torch.randn(NUM_SPEAKERS, config.dim, generator=draw),
        "classifier.bias": torch.zeros(NUM_SPEAKERS),
    }
    if weighted:
        tensors["layer_weights"] = torch.randn(config.num_layers + 1, generator=draw)
    return _write(folder, config, {"frame_classification": Head(tensors)}, seed)


def write_classifier(folder: Path, *, seed: int = 0) -> Path:
    """A model whose head gives a recording one of `LABELS`, by the maximum of its frames."""
    config = Wav2Vec2Config(**SMALL)
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        "classifier.dense.weight": torch.randn(config.dim, config.dim, generator=draw) / config.dim**0.5,
        "classifier.dense.bias": torch.zeros(config.dim),
        "classifier.output.weight": torch.randn(len(LABELS), config.dim, generator=draw),
        "classifier.output.bias": torch.zeros(len(LABELS)),
    }
    metadata: dict[str, object] = {"labels": list(LABELS), "pooling_mode": "max"}
    return _write(folder, config, {"speech_classification": Head(tensors, metadata)}, seed)


def write_masks(folder: Path, *, kind: str = "separation", config: BackboneConfig | None = None, seed: int = 0) -> Path:
    """A model with a mask head of random weights: of two speakers, or for "enhancement"."""
    config = config or WavLMConfig(**SMALL)
    torch.manual_seed(seed)
    sources = 2 if kind == "separation" else 1
    head = MaskHead(
        config.dim,
        MaskNetwork(num_sources=sources, hidden_dim=8, num_layers=1),
        LayerMix(torch.zeros(config.num_layers + 1)),
    )
    metadata = head.settings | {"labels": [f"speaker_{number + 1}" for number in range(sources)]}
    tensors = {name: tensor.detach() for name, tensor in head.tensors().items()}
    return _write(folder, config, {kind: Head(tensors, metadata)}, seed)


def _write(folder: Path, config: BackboneConfig, heads: dict[str, Head], seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        save_pretrained(build(config).eval(), folder, heads=heads)
    return folder
