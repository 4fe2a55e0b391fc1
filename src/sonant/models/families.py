"""The families by name, and which layer of each serves which task."""

from dataclasses import dataclass
from typing import Literal

from sonant.errors import UnknownName
from sonant.models import (
    data2vec,
    discrete_bert,
    hubert,
    sew,
    unispeech,
    vq_wav2vec,
    w2v_bert2,
    wav2vec,
    wav2vec2,
    wav2vec2_conformer,
    wavlm,
)
from sonant.models.backbone import BackboneConfig

Family = Literal[
    "WavLM",
    "HuBERT",
    "wav2vec 2.0",
    "wav2vec 2.0 Conformer",
    "data2vec",
    "UniSpeech",
    "UniSpeech-SAT",
    "SEW",
    "w2v-BERT 2.0",
    "vq-wav2vec",
    "wav2vec",
]
Task = Literal["speaker", "content", "emotion", "semantic"]
Pool = Literal["mean", "max", "mean+std"]


@dataclass(frozen=True)
class Preset:
    """The layer and pooling that give the vectors for a task.

    Attributes:
        layer: number of the hidden state.
        pool: the pooling into one vector for a recording; None keeps the frames.
        why: the source of the choice.
    """

    layer: int
    pool: Pool | None
    why: str


def family_of(config: BackboneConfig) -> Family:  # noqa: PLR0911  one line for each kind
    """The family that a configuration belongs to."""
    match config:
        case wavlm.WavLMConfig():
            return "WavLM"
        case hubert.HuBERTConfig():
            return "HuBERT"
        case wav2vec2.Wav2Vec2Config():
            return "wav2vec 2.0"
        case wav2vec2_conformer.Wav2Vec2ConformerConfig():
            return "wav2vec 2.0 Conformer"
        case data2vec.Data2VecConfig():
            return "data2vec"
        case unispeech.UniSpeechConfig():
            return "UniSpeech"
        case unispeech.UniSpeechSATConfig():
            return "UniSpeech-SAT"
        case sew.SEWConfig():
            return "SEW"
        case w2v_bert2.W2vBERT2Config():
            return "w2v-BERT 2.0"
        case vq_wav2vec.VQWav2VecConfig() | discrete_bert.DiscreteBERTConfig():
            return "vq-wav2vec"
        case wav2vec.Wav2VecConfig():
            return "wav2vec"
    raise UnknownName("family with the configuration", type(config).__name__, FAMILIES)


def presets(config: BackboneConfig) -> dict[Task, Preset]:
    """Layer and pooling for each task, for any model of a known family, listed in the catalog or not."""
    return {
        task: Preset(max(1, round(share * config.num_layers)), pool, why)
        for task, (share, pool, why) in PRESETS[family_of(config)].items()
    }


FAMILIES: dict[str, Family] = {  # as users type them
    "wavlm": "WavLM",
    "hubert": "HuBERT",
    "wav2vec2": "wav2vec 2.0",
    "wav2vec2-conformer": "wav2vec 2.0 Conformer",
    "data2vec": "data2vec",
    "unispeech": "UniSpeech",
    "unispeech-sat": "UniSpeech-SAT",
    "sew": "SEW",
    "w2v-bert": "w2v-BERT 2.0",
    "vq-wav2vec": "vq-wav2vec",
    "wav2vec": "wav2vec",
}

# (depth as a share of the layers, pooling, why). None of these layers was chosen by a measurement of ours yet.
_PREDICTING: dict[Task, tuple[float, Pool | None, str]] = {
    "speaker": (
        1 / 4,
        "mean",
        "voices show in the lower layers (WavLM paper); kNN-VC compares layer 6 of WavLM Large's 24",
    ),
    "content": (3 / 4, None, "where HuBERT's authors took the targets of their large models: layer 9 of 12"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice: words and meaning stay high up to the top layers (Pasad et al. 2023)"),
}
_CONTRASTING: dict[Task, tuple[float, Pool | None, str]] = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (2 / 3, None, "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (2 / 3, "mean", "our choice: the top layers turn back towards the input (Pasad et al. 2021)"),
}
_CONTEXT: dict[Task, tuple[float, Pool | None, str]] = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (1, None, "what the authors feed to recognizers: the context network's last layer, or BERT's"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (1, "mean", "our choice, as for content"),
}
_CHOSEN: dict[Task, tuple[float, Pool | None, str]] = {
    "speaker": (1 / 4, "mean", "our choice, as for the other families"),
    "content": (3 / 4, None, "our choice, as for the other families that predict labels"),
    "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
    "semantic": (5 / 6, "mean", "our choice, as for the other families that predict labels"),
}
PRESETS: dict[Family, dict[Task, tuple[float, Pool | None, str]]] = {
    "WavLM": _PREDICTING,
    "HuBERT": _PREDICTING,
    "wav2vec 2.0": _CONTRASTING,
    "wav2vec 2.0 Conformer": _CONTRASTING,
    "data2vec": _CHOSEN,
    "UniSpeech": {
        "speaker": (1 / 4, "mean", "our choice, as for the other families"),
        "content": (5 / 6, None, "our choice: it was taught phonemes too, which keeps what is said near the top"),
        "emotion": (1 / 2, "mean", "our choice: the middle, between voice and words"),
        "semantic": (5 / 6, "mean", "our choice, as for content"),
    },
    "UniSpeech-SAT": _PREDICTING,
    "SEW": _CONTRASTING,
    "w2v-BERT 2.0": _CHOSEN,
    "vq-wav2vec": _CONTEXT,
    "wav2vec": _CONTEXT,
}
