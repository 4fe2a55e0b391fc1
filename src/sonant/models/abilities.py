"""The abilities of a model: embeddings, and those of its heads."""

from collections.abc import Mapping
from typing import Literal, get_args

Ability = Literal[
    "embeddings", "transcription", "verification", "diarization", "classification", "enhancement", "separation"
]
ABILITIES: tuple[Ability, ...] = get_args(Ability)
HEADS_FOR: Mapping[Ability, tuple[str, ...]] = {  # kinds of heads that provide it, as named in checkpoints
    "transcription": ("ctc", "seq2seq"),
    "verification": ("xvector",),
    "diarization": ("frame_classification",),
    "enhancement": ("enhancement",),
    "separation": ("separation",),
    "classification": ("sequence_classification", "speech_classification", "age_gender"),
}
