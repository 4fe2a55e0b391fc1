"""Downstream tasks: heads over packed frames, and objectives with labels."""

from sonant.tasks.attentive_pooling import AttentivePooling
from sonant.tasks.codes_to_text import TranscribedCodes, TranscribedCodesBatches, WriteText
from sonant.tasks.ctc import CTCHead
from sonant.tasks.ecapa import ECAPAHead
from sonant.tasks.frame_classification import FrameClassificationHead
from sonant.tasks.layer_mix import LayerMix
from sonant.tasks.mask import MaskedMixture, MaskHead, MaskNetwork
from sonant.tasks.pooled import PooledHead
from sonant.tasks.seq2seq import EncodedSpeech, Seq2SeqHead
from sonant.tasks.sequence_classification import SequenceClassificationHead
from sonant.tasks.speaker_activity import Powerset, frame_errors, permutation_free_bce
from sonant.tasks.speaker_classifier import SpeakerClassifier, SpeakerOutputs
from sonant.tasks.speech_classification import SpeechClassificationHead
from sonant.tasks.xvector import XVectorHead

__all__ = [
    "AttentivePooling",
    "CTCHead",
    "ECAPAHead",
    "EncodedSpeech",
    "FrameClassificationHead",
    "LayerMix",
    "MaskHead",
    "MaskNetwork",
    "MaskedMixture",
    "PooledHead",
    "Powerset",
    "Seq2SeqHead",
    "SequenceClassificationHead",
    "SpeakerClassifier",
    "SpeakerOutputs",
    "SpeechClassificationHead",
    "TranscribedCodes",
    "TranscribedCodesBatches",
    "WriteText",
    "XVectorHead",
    "frame_errors",
    "permutation_free_bce",
]
