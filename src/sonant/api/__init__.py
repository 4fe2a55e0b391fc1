"""The public interface: models that turn recordings into vectors, units, transcripts, alignments and speaker turns."""

from sonant.api.encoder import SpeechEncoder
from sonant.api.evaluation import evaluate_asr
from sonant.api.layer_analysis import analyze
from sonant.api.loading import load
from sonant.api.once import align, classify, diarize, enhance, search, separate, transcribe, units, verify
from sonant.api.options import BulkOptions, InferenceOptions
from sonant.api.speaker_evaluation import evaluate_asv
from sonant.api.spoken_search import SpokenMatch
from sonant.api.voices import Voices
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.known_voices import Enrollment, Identification, Person, VoiceMatch
from sonant.decoding.results import SpeakerTurn, SpokenSlot, Transcript, Verification, Word
from sonant.models.identity import fingerprint

__all__ = [
    "Alignment",
    "BulkOptions",
    "Enrollment",
    "Identification",
    "InferenceOptions",
    "Person",
    "SpeakerTurn",
    "SpeechEncoder",
    "SpokenMatch",
    "SpokenSlot",
    "Transcript",
    "Verification",
    "VoiceMatch",
    "Voices",
    "Word",
    "align",
    "analyze",
    "classify",
    "diarize",
    "enhance",
    "evaluate_asr",
    "evaluate_asv",
    "fingerprint",
    "load",
    "search",
    "separate",
    "transcribe",
    "units",
    "verify",
]
