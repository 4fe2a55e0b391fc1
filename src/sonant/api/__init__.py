"""The public door: load a model, turn recordings into vectors, units, transcripts and speakers."""

from sonant.api.encoder import SpeechEncoder
from sonant.api.identity import fingerprint
from sonant.api.loading import load
from sonant.api.once import units

__all__ = ["SpeechEncoder", "fingerprint", "load", "units"]
