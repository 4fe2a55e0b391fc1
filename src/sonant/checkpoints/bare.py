"""Tensors under the names of transformers or fairseq without a configuration, as a training script leaves them.

The shapes of the tensors tell the sizes, see `deduce`. They do not tell a HuBERT from a wav2vec 2.0, nor whether
waveforms are normalized: the published models of one shape differ in that. Both must be given.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.aside import head_maps
from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.completeness import check
from sonant.checkpoints.deduce import deduce_config, deduce_w2v_bert2
from sonant.checkpoints.fairseq import PREFIXES, fairseq_heads, rows_in
from sonant.checkpoints.hf_layouts import LAYOUTS
from sonant.checkpoints.name_maps.hf import HF, HF_CTC, HF_W2V_BERT2
from sonant.checkpoints.parameter_names import HeadMap, grouped, make_heads, read
from sonant.checkpoints.quantized import refuse_quantized
from sonant.checkpoints.unknown_parts import take_out, warn_of
from sonant.checkpoints.wrappers import LEAST, likeness, split_overrides, unwrap
from sonant.errors import ConfigurationError, UnknownCheckpoint
from sonant.models.normalization import ORIGINAL_EPSILON, TRANSFORMERS_EPSILON

DEDUCED = ("hubert", "unispeech", "unispeech_sat", "wav2vec2", "wavlm")  # families whose sizes the shapes tell
MARKS = {  # parts of names of transformers that only a family has whose sizes the shapes do not tell
    "data2vec": ".pos_conv_embed.layers.",
    "SEW": ".upsample.",
    "wav2vec 2.0 Conformer": ".conv_module.batch_norm.",
}
GATES = (".gru_rel_pos_const", ".grep_a")  # end the names that only a WavLM has


def is_named_as_transformers(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors have the names of a family of transformers, whatever stands before them."""
    return any(likeness(tensors, rows) >= LEAST for rows in dict.fromkeys(layout.rows for layout in LAYOUTS.values()))


def read_bare(tensors: Mapping[str, Tensor], source: object, *, overrides: Mapping[str, Any] | None) -> Checkpoint:
    """A checkpoint from tensors alone.

    Raises:
        UnknownCheckpoint: the names are those of no model here.
        ConfigurationError: `overrides` does not say what the tensors leave open, or it is more than two settings.
    """
    refuse_quantized(tensors, {}, source)
    _refuse_unclear(tensors, source)
    wanted, given = split_overrides(overrides)
    alike = {"hf": HF, "w2v_bert2": HF_W2V_BERT2, "fairseq": rows_in(())}
    naming = max(alike, key=lambda name: likeness(tensors, alike[name]))
    rows = alike[naming]
    if likeness(tensors, rows) < LEAST:
        raise UnknownCheckpoint(
            f"{source} holds {len(tensors)} tensors, whose names are those of no model that is known without a "
            f"configuration: {grouped(tensors)}. If they are weights of transformers, put the config.json of the model "
            "into the same folder."
        )
    family = "w2v_bert2" if naming == "w2v_bert2" else _family(tensors, given, source)
    inner = PREFIXES if naming == "fairseq" else (LAYOUTS[family].prefix,)
    found = unwrap(tensors, rows, inner=inner, source=source, family=family, wanted=wanted)
    own = next((prefix for prefix in inner if any(name.startswith(prefix) for name in found.tensors)), "")
    state, within = found.without(own)
    rows = rows_in(state) if naming == "fairseq" else rows
    translated = read(state, rows, _heads(naming, family))
    left = found.left(take_out(translated, rows, within=within))
    if family == "w2v_bert2":
        config = deduce_w2v_bert2(translated.backbone, source=source, overrides=given)
    else:
        epsilon = ORIGINAL_EPSILON if naming == "fairseq" else TRANSFORMERS_EPSILON
        given = {"normalize_epsilon": epsilon, **given}
        config = deduce_config(translated.backbone, family=family, source=source, overrides=given)
    check(translated, config, source=source, rows=rows, heads=head_maps(family) | _heads(naming, family))
    warn_of(left, source)
    metadata = {"config_from": "the shapes of the tensors", "normalize_from": "overrides"}
    heads = make_heads(translated, {"ctc": {"blank": 0}})
    return Checkpoint(config, translated.backbone, heads, "fairseq" if naming == "fairseq" else "hf", metadata)


def _refuse_unclear(tensors: Mapping[str, Tensor], source: object) -> None:
    for family, mark in MARKS.items():
        if any(mark in f".{name}" for name in tensors):
            raise ConfigurationError(
                f"{source} holds the weights of a {family}, whose sizes the tensors alone do not tell, and there is no "
                "config.json of such a model beside it. Put that of the pretrained model into the same folder."
            )


def _family(tensors: Mapping[str, Tensor], given: Mapping[str, Any], source: object) -> str:
    """The family of a Transformer on waveforms, once both it and `normalize` are certain."""
    wavlm = any(name.endswith(GATES) for name in tensors)
    family = "wavlm" if wavlm else given.get("family")
    if family in DEDUCED and "normalize" in given:
        return str(family)
    told = "WavLM" if wavlm else "HuBERT, wav2vec 2.0, UniSpeech or UniSpeech-SAT"
    example = ("" if wavlm else "'family': 'hubert', ") + "'normalize': False"
    raise ConfigurationError(
        f"{source} holds the weights of a {told} but nothing that says how it is used: there is no config.json beside "
        f"it. Put that of the pretrained model there, or say it: overrides={{{example}}}. Models with a group norm in "
        "the extractor were mostly trained on waveforms as they are, those with layer norms on normalized ones; the "
        "preprocessor_config.json of the pretrained model says which, as do_normalize."
    )


def _heads(naming: str, family: str) -> dict[str, HeadMap]:
    return fairseq_heads(family) if naming == "fairseq" else {"ctc": HF_CTC}
