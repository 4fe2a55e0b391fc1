"""The BERT on discretized speech equals transformers' RoBERTa on the same weights, in every hidden state and logit."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sonant.layers.packed import Packed
from sonant.models.discrete_bert import DiscreteBERT
from tests.codes import discrete_bert

transformers = pytest.importorskip("transformers")

PARTS = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_forward.inner",
    "output.dense": "feed_forward.outer",
    "output.LayerNorm": "feed_forward_norm",
}


def peer(model: DiscreteBERT) -> Any:
    c, ours = model.config, model.state_dict()
    config = transformers.RobertaConfig(
        vocab_size=c.vocabulary_size,
        hidden_size=c.dim,
        num_hidden_layers=c.num_layers,
        num_attention_heads=c.num_heads,
        intermediate_size=c.feed_forward_dim,
        max_position_embeddings=c.max_positions + 2,
        type_vocab_size=1,
        layer_norm_eps=c.layer_norm_eps,
        attn_implementation="eager",
    )
    names = {
        "roberta.embeddings.LayerNorm": "encoder.norm",
        "lm_head.dense": "head.linear",
        "lm_head.layer_norm": "head.norm",
    } | {
        f"roberta.encoder.layer.{i}.{theirs}": f"encoder.layers.{i}.{mine}"
        for i in range(c.num_layers)
        for theirs, mine in PARTS.items()
    }
    state = {
        f"{theirs}.{kind}": ours[f"{mine}.{kind}"] for theirs, mine in names.items() for kind in ("weight", "bias")
    }
    embeddings = "roberta.embeddings."
    state |= {
        f"{embeddings}word_embeddings.weight": ours["embedding.weight"],
        f"{embeddings}position_embeddings.weight": ours["encoder.positions.weight"],
        f"{embeddings}token_type_embeddings.weight": torch.zeros(1, c.dim),
        "lm_head.decoder.weight": ours["embedding.weight"],
        "lm_head.decoder.bias": ours["head.bias"],
        "lm_head.bias": ours["head.bias"],
    }
    made = transformers.RobertaForMaskedLM(config).eval()
    made.load_state_dict(state)
    return made


@torch.no_grad()
def blocks_of_peer(made: Any, clip: Tensor, length: int) -> tuple[list[Tensor], Tensor]:
    """Hidden states and logits of a clip between its brackets, block by block, without the brackets."""
    brackets = torch.tensor([0]), torch.tensor([2])
    parts = [
        made(block[None], output_hidden_states=True)
        for block in torch.cat([brackets[0], clip, brackets[1]]).split(length)
    ]
    layers = zip(*(part.hidden_states for part in parts), strict=True)
    states = [torch.cat([state[0] for state in layer])[1:-1] for layer in layers]
    return states, torch.cat([part.logits[0] for part in parts])[1:-1]


def test_every_hidden_state_and_logit() -> None:
    model = discrete_bert()
    made = peer(model)
    clips = [torch.randint(4, 27, (length,)) for length in (5, 38, 120, 1, 39)]
    with torch.no_grad():
        encoded = model.encode_tokens(Packed.pack(clips))
        logits = model.logits(encoded.last)
    start = 0
    for clip in clips:
        frames = slice(start, start + len(clip))
        states, expected = blocks_of_peer(made, clip, model.config.max_positions)
        for layer, state in enumerate(states):
            torch.testing.assert_close(encoded.hidden_states[layer][frames], state, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(logits[frames], expected, rtol=1e-5, atol=1e-5)
        start = frames.stop
