"""Folders of Transformer language models in transformers' layout of GPT-2, with their tokenizers.

transformers loads what is written here (`GPT2LMHeadModel`), with equal logits; published models of GPT-2's architecture
are read. What transformers has no place for stands in config.json under `sonant_text`, which it ignores: the units of
the tokenizer, and the normalization of the text that the model was trained on.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from sonant.checkpoints.files import read_json, write_json, write_safetensors
from sonant.checkpoints.folder import CONFIG, WEIGHTS, replacing_model
from sonant.checkpoints.hf_folder import read_weights
from sonant.checkpoints.location import locate
from sonant.checkpoints.parameter_names import NameMap, Row, read, write
from sonant.data.files import as_path
from sonant.data.text_normalization import Normalization
from sonant.data.text_tokenizers import BPE_FILE, BPE_PAIR, TextTokenizer, Units, read_tokenizer
from sonant.errors import CheckpointMismatch, CorruptedCheckpoint, UnknownCheckpoint, UnsupportedCheckpoint, some_of
from sonant.layers.kernels.activations import Activation
from sonant.models.transformer_lm import TransformerLM, TransformerLMConfig

NOTE = "sonant_text"
PREFIX = "transformer."  # of all names but that of the output; published files lack it
_LAYER, _THEIRS = "decoder.layers.{i}", "h.{i}"
_PROJECTIONS = tuple(f"{_LAYER}.attention.{part}.{{p}}" for part in ("query", "key", "value"))
GPT2: NameMap = (
    Row("embedding.weight", "wte.weight"),
    Row("embedding.weight", "lm_head.weight", writes=False),  # tied
    Row("positions.weight", "wpe.weight"),
    Row(f"{_LAYER}.attention_norm.{{p}}", f"{_THEIRS}.ln_1.{{p}}"),
    Row(_PROJECTIONS, f"{_THEIRS}.attn.c_attn.{{p}}"),
    Row(f"{_LAYER}.attention.output.{{p}}", f"{_THEIRS}.attn.c_proj.{{p}}"),
    Row(f"{_LAYER}.feed_forward_norm.{{p}}", f"{_THEIRS}.ln_2.{{p}}"),
    Row(f"{_LAYER}.feed_forward.inner.{{p}}", f"{_THEIRS}.mlp.c_fc.{{p}}"),
    Row(f"{_LAYER}.feed_forward.outer.{{p}}", f"{_THEIRS}.mlp.c_proj.{{p}}"),
    Row("decoder.norm.{p}", "ln_f.{p}"),
)
MASKS = (".attn.bias", ".attn.masked_bias")  # causal masks, which older files hold as tensors
ACTIVATIONS: dict[str, Activation] = {
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu", "silu": "swish",
}  # fmt: skip
# Settings of GPT-2 with which another function is computed, and their usual values.
REQUIRED = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
    "add_cross_attention": False,
}


@dataclass(frozen=True, eq=False)
class TextModel:
    """A Transformer language model with its tokenizer.

    Attributes:
        units: of the tokenizer; None for byte-level BPE.
        normalization: of the text that the model was trained on; None: the folder does not say.
        source: name for messages.
    """

    model: TransformerLM
    tokenizer: TextTokenizer
    units: Units | None
    normalization: Normalization | None
    source: str


def is_transformer_lm(folder: Path) -> bool:
    """Return True for the folder of a language model that `load_transformer_lm` reads."""
    return (folder / CONFIG).is_file() and read_json(folder / CONFIG).get("model_type") == "gpt2"


def save_transformer_lm(text_model: TextModel, folder: str | os.PathLike[str]) -> None:
    """Write a folder that `load_transformer_lm` and transformers read."""
    model, c = text_model.model, text_model.model.config
    config: dict[str, Any] = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": c.vocabulary_size,
        "n_positions": c.max_positions,
        "n_embd": c.dim,
        "n_layer": c.num_layers,
        "n_head": c.num_heads,
        "n_inner": c.feed_forward_dim,
        "activation_function": next(name for name, ours in ACTIVATIONS.items() if ours == c.activation),
        "layer_norm_epsilon": c.layer_norm_eps,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.attention_dropout,
        "bos_token_id": c.begin,
        "eos_token_id": c.end,
        **REQUIRED,
        NOTE: {"units": text_model.units, "normalization": text_model.normalization},
    }
    tensors, homeless = write(model.state_dict(), GPT2)
    assert not homeless
    named = {PREFIX + name: _transposed(name, tensor) for name, tensor in tensors.items()}
    with replacing_model(as_path(folder, "the place to save a model to").expanduser()) as draft:
        write_safetensors(draft / WEIGHTS[0], named, {"format": "pt"})
        text_model.tokenizer.save(draft)
        write_json(draft / CONFIG, config)


def load_transformer_lm(
    source: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
) -> TextModel:
    """Load a language model in evaluation mode.

    Args:
        source: a folder of `save_transformer_lm` or of transformers' GPT-2, or such a model on the hub.
        revision, local_files_only: as in `sonant.load`.

    Raises:
        CheckpointError: there is no such model, or it is of another architecture.
        ConfigurationError: its tokenizer cannot be read.
        MissingExtra: the tokenizer needs a package of the extra `text`.
    """
    place = locate(source, revision=revision, local_files_only=local_files_only)
    folder = place.path
    if not (folder / CONFIG).is_file():
        raise UnknownCheckpoint(f"{folder} has no {CONFIG}; expected the folder of a language model.")
    stored = read_json(folder / CONFIG)
    if stored.get("model_type") != "gpt2":
        raise UnsupportedCheckpoint(
            f"{folder / CONFIG} is of the type {stored.get('model_type')!r}; expected a language "
            "model of the type 'gpt2'."
        )
    if place.get is not None and not (folder / BPE_FILE).is_file():
        place.get(BPE_PAIR[1])
    config = _config(stored, folder)
    note = stored.get(NOTE) or {}
    model = TransformerLM(config)
    model.load_state_dict(_weights(folder, model))
    tokenizer = read_tokenizer(folder, note.get("units"))
    if len(tokenizer) > config.vocabulary_size:
        raise CheckpointMismatch(
            f"{folder} has a tokenizer of {len(tokenizer)} tokens, and a model of {config.vocabulary_size}. One "
            "of them belongs to another model."
        )
    normalization = note.get("normalization")
    if normalization not in (None, *get_args(Normalization)):
        raise CorruptedCheckpoint(f"{folder / CONFIG}: {NOTE} names the normalization {normalization!r}.")
    return TextModel(model.eval(), tokenizer, note.get("units"), normalization, str(source))


def _config(stored: Mapping[str, Any], folder: Path) -> TransformerLMConfig:
    for name, usual in REQUIRED.items():
        if stored.get(name, usual) != usual:
            raise UnsupportedCheckpoint(f"{folder / CONFIG} has {name}={stored[name]}; only {usual} is computed here.")
    activation = stored.get("activation_function", "gelu_new")
    if activation not in ACTIVATIONS:
        raise UnsupportedCheckpoint(f"{folder} has the activation {activation!r}; known: {', '.join(ACTIVATIONS)}.")
    try:
        dim = int(stored["n_embd"])
        return TransformerLMConfig(
            vocabulary_size=int(stored["vocab_size"]),
            max_positions=int(stored.get("n_positions", 1024)),
            dim=dim,
            num_layers=int(stored["n_layer"]),
            num_heads=int(stored["n_head"]),
            feed_forward_dim=int(stored.get("n_inner") or 4 * dim),
            activation=ACTIVATIONS[activation],
            layer_norm_eps=float(stored.get("layer_norm_epsilon", 1e-5)),
            dropout=float(stored.get("resid_pdrop", 0.1)),
            attention_dropout=float(stored.get("attn_pdrop", 0.1)),
            begin=int(stored.get("bos_token_id", 50_256)),
            end=int(stored.get("eos_token_id", 50_256)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptedCheckpoint(f"{folder / CONFIG} lacks a setting, or has a wrong one: {error!r}.") from error


def _weights(folder: Path, model: TransformerLM) -> dict[str, Tensor]:
    tensors = {name.removeprefix(PREFIX): tensor for name, tensor in read_weights(folder, folder).items()}
    translated = read(
        {name: _transposed(name, tensor) for name, tensor in tensors.items() if not name.endswith(MASKS)}, GPT2, {}
    )
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in translated.backbone.items()}
    wrong = [*translated.unknown, *(name for name in expected | given if expected.get(name) != given.get(name))]
    if wrong:
        raise CheckpointMismatch(
            f"{folder}: {len(wrong)} tensors are missing, unknown, or not of the shape that {CONFIG} gives: "
            f"{some_of(wrong, 5)}."
        )
    return translated.backbone


def _transposed(name: str, tensor: Tensor) -> Tensor:
    """Transpose the weights of GPT-2's linear layers, which are (inputs, outputs) there."""
    return tensor.T if ".c_" in name and name.endswith("weight") else tensor
