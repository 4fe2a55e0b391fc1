"""Checkpoints of Discrete BERT: fairseq's RoBERTa on speech codes, as published and as converted by s3prl.

A dictionary maps tokens to codes: `dict.txt` beside fairseq's file, an entry of s3prl's. The vq-wav2vec that computes
the codes is another checkpoint, given as the setting `tokenizer`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.completeness import check
from sonant.checkpoints.configs import make_config
from sonant.checkpoints.fairseq_dictionary import dictionary_symbols
from sonant.checkpoints.name_maps.parts import attention
from sonant.checkpoints.parameter_names import NameMap, Row, read
from sonant.errors import CheckpointMismatch, ConfigurationError, UnsupportedCheckpoint
from sonant.layers.token_positions import FIRST_ROW
from sonant.models.code_vocabulary import MASK, SPECIALS, codes_of_symbols
from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.models.vq_wav2vec import VQWav2VecConfig

DICTIONARY = "dict.txt"
EMBEDDING = "encoder.sentence_encoder.embed_tokens.weight"
POSITIONS = "encoder.sentence_encoder.embed_positions.weight"
NOT_OURS = "encoder.sentence_encoder.version"  # fairseq's format version


def attention_rows(ours: str, theirs: str) -> NameMap:
    """Return the rows of fairseq's attention, in its present form and packed as until 2019."""
    projections = tuple(f"{ours}.{part}" for part in ("query", "key", "value"))
    return (
        *attention(f"{ours}.", f"{theirs}."),
        *(
            Row(tuple(f"{name}.{kind}" for name in projections), f"{theirs}.in_proj_{kind}", writes=False)
            for kind in ("weight", "bias")
        ),
    )


def layer_rows(ours: str, theirs: str) -> NameMap:
    """Return the rows of a layer of fairseq's Transformer encoder."""
    return (
        *attention_rows(f"{ours}.attention", f"{theirs}.self_attn"),
        Row(f"{ours}.attention_norm.{{p}}", f"{theirs}.self_attn_layer_norm.{{p}}"),
        Row(f"{ours}.feed_forward.inner.{{p}}", f"{theirs}.fc1.{{p}}"),
        Row(f"{ours}.feed_forward.outer.{{p}}", f"{theirs}.fc2.{{p}}"),
        Row(f"{ours}.feed_forward_norm.{{p}}", f"{theirs}.final_layer_norm.{{p}}"),
    )


ROBERTA: NameMap = (
    Row("embedding.weight", EMBEDDING),
    Row("embedding.weight", "encoder.lm_head.weight", writes=False),  # tied
    Row("encoder.positions.weight", POSITIONS),
    Row("encoder.norm.{p}", "encoder.sentence_encoder.layernorm_embedding.{p}"),
    *layer_rows("encoder.layers.{i}", "encoder.sentence_encoder.layers.{i}"),
    Row("head.linear.{p}", "encoder.lm_head.dense.{p}"),
    Row("head.norm.{p}", "encoder.lm_head.layer_norm.{p}"),
    Row("head.bias", "encoder.lm_head.bias"),
)


def is_discrete_bert(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors have fairseq's present or former names of a RoBERTa."""
    return EMBEDDING in tensors or EMBEDDING.replace("encoder.", "decoder.", 1) in tensors


def read_discrete_bert(
    state: Mapping[Any, Any],
    tensors: Mapping[str, Tensor],
    model: Mapping[str, Any],
    source: object,
    *,
    overrides: Mapping[str, Any] | None,
) -> Checkpoint:
    """Return a checkpoint from the tensors of a file and its model's settings; `overrides` gives the tokenizer.

    Source of the former names: fairseq `models/roberta/model.py`, `upgrade_state_dict_named`.
    """
    overrides = dict(overrides or {})
    tokenizer = _tokenizer(overrides.pop("tokenizer", None), source)
    tensors = {_present(name): tensor for name, tensor in tensors.items() if _present(name) != NOT_OURS}
    if "encoder.sentence_encoder.layer_norm.weight" in tensors or model.get("activation_fn", "gelu") != "gelu":
        raise UnsupportedCheckpoint(
            f"{source}: a RoBERTa whose norms stand before its parts, or whose activation is not GELU, is no published "
            "BERT on discretized speech, and sonant has no such model."
        )
    translated = read(tensors, ROBERTA, {})
    embedding, positions = tensors.get(EMBEDDING), tensors.get(POSITIONS)
    size, longest = (len(table) if table is not None and table.ndim else 0 for table in (embedding, positions))
    settings = {
        "tokenizer": tokenizer.config,
        "vocabulary_size": size,
        "max_positions": longest - FIRST_ROW,
        "dim": model.get("encoder_embed_dim", 768),
        "num_layers": model.get("encoder_layers", 12),
        "num_heads": model.get("encoder_attention_heads", 12),
        "feed_forward_dim": model.get("encoder_ffn_embed_dim", 3072),
        "dropout": model.get("dropout", 0.1),
        "attention_dropout": model.get("attention_dropout", 0.1),
        "activation_dropout": model.get("activation_dropout", 0.0),
        "layerdrop": model.get("encoder_layerdrop", 0.0),
    }
    config = make_config("discrete_bert", settings, overrides, source=source)
    assert isinstance(config, DiscreteBERTConfig)
    symbols = _symbols(state, source)
    if len(symbols) != size:
        raise CheckpointMismatch(
            f"{source} has {size} tokens, and its dictionary makes {len(symbols)}: {len(SPECIALS)} specials, "
            f"{len(symbols) - len(SPECIALS) - 1} lines and {MASK}. The two do not belong together."
        )
    translated.backbone["vocabulary.codes"] = codes_of_symbols(
        symbols, config.tokenizer.num_codebooks, config.tokenizer.codebook_size
    )
    translated.backbone |= {f"tokenizer.{name}": tensor for name, tensor in tokenizer.backbone_state.items()}
    check(translated, config, source=source, rows=ROBERTA, heads={})
    metadata = {"normalize_from": "the tokenizer", "config_from": "the model's settings and its tensors"}
    return Checkpoint(config, translated.backbone, {}, "s3prl" if "text_dictionary" in state else "fairseq", metadata)


def _tokenizer(given: object, source: object) -> Checkpoint:
    if not isinstance(given, Checkpoint):
        raise ConfigurationError(
            f"{source} is a BERT on the codes of a vq-wav2vec, which lies in a file of its own. Say which: "
            "tokenizer=PATH. The published BERT belongs to the vq-wav2vec with k-means."
        )
    if not isinstance(given.config, VQWav2VecConfig):
        raise ConfigurationError(f"The tokenizer of {source} must be a vq-wav2vec; a {given.family} was given.")
    return given


def _symbols(state: Mapping[Any, Any], source: object) -> list[str]:
    """Return the tokens in order."""
    text = state.get("text_dictionary")
    if not isinstance(text, str):
        path = Path(str(source)).parent / DICTIONARY
        if not path.is_file():
            raise ConfigurationError(
                f"{source} says nothing of which codes its tokens stand for. Put the {DICTIONARY} that it was "
                "published with into the same folder."
            )
        text = path.read_text(encoding="utf-8")
    return [*SPECIALS, *dictionary_symbols(text, source), MASK]


def _present(name: str) -> str:
    """Return fairseq's present name; the encoder was formerly called a decoder."""
    if name.startswith("decoder."):
        name = f"encoder.{name.removeprefix('decoder.')}"
    return name.replace(".emb_layer_norm.", ".layernorm_embedding.")
