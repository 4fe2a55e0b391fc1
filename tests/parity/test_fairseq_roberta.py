"""The BERT on discretised speech equals fairseq's RoBERTa, by recorded numbers: states, logits, loss, gradients."""

import pytest
import torch

from sonant.layers.packed import Packed
from sonant.models.code_vocabulary import codes_of_symbols
from sonant.models.discrete_bert import DiscreteBERT, DiscreteBERTConfig, build_discrete_bert
from sonant.models.vq_wav2vec import VQWav2VecConfig
from sonant.pretraining.masked_tokens import MaskedTokens, TokenBatch
from tests.parity.recorded import Case, assert_gradients, assert_near, recording

CASES = recording("roberta")
TOKENIZER = VQWav2VecConfig(
    conv_channels=(4,), conv_kernels=(10,), conv_strides=(160,), context_kernels=(2,), groups=2, codes=5
)
NAMES = {  # theirs to ours, applied one after another
    "encoder.sentence_encoder.": "encoder.",
    "encoder.embed_tokens.": "embedding.",
    "embed_positions.": "positions.",
    "layernorm_embedding.": "norm.",
    "self_attn_layer_norm.": "attention_norm.",
    "self_attn.q_proj.": "attention.query.",
    "self_attn.k_proj.": "attention.key.",
    "self_attn.v_proj.": "attention.value.",
    "self_attn.out_proj.": "attention.output.",
    "final_layer_norm.": "feed_forward_norm.",
    "fc1.": "feed_forward.inner.",
    "fc2.": "feed_forward.outer.",
    "encoder.lm_head.": "head.",
    "head.dense.": "head.linear.",
    "head.layer_norm.": "head.norm.",
}


def make(case: Case) -> DiscreteBERT:
    settings = case.settings
    model = build_discrete_bert(
        DiscreteBERTConfig(
            tokenizer=TOKENIZER,
            vocabulary_size=len(settings["symbols"]),
            max_positions=settings["max_positions"],
            dim=settings["encoder_embed_dim"],
            num_layers=settings["encoder_layers"],
            num_heads=settings["encoder_attention_heads"],
            feed_forward_dim=settings["encoder_ffn_embed_dim"],
            dropout=0.0,
            attention_dropout=0.0,
        )
    )
    state = {}
    for name, tensor in case.weights.items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)  # noqa: PLW2901
        state[name] = tensor
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("tokenizer.", "vocabulary.")) for name in missing)
    model.vocabulary.codes.copy_(codes_of_symbols(settings["symbols"], TOKENIZER.groups))
    return model


def inner(case: Case) -> torch.Tensor:
    """bool: which tokens of the recording are not the brackets, which ours puts round a clip by itself."""
    lengths = torch.tensor(case.numbers["lengths"])
    ends = lengths.cumsum(0)
    keep = torch.ones(int(ends[-1]), dtype=torch.bool)
    keep[ends - 1] = keep[ends - lengths] = False
    return keep


def tokens_of(case: Case) -> Packed:
    lengths = torch.tensor(case.numbers["lengths"])
    return Packed(case.arrays["tokens"].long()[inner(case)], lengths - 2)


@pytest.mark.parametrize("name", CASES)
def test_every_state(name: str) -> None:
    """Clips of a padded batch of the original among them: its attention leaves padding out."""
    case = CASES[name]
    model = make(case).eval()
    with torch.no_grad():
        encoded = model.encode_tokens(tokens_of(case))
    for number, state in encoded.hidden_states.items():
        assert_near(state, case.arrays[f"state {number}"][inner(case)])
    assert_near(encoded.last, case.arrays[f"state {model.num_layers}"][inner(case)])


@pytest.mark.parametrize("name", CASES)
def test_loss(name: str) -> None:
    case = CASES[name]
    objective, tokens = MaskedTokens(make(case).train()), tokens_of(case)
    targets = case.arrays["targets"].long()[inner(case)]
    mask = targets != case.settings["symbols"].index("<pad>")
    loss = objective.loss(TokenBatch(tokens, targets, mask, stride=160))
    assert loss.count == case.numbers["sample_size"]
    assert loss.sum.item() == pytest.approx(case.numbers["loss"], rel=1e-5)
    loss.sum.backward()
    assert_gradients(objective, case)
    with torch.no_grad():
        last = objective.backbone.encode_tokens(tokens, layers=["last"]).last
        assert last is not None
        assert_near(objective.backbone.logits(last[mask]), case.arrays["logits"])


def test_the_words_have_the_same_numbers() -> None:
    case = CASES["one"]
    assert make(case).vocabulary.symbols() == case.settings["symbols"]
