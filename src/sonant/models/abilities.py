"""What a model can be asked for: vectors always, and what it was fine-tuned for."""

from collections.abc import Mapping
from typing import Literal, get_args

Ability = Literal["embeddings", "transcription", "verification", "diarization"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)
HEAD_FOR: Mapping[Ability, str] = {  # the kind of head, as checkpoints name it
    "transcription": "ctc",
    "verification": "xvector",
    "diarization": "frame_classification",
}
