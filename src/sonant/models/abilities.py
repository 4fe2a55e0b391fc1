"""The abilities of a model: vectors always, and whatever it was fine-tuned for."""

from collections.abc import Mapping
from typing import Literal, get_args

Ability = Literal["embeddings", "transcription", "verification", "diarization", "classification"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)
HEADS_FOR: Mapping[Ability, tuple[str, ...]] = {  # the kinds of head that serve it, as checkpoints name them
    "transcription": ("ctc",),
    "verification": ("xvector",),
    "diarization": ("frame_classification",),
    "classification": ("sequence_classification", "speech_classification", "age_gender"),
}
