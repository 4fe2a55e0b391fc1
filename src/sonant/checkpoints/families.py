"""File formats of each family in other toolkits: the table `FORMATS`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sonant.checkpoints import hf_layouts as hf
from sonant.checkpoints.checkpoint import CheckpointFormat
from sonant.checkpoints.deduce import Deduce, deduce_config, deduce_w2v_bert2
from sonant.checkpoints.hf_layouts import Layout
from sonant.checkpoints.name_maps.fairseq import (
    FAIRSEQ_CONTRAST,
    FAIRSEQ_PREDICTION,
    FAIRSEQ_STEPS,
    FAIRSEQ_W2V_BERT2_CONTRAST,
)
from sonant.checkpoints.name_maps.hf import HF_HEADS, HF_UNISPEECH, HF_UNISPEECH_SAT
from sonant.checkpoints.parameter_names import HeadMap


class FairseqNames(NamedTuple):
    """Names of a family's pretraining task and of its model with a CTC head in fairseq."""

    task: str
    ctc_model: str


@dataclass(frozen=True, kw_only=True)
class FamilyFormats:
    """File formats of one family.

    Attributes:
        hf: layout in transformers; None: it has no classes for the family.
        others: formats for writing, besides sonant's and transformers'.
        fairseq: names in fairseq's files, for Transformers.
        pretraining: map of a complete pretraining head; None: that of transformers' wav2vec 2.0.
        deduce: deduces the configuration from tensors named as in transformers; None: impossible.
        mark: substring of names that identifies the family in transformers, if `deduce` is None.
    """

    hf: Layout | None = None
    others: tuple[CheckpointFormat, ...] = ()
    fairseq: FairseqNames | None = None
    pretraining: HeadMap | None = None
    deduce: Deduce | None = None
    mark: str | None = None


FORMATS: Mapping[str, FamilyFormats] = {
    "wavlm": FamilyFormats(
        hf=hf.WAVLM,
        others=("unilm", "fairseq", "torchaudio"),
        fairseq=FairseqNames("hubert_pretraining", "wavlm_ctc"),
        pretraining=FAIRSEQ_PREDICTION,
        deduce=deduce_config,
    ),
    "hubert": FamilyFormats(
        hf=hf.HUBERT,
        others=("fairseq", "torchaudio"),
        fairseq=FairseqNames("hubert_pretraining", "hubert_ctc"),
        pretraining=FAIRSEQ_PREDICTION,
        deduce=deduce_config,
    ),
    "wav2vec2": FamilyFormats(
        hf=hf.WAV2VEC2,
        others=("fairseq", "torchaudio"),
        fairseq=FairseqNames("audio_pretraining", "wav2vec_ctc"),
        pretraining=FAIRSEQ_CONTRAST,
        deduce=deduce_config,
    ),
    "wav2vec2_conformer": FamilyFormats(hf=hf.WAV2VEC2_CONFORMER, mark=".conv_module.batch_norm."),
    "data2vec": FamilyFormats(hf=hf.DATA2VEC, pretraining=FAIRSEQ_PREDICTION, mark=".pos_conv_embed.layers."),
    "unispeech": FamilyFormats(hf=hf.UNISPEECH, pretraining=HF_UNISPEECH, deduce=deduce_config),
    "unispeech_sat": FamilyFormats(hf=hf.UNISPEECH_SAT, pretraining=HF_UNISPEECH_SAT, deduce=deduce_config),
    "sew": FamilyFormats(hf=hf.SEW, mark=".upsample."),
    "w2v_bert2": FamilyFormats(hf=hf.W2V_BERT2, pretraining=FAIRSEQ_W2V_BERT2_CONTRAST, deduce=deduce_w2v_bert2),
    "vq_wav2vec": FamilyFormats(others=("fairseq",), pretraining=FAIRSEQ_STEPS),
    "discrete_bert": FamilyFormats(),
    "wav2vec": FamilyFormats(others=("fairseq",), pretraining=FAIRSEQ_STEPS),
    "filter_bank": FamilyFormats(),
}
LAYOUTS: Mapping[str, Layout] = {key: formats.hf for key, formats in FORMATS.items() if formats.hf is not None}


def head_maps(family: str) -> dict[str, HeadMap]:
    """Return the map of every kind of head of a family."""
    pretraining = FORMATS[family].pretraining if family in FORMATS else None
    return HF_HEADS | ({} if pretraining is None else {"pretraining": pretraining})
