"""wav2vec and vq-wav2vec: their sizes, their frames, their states, their codes."""

from dataclasses import replace

import pytest
import torch

from sonant.errors import ConfigurationError, UnknownName
from sonant.layers.packed import Packed
from sonant.models import VQWav2Vec, VQWav2VecConfig, Wav2VecConfig, WaveformConvNetConfig, build, vq_wav2vec, wav2vec

CONVOLUTIONS = {"conv_channels": (8,) * 5, "conv_kernels": (10, 8, 4, 4, 4), "conv_strides": (5, 4, 2, 2, 2)}
SMALL = {
    "wav2vec": Wav2VecConfig(**CONVOLUTIONS, context_kernels=(2, 3)),
    "gumbel": VQWav2VecConfig(**CONVOLUTIONS, context_kernels=(2, 3), codebook_size=6),
    "kmeans": VQWav2VecConfig(**CONVOLUTIONS, context_kernels=(2, 3), codebook_size=6, quantizer="kmeans"),
}
every_model = pytest.mark.parametrize("name", SMALL)


def speech(*samples: int) -> Packed:
    generator = torch.Generator().manual_seed(0)
    return Packed.pack([torch.randn(count, generator=generator) for count in samples])


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (Wav2VecConfig(), 15_491_072),
        (wav2vec.LARGE, 32_537_088),
        (vq_wav2vec.GUMBEL, 34_063_488),
        (vq_wav2vec.KMEANS, 33_014_272),
    ],
)
def test_published_sizes(config: WaveformConvNetConfig, parameters: int) -> None:
    """With the twelve heads of the objective, which the published counts include: 12 maps and one bias."""
    with torch.device("meta"):
        made = build(config)
    heads = 12 * config.dim**2 + config.dim
    assert sum(parameter.numel() for parameter in made.parameters()) + heads == parameters
    assert (made.receptive_field, made.stride, made.frame_rate) == (465, 160, 100)
    assert made.num_frames(16_000) == 98


@pytest.mark.parametrize(
    ("kernels", "frames"), [(Wav2VecConfig().context_kernels, 18), (wav2vec.LARGE.context_kernels, 78)]
)
def test_reach_of_the_published_contexts(kernels: tuple[int, ...], frames: int) -> None:
    assert sum(kernel - 1 for kernel in kernels) == frames


@every_model
def test_states(name: str) -> None:
    """0 is what the context network sees, i the output of its layer i; the last of them is `last`."""
    made = build(SMALL[name]).eval()
    with torch.no_grad():
        encoded = made(speech(1000, 3000))
        features = made.extractor(speech(1000, 3000))
    assert list(encoded.hidden_states) == [0, 1, 2]
    assert encoded.lengths.tolist() == [(count - 465) // 160 + 1 for count in (1000, 3000)]
    assert all(state.shape == (len(features.values), 8) for state in encoded.hidden_states.values())
    assert torch.equal(encoded.last, encoded.hidden_states[2])
    expected = made.quantize(features).values if isinstance(made, VQWav2Vec) else features.values
    torch.testing.assert_close(encoded.hidden_states[0], expected)
    for number, layer in enumerate(made.context.layers, start=1):
        y = layer(features.with_values(encoded.hidden_states[number - 1]))
        x = encoded.hidden_states[number - 1]
        y = (y + x) / 2**0.5 if SMALL[name].skip_connections else y
        torch.testing.assert_close(encoded.hidden_states[number], y)


@every_model
def test_layers_above_the_highest_are_not_computed(name: str) -> None:
    made = build(SMALL[name]).eval()
    ran: list[int] = []
    for number, layer in enumerate(made.context.layers, start=1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    encoded = made(speech(1000), layers=[0, 1])
    assert ran == [1]
    assert encoded.last is None
    with pytest.raises(UnknownName, match="layer 3"):
        made(speech(1000), layers=[3])


@pytest.mark.parametrize("name", ["gumbel", "kmeans"])
def test_codes_are_what_the_states_are_made_of(name: str) -> None:
    made = build(SMALL[name]).eval()
    assert isinstance(made, VQWav2Vec)
    with torch.no_grad():
        codes = made.codes(speech(1000, 3000))
        state = made(speech(1000, 3000), layers=[0]).hidden_states[0]
    assert codes.values.dtype == torch.int64
    assert codes.values.shape == (len(state), 2)
    assert int(codes.values.min()) >= 0
    assert int(codes.values.max()) < 6
    torch.testing.assert_close(made.quantizer.vectors(codes.values), state)


@every_model
def test_windows_of_a_long_clip_have_no_statistics(name: str) -> None:
    assert build(SMALL[name]).clip_statistics() is None


def test_configurations_that_make_no_model() -> None:
    with pytest.raises(ConfigurationError, match="5, 4 and 5 entries"):
        Wav2VecConfig(conv_kernels=(10, 8, 4, 4))
    with pytest.raises(ConfigurationError, match="context_kernels"):
        Wav2VecConfig(context_kernels=())
    with pytest.raises(ConfigurationError, match="num_codebooks=3"):
        replace(vq_wav2vec.GUMBEL, num_codebooks=3)
