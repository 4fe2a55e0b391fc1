"""Checkpoints of the codes-to-text model: sonant's folder, and fairseq's `transformer`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sonant.checkpoints.configs import plain_settings
from sonant.checkpoints.discrete_bert import attention_rows, layer_rows
from sonant.checkpoints.fairseq_dictionary import dictionary_symbols
from sonant.checkpoints.files import only_tensors, read_json, read_safetensors, write_json, write_safetensors
from sonant.checkpoints.folder import CONFIG, WEIGHTS, replacing_model
from sonant.checkpoints.parameter_names import NameMap, Row, read
from sonant.checkpoints.stand_ins import plain
from sonant.checkpoints.torch_files import read_pickle
from sonant.data.files import as_path
from sonant.errors import (
    CheckpointMismatch,
    ConfigurationError,
    CorruptedCheckpoint,
    UnknownCheckpoint,
    UnsupportedCheckpoint,
)
from sonant.models.code_vocabulary import SPECIALS, codes_of_symbols
from sonant.models.codes_to_text import CodesToText, CodesToTextConfig
from sonant.renamed_settings import present_settings

FAMILY = "codes_to_text"
_DECODER = "decoder.layers.{i}"
FAIRSEQ: NameMap = (
    Row("code_embedding.weight", "encoder.embed_tokens.weight"),
    *layer_rows("encoder.layers.{i}", "encoder.layers.{i}"),
    Row("encoder.norm.{p}", "encoder.layer_norm.{p}"),
    Row("text_embedding.weight", "decoder.embed_tokens.weight"),
    *layer_rows(_DECODER, _DECODER),
    *attention_rows(f"{_DECODER}.memory_attention", f"{_DECODER}.encoder_attn"),
    Row(f"{_DECODER}.memory_norm.{{p}}", f"{_DECODER}.encoder_attn_layer_norm.{{p}}"),
    Row("decoder.norm.{p}", "decoder.layer_norm.{p}"),
    Row("output.weight", "decoder.output_projection.weight"),
    Row("output.weight", "decoder.embed_out", writes=False),  # its former name
)
_IGNORED = ("version", "embed_positions._float_tensor", "embed_positions.weights")  # not learned


def save_codes_to_text(model: CodesToText, folder: str | os.PathLike[str]) -> None:
    """Write a model as a folder with config.json and model.safetensors."""
    place = as_path(folder, "the place to save a model to").expanduser()
    settings = plain_settings(model.config)
    with replacing_model(place) as draft:
        write_safetensors(draft / WEIGHTS[0], model.state_dict(), {"format": "pt"})
        write_json(draft / CONFIG, {"model_type": "sonant", "family": FAMILY, "settings": settings})


def load_codes_to_text(
    source: str | os.PathLike[str],
    *,
    dictionary: str | os.PathLike[str] | None = None,
    num_codebooks: int = 2,
    codebook_size: int = 320,
) -> CodesToText:
    """Load a model in evaluation mode.

    Args:
        source: a folder of `save_codes_to_text`, or a file of fairseq.
        dictionary: fairseq's source dictionary, which maps tokens to codes; None: `dict.src.txt` beside the file.
        num_codebooks, codebook_size: of the vq-wav2vec whose codes fairseq's model reads.

    Raises:
        CheckpointError: the source cannot be read.
        ConfigurationError: fairseq's dictionary is missing.
    """
    path = Path(source)
    if path.is_dir():
        config, state = _read_folder(path)
    elif path.is_file():
        config, state = _read_fairseq(
            path, Path(dictionary or path.parent / "dict.src.txt"), num_codebooks, codebook_size
        )
    else:
        raise UnknownCheckpoint(f"{path} does not exist. Check the path.")
    model = CodesToText(config)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if differing := sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name)):
        first = differing[0]
        raise CheckpointMismatch(
            f"{path}: {len(differing)} tensors are not those of the model that its settings describe; the first is "
            f"{first}: {given.get(first, 'missing')}, expected {expected.get(first, 'none')}."
        )
    model.load_state_dict(state)
    return model.eval()


def _read_folder(folder: Path) -> tuple[CodesToTextConfig, dict[str, Tensor]]:
    if not (folder / CONFIG).is_file():
        raise UnknownCheckpoint(f"{folder} has no {CONFIG}; expected a folder as save_codes_to_text writes it.")
    stored = read_json(folder / CONFIG)
    if stored.get("family") != FAMILY:
        raise UnknownCheckpoint(f"{folder / CONFIG} is of a {stored.get('family')!r}; expected {FAMILY!r}.")
    try:
        config = CodesToTextConfig(**present_settings(stored.get("settings", {}), CodesToTextConfig.__name__))
    except TypeError as error:
        raise CorruptedCheckpoint(f"{folder / CONFIG} has other settings than a {FAMILY} has: {error}.") from error
    return config, read_safetensors(folder / WEIGHTS[0])[0]


def _read_fairseq(
    path: Path, dictionary: Path, num_codebooks: int, codebook_size: int
) -> tuple[CodesToTextConfig, dict[str, Tensor]]:
    file = read_pickle(path)
    if not isinstance(file, Mapping) or "model" not in file:
        raise UnknownCheckpoint(f"{path} is no checkpoint of fairseq: it has no 'model'.")
    stored = plain(file.get("cfg") if file.get("cfg") is not None else file.get("args"))
    settings = stored.get("model", stored) if isinstance(stored, dict) else {}
    if not isinstance(settings, dict) or not settings:
        raise CorruptedCheckpoint(f"{path} has weights, but neither 'cfg' nor 'args' says of which model.")
    _check_supported(settings, path)
    tensors = {
        _present(name): tensor for name, tensor in only_tensors(file["model"], path).items() if not _is_ignored(name)
    }
    translated = read(tensors, FAIRSEQ, {})
    if translated.unknown:
        raise CheckpointMismatch(f"{path} has tensors that a Transformer of fairseq lacks: {translated.unknown[:8]}.")
    state = translated.backbone
    missing = [name for name in ("code_embedding.weight", "text_embedding.weight") if name not in state]
    if missing:
        raise CheckpointMismatch(f"{path} lacks {' and '.join(missing)}: it has no encoder or no decoder.")
    shared = bool(settings.get("share_decoder_input_output_embed", False))
    if shared:
        state["output.weight"] = state["text_embedding.weight"]
    state["vocabulary.codes"] = _code_table(
        dictionary, len(state["code_embedding.weight"]), num_codebooks, codebook_size
    )
    config = CodesToTextConfig(
        code_vocabulary_size=len(state["code_embedding.weight"]),
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        text_vocabulary_size=len(state["text_embedding.weight"]),
        dim=int(settings.get("encoder_embed_dim", 512)),
        num_encoder_layers=int(settings.get("encoder_layers", 6)),
        num_decoder_layers=int(settings.get("decoder_layers", 6)),
        num_heads=int(settings.get("encoder_attention_heads", 8)),
        feed_forward_dim=int(settings.get("encoder_ffn_embed_dim", 2048)),
        pre_norm=bool(settings.get("encoder_normalize_before", False)),
        activation=settings.get("activation_fn", "relu"),
        share_output=shared,
        dropout=float(settings.get("dropout", 0.1)),
        attention_dropout=float(settings.get("attention_dropout", 0.0)),
        activation_dropout=float(settings.get("activation_dropout", 0.0)),
    )
    return config, state


def _check_supported(settings: Mapping[str, Any], path: Path) -> None:
    for name in (
        "encoder_learned_pos",
        "decoder_learned_pos",
        "layernorm_embedding",
        "no_scale_embedding",
        "no_token_positional_embeddings",
        "share_all_embeddings",
        "adaptive_softmax_cutoff",
        "no_decoder_final_norm",
        "cross_self_attention",
    ):
        if settings.get(name):
            raise UnsupportedCheckpoint(f"{path} is a Transformer with {name}, which sonant's has not.")
    for kind in ("embed_dim", "ffn_embed_dim", "attention_heads", "normalize_before"):
        left, right = settings.get(f"encoder_{kind}"), settings.get(f"decoder_{kind}")
        if right is not None and left is not None and left != right:
            raise UnsupportedCheckpoint(
                f"{path} has an encoder and a decoder that differ in {kind}: {left} and {right}. Sonant's are alike."
            )
    if settings.get("activation_fn", "relu") not in ("relu", "gelu"):
        raise UnsupportedCheckpoint(
            f"{path} has the activation {settings['activation_fn']!r}; known are relu and gelu."
        )


def _code_table(dictionary: Path, size: int, num_codebooks: int, codebook_size: int) -> Tensor:
    if not dictionary.is_file():
        raise ConfigurationError(
            f"There is no dictionary at {dictionary}, and only it says which codes the tokens stand for. Name it: "
            "dictionary=PATH (dict.<source language>.txt of the prepared data)."
        )
    symbols = [*SPECIALS, *dictionary_symbols(dictionary.read_text(encoding="utf-8"), dictionary)]
    if len(symbols) != size:
        raise CheckpointMismatch(f"The file has {size} tokens, and {dictionary} makes {len(symbols)} with specials.")
    return codes_of_symbols(symbols, num_codebooks, codebook_size)


def _is_ignored(name: str) -> bool:
    return name.partition(".")[2] in _IGNORED


def _present(name: str) -> str:
    """Return fairseq's present name; the norms of layers formerly had numbers."""
    names = ("self_attn", "encoder_attn", "final") if name.startswith("decoder.") else ("self_attn", "final")
    for number, norm in enumerate(names):
        name = name.replace(f".layer_norms.{number}.", f".{norm}_layer_norm.")
    return name
