"""The law of the house, for models over discretized speech: a clip's result does not depend on its batch mates."""

import torch

from sonant.layers.packed import Packed
from sonant.models.codes_to_text import CodesToText, CodesToTextConfig
from tests.codes import WORDS, discrete_bert

LENGTHS = (3, 38, 1, 77, 39, 120, 12, 12, 2, 41)  # shorter than a block of 40, as long, longer; two alike


def test_states_of_tokens() -> None:
    model = discrete_bert()
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randint(4, 26, (length,), generator=generator) for length in LENGTHS]
    with torch.no_grad():
        together = model.encode_tokens(Packed.pack(clips))
        for number, clip in enumerate(clips):
            alone = model.encode_tokens(Packed.pack([clip]))
            for layer, state in alone.hidden_states.items():
                mine = together.hidden_states[layer].split(LENGTHS)[number]
                torch.testing.assert_close(mine, state, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(together.last.split(LENGTHS)[number], alone.last, rtol=1e-5, atol=1e-5)


def test_states_of_waveforms() -> None:
    model = discrete_bert()
    clips = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in (400, 9000, 1777, 3000)]
    with torch.no_grad():
        together = model(Packed.pack(clips))
        for number, clip in enumerate(clips):
            alone = model(Packed.pack([clip]))
            mine = together.last.split(together.lengths.tolist())[number]
            torch.testing.assert_close(mine, alone.last, rtol=1e-5, atol=1e-5)


def test_text_from_codes() -> None:
    torch.manual_seed(0)
    model = CodesToText(
        CodesToTextConfig(
            code_vocabulary_size=26,
            codebook_size=5,
            text_vocabulary_size=11,
            dim=16,
            num_encoder_layers=2,
            num_decoder_layers=2,
            num_heads=2,
            feed_forward_dim=24,
        )
    ).eval()
    model.vocabulary.codes[4:] = WORDS
    codes = [torch.randint(5, (length, 2)) for length in (7, 7, 1, 20)]
    texts = [torch.randint(4, 11, (length,)) for length in (3, 5, 1, 0)]
    with torch.no_grad():
        together = model(Packed.pack(codes), Packed.pack(texts)).split([4, 6, 2, 1])
        for number, (one, text) in enumerate(zip(codes, texts, strict=True)):
            alone = model(Packed.pack([one]), Packed.pack([text]))
            torch.testing.assert_close(together[number], alone, rtol=1e-5, atol=1e-5)
