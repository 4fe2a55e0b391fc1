"""State dicts with names of transformers or fairseq but no configuration, as saved by training scripts.

Sizes follow from the shapes of the tensors, see `deduce`. The family (HuBERT or wav2vec 2.0) and waveform normalization
do not: published models of equal shapes differ in them. Both must be given.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from sonant.checkpoints.checkpoint import Checkpoint
from sonant.checkpoints.fairseq import PREFIXES, fairseq_heads, rows_in
from sonant.checkpoints.families import FORMATS, LAYOUTS, head_maps
from sonant.checkpoints.name_maps.hf import HF_CTC
from sonant.checkpoints.parameter_names import grouped
from sonant.checkpoints.quantized import refuse_quantized
from sonant.checkpoints.reading import FROM_SHAPES, translate
from sonant.checkpoints.wrappers import LEAST, likeness, split_overrides, unwrap
from sonant.errors import ConfigurationError, UnknownCheckpoint
from sonant.models.families import FAMILIES
from sonant.models.normalization import ORIGINAL_EPSILON, TRANSFORMERS_EPSILON

GATES = (".gru_rel_pos_const", ".grep_a")  # suffixes of names that only WavLM has


def is_named_as_transformers(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors are named as in transformers, behind any prefix."""
    return any(likeness(tensors, rows) >= LEAST for rows in dict.fromkeys(layout.rows for layout in LAYOUTS.values()))


def read_state_dict(
    tensors: Mapping[str, Tensor], source: object, *, overrides: Mapping[str, Any] | None
) -> Checkpoint:
    """Return a checkpoint from tensors alone.

    Raises:
        UnknownCheckpoint: the names belong to no known model.
        ConfigurationError: `overrides` lacks settings that the tensors do not determine.
    """
    refuse_quantized(tensors, {}, source)
    _refuse_unclear(tensors, source)
    wanted, given = split_overrides(overrides)
    deducible = {key: LAYOUTS[key] for key, formats in FORMATS.items() if formats.deduce is not None}
    ours_of_fairseq = rows_in(())
    maps = dict.fromkeys([*(layout.rows for layout in deducible.values()), ours_of_fairseq])
    rows = max(maps, key=lambda rows: likeness(tensors, rows))
    if likeness(tensors, rows) < LEAST:
        raise UnknownCheckpoint(
            f"{source} holds {len(tensors)} tensors, whose names are those of no model that is known without a "
            f"configuration: {grouped(tensors)}. If they are weights of transformers, put the config.json of the model "
            "into the same folder."
        )
    of_fairseq = rows is ours_of_fairseq
    alike = [key for key, layout in deducible.items() if of_fairseq or layout.rows is rows]
    alone = len(alike) == 1
    family = alike[0] if alone else _family(tensors, given, alike, source)
    inner = PREFIXES if of_fairseq else (LAYOUTS[family].prefix,)
    found = unwrap(tensors, rows, inner=inner, source=source, family=family, wanted=wanted)
    own = next((prefix for prefix in inner if any(name.startswith(prefix) for name in found.tensors)), "")
    state, within = found.without(own)
    heads = fairseq_heads(family) if of_fairseq else {"ctc": HF_CTC}
    rows = rows_in(state) if of_fairseq else rows
    reading = translate(found, state, rows, heads, source=source, within=within)
    if not alone:  # families with names of their own do not normalize waveforms
        given = {"normalize_epsilon": ORIGINAL_EPSILON if of_fairseq else TRANSFORMERS_EPSILON, **given}
    deduce = FORMATS[family].deduce
    assert deduce is not None
    return reading.checkpoint(
        deduce(reading.backbone, family=family, source=source, overrides=given),
        made_by="fairseq" if of_fairseq else "hf",
        heads=head_maps(family) | heads,
        known={"ctc": {"blank": 0}},
        metadata={"config_from": FROM_SHAPES, "normalize_from": "overrides"},
    )


def _refuse_unclear(tensors: Mapping[str, Tensor], source: object) -> None:
    for key, formats in FORMATS.items():
        if formats.mark is not None and any(formats.mark in f".{name}" for name in tensors):
            raise ConfigurationError(
                f"{source} holds the weights of a {FAMILIES[key].title}, whose sizes the tensors alone do not tell, "
                "and there is no config.json of such a model beside it. Put that of the pretrained model into the same "
                "folder."
            )


def _family(tensors: Mapping[str, Tensor], given: Mapping[str, Any], alike: Sequence[str], source: object) -> str:
    """Return the family of a Transformer on waveforms; raise ConfigurationError unless it and `normalize` are given."""
    wavlm = any(name.endswith(GATES) for name in tensors)
    family = "wavlm" if wavlm else given.get("family")
    if family in alike and "normalize" in given:
        return str(family)
    name = "WavLM" if wavlm else "HuBERT, wav2vec 2.0, UniSpeech or UniSpeech-SAT"
    example = ("" if wavlm else "'family': 'hubert', ") + "'normalize': False"
    raise ConfigurationError(
        f"{source} holds the weights of a {name} but nothing that says how it is used: there is no config.json beside "
        f"it. Put that of the pretrained model there, or say it: overrides={{{example}}}. Models with a group norm in "
        "the extractor were mostly trained on waveforms as they are, those with layer norms on normalized ones; the "
        "preprocessor_config.json of the pretrained model says which, as do_normalize."
    )
