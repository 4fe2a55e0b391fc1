"""Keys, values and outputs of the tokens that histories of a Transformer language model consist of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sonant.layers.decoder import DecoderState
from sonant.layers.decoder_attention import KeyValueCache
from sonant.models.transformer_lm import TransformerLM

FIRST_SLOTS = 256


class KeyValueStore:
    """Slots for tokens, which are given back when no history needs them; so memory is bounded by the live histories.

    Attributes:
        model: the language model, in evaluation mode.
        outputs: states after each token, (slots, dim).
        normalizers: logarithms of the sums of exponentiated logits after each token, (slots,).
        free: numbers of the slots that are not in use.
    """

    def __init__(self, model: TransformerLM) -> None:
        c = model.config
        weight = model.embedding.weight
        self.model = model
        self._sizes = (c.num_layers, 2, c.num_heads, c.dim // c.num_heads)
        self._keys_values = weight.new_zeros(0, *self._sizes)
        self.outputs, self.normalizers = weight.new_zeros(0, c.dim), weight.new_zeros(0)
        self.free: list[int] = []

    def _take(self, count: int) -> list[int]:
        """Return slots that are in use from now on."""
        if len(self.free) < count:
            size = len(self.outputs)
            more = max(count, size, FIRST_SLOTS)
            self.free += range(size + more - 1, size - 1, -1)
            self._keys_values, self.outputs, self.normalizers = (
                torch.cat([each, each.new_zeros(more, *each.shape[1:])])
                for each in (self._keys_values, self.outputs, self.normalizers)
            )
        taken = self.free[-count:]
        del self.free[-count:]
        return taken

    def read(self, before: Sequence[Sequence[int]], tokens: Sequence[Sequence[int]]) -> list[list[int]]:
        """Compute the tokens that follow histories.

        Args:
            before: slots of the tokens of each history.
            tokens: one or more that follow it.

        Returns:
            The slots of these tokens, for each history.
        """
        device = self.outputs.device
        starts, counts = torch.tensor([len(each) for each in before]), torch.tensor([len(each) for each in tokens])
        longest, new = int(starts.max()), int(counts.max())
        table, padded = (
            torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], dtype=torch.long).to(device)
            for rows, width in ((before, longest), (tokens, new))
        )
        places = (starts[:, None] + torch.arange(new)).clamp(max=self.model.config.max_positions - 1).to(device)
        seen = (torch.arange(longest) < starts[:, None])[:, None, :].expand(-1, new, -1)
        own = torch.ones(new, new, dtype=torch.bool).tril().expand(len(before), -1, -1)
        mask = torch.cat([seen, own], -1)[:, None].to(device)  # (rows, 1, new, longest + new)
        kept = self._keys_values[table]  # (rows, longest, layers, 2, heads, head_dim)
        layers = (kept[:, :, layer].unbind(2) for layer in range(kept.shape[2]))
        state = DecoderState(tuple(KeyValueCache(*(each.transpose(1, 2) for each in layer)) for layer in layers))
        outputs, state = self.model.decoder.step(self.model.embedded(padded, places).flatten(0, 1), state, mask)
        found = [self._take(count) for count in counts.tolist()]
        slots = torch.tensor([slot for each in found for slot in each]).to(device)
        real = (torch.arange(new) < counts[:, None]).flatten().nonzero().flatten().to(device)
        for number, layer in enumerate(state.own):
            for kind, values in enumerate((layer.keys, layer.values)):
                self._keys_values[slots, number, kind] = values[:, :, longest:].transpose(1, 2).flatten(0, 1)[real]
        self.outputs[slots] = outputs[real]
        self.normalizers[slots] = self.model.logits(outputs[real]).float().logsumexp(-1)
        return found

    def scores(self, slots: Sequence[int], tokens: Sequence[int]) -> Tensor:
        """Return the log-probability of a token after each of these slots, float32 (n,)."""
        device = self.outputs.device
        places, wanted = torch.tensor(slots).to(device), torch.tensor(tokens).to(device)
        logits = (self.outputs[places] * self.model.embedding(wanted)).sum(-1).float()
        return logits - self.normalizers[places]
