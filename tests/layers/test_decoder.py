"""The decoder: no look ahead, step by step the same as at once, and equal to plain arithmetic."""

import pytest
import torch
from torch import Tensor

from sonant.layers.decoder import Attention, DecoderLayer, TransformerDecoder, attend_across
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward

LENGTHS, MEMORY = [3, 5, 5, 1], [4, 2, 2, 6]


def decoder(*, pre_norm: bool) -> TransformerDecoder:
    torch.manual_seed(0)

    def layer() -> DecoderLayer:
        return DecoderLayer(8, Attention(8, 2), Attention(8, 2), FeedForward(8, 12), pre_norm=pre_norm)

    made = TransformerDecoder(8, 2, layer, pre_norm=pre_norm)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made.eval()


def plain(query: Tensor, key: Tensor, value: Tensor, *, causal: bool) -> Tensor:
    """One clip, (length, heads, head_dim), by the formula."""
    result = torch.zeros_like(query)
    for head in range(query.shape[1]):
        for i in range(len(query)):
            seen = i + 1 if causal else len(key)
            logits = (key[:seen, head] * query[i, head]).sum(-1) / query.shape[2] ** 0.5
            result[i, head] = (logits.softmax(0)[:, None] * value[:seen, head]).sum(0)
    return result


@pytest.mark.parametrize("causal", [False, True])
def test_attention_by_its_formula(*, causal: bool) -> None:
    torch.manual_seed(0)
    lengths = LENGTHS if causal else MEMORY
    query, key, value = torch.randn(14, 2, 3), torch.randn(sum(lengths), 2, 3), torch.randn(sum(lengths), 2, 3)
    given = attend_across(query, key, value, LENGTHS, lengths, causal=causal)
    parts = zip(query.split(LENGTHS), key.split(lengths), value.split(lengths), strict=True)
    torch.testing.assert_close(given, torch.cat([plain(*part, causal=causal) for part in parts]))


@pytest.mark.parametrize("pre_norm", [False, True])
@torch.no_grad()
def test_step_by_step_equals_at_once(*, pre_norm: bool) -> None:
    torch.manual_seed(1)
    made = decoder(pre_norm=pre_norm)
    tokens, memory = Packed(torch.randn(14, 8), torch.tensor(LENGTHS)), Packed(torch.randn(14, 8), torch.tensor(MEMORY))
    whole = made(tokens, memory).split(LENGTHS)
    for clip, frames, expected in zip(tokens, memory, whole, strict=True):
        state = made.start(frames)
        outputs = []
        for token in clip:
            output, state = made.step(token[None], state)
            outputs.append(output[0])
        torch.testing.assert_close(torch.stack(outputs), expected, rtol=1e-5, atol=1e-5)
        assert state.steps == len(clip)


@torch.no_grad()
def test_sequences_can_be_chosen_and_repeated() -> None:
    torch.manual_seed(2)
    made, frames, tokens = decoder(pre_norm=False), torch.randn(4, 8), torch.randn(3, 2, 8)
    _, state = made.step(tokens[0][:1], made.start(frames))
    state = state.select(torch.tensor([0, 0]))
    _, state = made.step(tokens[1], state)
    output, _ = made.step(tokens[2][[1, 0, 1]], state.select(torch.tensor([1, 0, 1])))
    for row, path in enumerate((1, 0, 1)):
        steps = torch.stack([tokens[0][0], tokens[1][path], tokens[2][path]])
        whole = made(Packed.pack([steps]), Packed.pack([frames]))
        torch.testing.assert_close(output[row], whole[-1], rtol=1e-5, atol=1e-5)
