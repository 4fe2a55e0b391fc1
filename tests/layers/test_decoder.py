"""The decoder: no look ahead, step by step the same as at once, and equal to plain arithmetic."""

import pytest
import torch
from torch import Tensor

from sonant.layers.decoder import DecoderLayer, DecoderState, TransformerDecoder
from sonant.layers.decoder_attention import Attention, KeyValueCache, attend_across
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward

LENGTHS, MEMORY = [3, 5, 5, 1], [4, 2, 2, 6]


def decoder(*, pre_norm: bool, cross: bool = True) -> TransformerDecoder:
    torch.manual_seed(0)

    def layer() -> DecoderLayer:
        memory = Attention(8, 2) if cross else None
        return DecoderLayer(8, Attention(8, 2), memory, FeedForward(8, 12), pre_norm=pre_norm)

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
@pytest.mark.parametrize("cross", [False, True])
@torch.no_grad()
def test_step_by_step_equals_at_once(*, pre_norm: bool, cross: bool) -> None:
    torch.manual_seed(1)
    made, lengths = decoder(pre_norm=pre_norm, cross=cross), [3, 3, 3, 3]
    tokens = Packed(torch.randn(12, 8), torch.tensor(lengths))
    memory = Packed(torch.randn(14, 8), torch.tensor(MEMORY))
    whole = made(tokens, memory if cross else None).unflatten(0, (4, 3))
    nothing = torch.zeros(4, 2, 0, 4)
    state = made.start(memory) if cross else DecoderState((KeyValueCache(nothing, nothing),) * 2)
    for step, given in enumerate(tokens.values.unflatten(0, (4, 3)).unbind(1)):
        output, state = made.step(given, state)
        torch.testing.assert_close(output, whole[:, step], rtol=1e-5, atol=1e-5)
    assert state.steps == 3


@torch.no_grad()
def test_sequences_and_clips_can_be_chosen() -> None:
    """Two clips of two sequences each, exchanged within their clips, then the second clip alone."""
    torch.manual_seed(2)
    made, clips, tokens = decoder(pre_norm=False), [torch.randn(4, 8), torch.randn(2, 8)], torch.randn(3, 4, 8)
    _, state = made.step(tokens[0][[0, 2]], made.start(Packed.pack(clips)))
    _, state = made.step(tokens[1], state[torch.tensor([0, 0, 1, 1])])
    output, state = made.step(tokens[2], state[torch.tensor([1, 0, 3, 3])])
    for row, (first, second) in enumerate([(0, 1), (0, 0), (2, 3), (2, 3)]):
        steps = torch.stack([tokens[0][first], tokens[1][second], tokens[2][row]])
        whole = made(Packed.pack([steps]), Packed.pack([clips[row // 2]]))
        torch.testing.assert_close(output[row], whole[-1], rtol=1e-5, atol=1e-5)
    more = torch.randn(2, 8)
    output, _ = made.step(more, state.of_clips(torch.tensor([1])))
    for row in range(2):
        steps = torch.stack([tokens[0][2], tokens[1][3], tokens[2][2 + row], more[row]])
        whole = made(Packed.pack([steps]), Packed.pack([clips[1]]))
        torch.testing.assert_close(output[row], whole[-1], rtol=1e-5, atol=1e-5)
